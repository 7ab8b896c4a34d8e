//! Stores that each break a rule.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use storehouse_objectstore::{
    Attributes, Batches, Body, ByteRange, Capabilities, CopyOptions, ETag, Entry, Error, Events,
    GetOptions, Key, ListOptions, Listed, Memory, Metadata, Object, ObjectRanges, ObjectStore,
    ObjectStoreExt, Operation, PresignOptions, PresignedRequest, PutMode, PutOptions, PutResult,
    Result, fallback,
};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    DecodesKeys,
    FoldsCase,
    CommitsShortBodies,
    ReadsOn,
    WritesInPlace,
    LeavesLitter,
    SkipsPutsDuringPuts,
    SkipsDeletes,
    CreatesOver,
    ChecksThenCreates,
    PretendsNotToCreate,
    ReplacesAnything,
    IgnoresConditions,
    TagsAllAlike,
    ClampsRanges,
    SaysPartIsWhole,
    GivesHugePieces,
    GivesEmptyPieces,
    OpensWhenRead,
    ListsTwice,
    ListsByKeyInReverse,
    ListsByPath,
    ResumesAtTheKey,
    ForgetsLimits,
    ListsLargeValues,
    ListsOtherValues,
    FailsToDeleteTheMissing,
    DropsSomeDeletes,
    TakesAllKeysFirst,
    LimitsWhileItWaits,
    HoldsWholeBodies,
    ForgetsWhenClosed,
    OpensTwice,
    StaysOpen,
    ForgetsAttributes,
    CopiesUnconditionally,
    RenamesNothing,
    SwapsRanges,
    RollsUpAgain,
    TellsNothing,
    SignsForever,
}

#[derive(Clone, Debug)]
pub(crate) struct Broken {
    inner: Memory,
    flaw: Flaw,
    capabilities: Capabilities,
    pub(crate) litter: Arc<Mutex<HashSet<String>>>,
    writing: Arc<Mutex<HashSet<Key>>>,
    permits: Arc<Semaphore>,
}

impl Broken {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let capabilities = Capabilities::full()
            .with_create(flaw != Flaw::PretendsNotToCreate)
            .with_max_attributes(Attributes::MAX_SIZE)
            .with_rename(flaw == Flaw::RenamesNothing)
            .with_events(flaw == Flaw::TellsNothing)
            .with_presign(flaw == Flaw::SignsForever);
        let permits = Arc::new(Semaphore::new(4));
        Self {
            inner: Memory::new(),
            flaw,
            capabilities,
            litter: Arc::default(),
            writing: Arc::default(),
            permits,
        }
    }

    /// The same data, not closed.
    pub(crate) fn reopened(&self) -> Self {
        Self {
            inner: self.inner.reopen(),
            ..self.clone()
        }
    }

    fn key(&self, key: &Key) -> Key {
        match self.flaw {
            Flaw::DecodesKeys => Key::new(key.as_str().replace("%3A", ":")).unwrap(),
            Flaw::FoldsCase => Key::new(key.as_str().to_lowercase()).unwrap(),
            _ => key.clone(),
        }
    }

    async fn broken_put(
        &self,
        key: &Key,
        mut body: Body,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let declared = options.size.or(body.size());
        match self.flaw {
            Flaw::ForgetsAttributes => options.attributes = Attributes::default(),
            Flaw::CommitsShortBodies => {
                let mut all = BytesMut::new();
                while let Some(Ok(piece)) = body.next().await {
                    all.extend_from_slice(&piece);
                }
                return self
                    .inner
                    .put_opts(key, all.freeze().into(), options.size(None))
                    .await;
            }
            Flaw::ReadsOn => {
                let mut all = BytesMut::new();
                while let (Some(piece), true) = (body.try_next().await?, all.len() < 20 << 20) {
                    all.extend_from_slice(&piece);
                }
                body = Body::from_stream(stream::iter([Ok::<_, Error>(all.freeze())]));
            }
            Flaw::WritesInPlace if declared.is_some() => {
                let mut all = BytesMut::new();
                while let Some(piece) = body.try_next().await? {
                    all.extend_from_slice(&piece);
                    self.inner
                        .put_opts(key, all.clone().freeze().into(), PutOptions::default())
                        .await?;
                    tokio::task::yield_now().await;
                }
                body = Body::from_stream(stream::iter([Ok::<_, Error>(all.freeze())]));
            }
            Flaw::SkipsPutsDuringPuts => {
                if !self.writing.lock().unwrap().insert(key.clone()) {
                    return Ok(PutResult {
                        etag: ETag::new("skipped"),
                    });
                }
                tokio::task::yield_now().await;
                let put = self.inner.put_opts(key, body, options).await;
                self.writing.lock().unwrap().remove(key);
                return put;
            }
            Flaw::CreatesOver if options.mode == PutMode::Create => {
                options.mode = PutMode::Overwrite
            }
            Flaw::ReplacesAnything if matches!(options.mode, PutMode::Replace(_)) => {
                options.mode = PutMode::Overwrite
            }
            Flaw::ChecksThenCreates if options.mode == PutMode::Create => {
                if self.inner.exists(key).await? {
                    return Err(Error::AlreadyExists { key: key.clone() });
                }
                tokio::task::yield_now().await;
                options.mode = PutMode::Overwrite;
            }
            Flaw::LeavesLitter => {
                let name = format!("temporary file of {key}");
                self.litter.lock().unwrap().insert(name.clone());
                tokio::task::yield_now().await;
                let put = self.inner.put_opts(key, body, options).await?;
                self.litter.lock().unwrap().remove(&name);
                return Ok(put);
            }
            Flaw::LimitsWhileItWaits => {
                let _permit = self.permits.acquire().await.unwrap();
                return self.inner.put_opts(key, body, options).await;
            }
            Flaw::HoldsWholeBodies => {
                let pieces: Vec<Bytes> = body.try_collect().await?;
                body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Error>)));
            }
            _ => {}
        }
        options.size = options.size.or(declared);
        self.inner.put_opts(key, body, options).await
    }

    async fn broken_get(&self, key: &Key, mut options: GetOptions) -> Result<Object> {
        if self.flaw == Flaw::IgnoresConditions {
            options = {
                let mut unconditional = GetOptions::default();
                unconditional.range = options.range;
                unconditional
            };
        }
        let mut got = self.inner.get_opts(key, options.clone()).await;
        if self.flaw == Flaw::ClampsRanges && matches!(got, Err(Error::RangeNotSatisfiable { .. }))
        {
            let size = self.inner.head(key).await?.size;
            if let Some(start) = options
                .range
                .and_then(|range| range.resolve(u64::MAX))
                .map(|range| range.start)
                .filter(|start| *start < size)
            {
                got = self.inner.get_opts(key, options.range(start..)).await;
            }
        }
        let mut object = got?;
        match self.flaw {
            Flaw::TagsAllAlike => object.metadata.etag = ETag::new("same"),
            Flaw::SaysPartIsWhole => object.metadata.size = object.range.end - object.range.start,
            Flaw::GivesHugePieces => {
                object.body = in_pieces(vec![object.body.collect(u64::MAX).await?])
            }
            Flaw::GivesEmptyPieces => {
                object.body = in_pieces(vec![object.body.collect(u64::MAX).await?, Bytes::new()])
            }
            Flaw::OpensWhenRead => {
                let (inner, key, size, range) = (
                    self.inner.clone(),
                    key.clone(),
                    object.body.size(),
                    object.range.clone(),
                );
                let late = async move {
                    Ok::<_, Error>(
                        inner
                            .get_opts(&key, GetOptions::default().range(range))
                            .await?
                            .body,
                    )
                };
                if let Some(size @ 1..) = size {
                    object.body =
                        Body::from_stream(stream::once(late).try_flatten()).with_size(size);
                }
            }
            _ => {}
        }
        Ok(object)
    }
}

fn in_pieces(pieces: Vec<Bytes>) -> Body {
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Error>))).with_size(size)
}

impl ObjectStore for Broken {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        async move {
            let put = self.broken_put(&self.key(key), body, options).await?;
            Ok(if self.flaw == Flaw::TagsAllAlike {
                PutResult {
                    etag: ETag::new("same"),
                }
            } else {
                put
            })
        }
        .boxed()
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        async move { self.broken_get(&self.key(key), options).await }.boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        async move {
            let mut head = self.inner.head(&self.key(key)).await?;
            if self.flaw == Flaw::TagsAllAlike {
                head.etag = ETag::new("same");
            }
            Ok(head)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        async move {
            match self.flaw {
                Flaw::SkipsDeletes => Ok(()),
                Flaw::FailsToDeleteTheMissing => {
                    self.inner.head(key).map(|head| head.map(drop)).await
                }
                _ => self.inner.delete(&self.key(key)).await,
            }
        }
        .boxed()
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        match self.flaw {
            Flaw::DropsSomeDeletes => self.inner.delete_many(
                keys.enumerate()
                    .filter_map(|(n, key)| async move { (n % 7 != 6).then_some(key) })
                    .boxed(),
            ),
            Flaw::TakesAllKeysFirst => {
                // All, or what is as good as all in a test.
                let all = keys.take(100_000).collect::<Vec<_>>().map(stream::iter);
                self.inner.delete_many(stream::once(all).flatten().boxed())
            }
            _ => self.inner.delete_many(keys),
        }
    }

    fn list(&self, mut options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        match self.flaw {
            Flaw::ListsTwice => self
                .inner
                .list(options)
                .flat_map(|entry| {
                    stream::iter([entry.unwrap(); 1].into_iter().cycle().take(2).map(Ok))
                })
                .boxed(),
            Flaw::ListsByKeyInReverse => {
                let all = self
                    .inner
                    .list(options)
                    .try_collect::<Vec<_>>()
                    .map_ok(|all| stream::iter(all.into_iter().rev().map(Ok)));
                stream::once(all).try_flatten().boxed()
            }
            Flaw::ListsByPath => {
                // The prefix as a directory, as by-segment listings take it.
                let prefix = options.prefix.clone();
                let under = move |key: &str| {
                    prefix.is_empty()
                        || key
                            .strip_prefix(prefix.trim_end_matches('/'))
                            .is_some_and(|rest| rest.starts_with('/'))
                };
                self.inner
                    .list(options)
                    .try_filter(move |entry| std::future::ready(under(entry.key.as_str())))
                    .boxed()
            }
            Flaw::ResumesAtTheKey => {
                let from = options.start_after.take();
                let from = move |entry: &Entry| from.as_ref().is_none_or(|from| entry.key >= *from);
                self.inner
                    .list(options)
                    .try_filter(move |entry| std::future::ready(from(entry)))
                    .boxed()
            }
            Flaw::ForgetsLimits => {
                options.limit = options.limit.filter(|limit| *limit != 2);
                self.inner.list(options)
            }
            Flaw::ListsLargeValues => self.inner.list(options.inline_values(u64::MAX)),
            Flaw::ListsOtherValues => {
                let cut = |value: Bytes| value.slice(value.len().min(1)..);
                self.inner
                    .list(options)
                    .map_ok(move |entry| Entry {
                        value: entry.value.map(cut),
                        ..entry
                    })
                    .boxed()
            }
            _ => self.inner.list(options),
        }
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let listing = self.inner.list_delimited(options);
        if self.flaw != Flaw::RollsUpAgain {
            return listing;
        }
        listing
            .flat_map(|item| {
                let times = if matches!(item, Ok(Listed::Prefix(_))) {
                    2
                } else {
                    1
                };
                let item = item.unwrap();
                stream::iter([item].into_iter().cycle().take(times).map(Ok))
            })
            .boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let options = match self.flaw {
            Flaw::CopiesUnconditionally => options.if_match(None).mode(PutMode::Overwrite),
            Flaw::RenamesNothing => options.remove_source(false),
            Flaw::ForgetsAttributes => options.attributes(Attributes::default()),
            _ => options,
        };
        Box::pin(fallback::copy(self, from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(async move {
            let mut got = fallback::get_ranges(self, key, ranges, options).await?;
            if self.flaw == Flaw::SwapsRanges {
                got.parts.reverse();
            }
            Ok(got)
        })
    }

    fn events(&self) -> Option<Events> {
        (self.flaw == Flaw::TellsNothing).then(Events::ended)
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let signed = if self.flaw == Flaw::SignsForever {
            let until = std::time::SystemTime::now() + options.expires;
            let url = format!("http://localhost/{key}?signature");
            Ok(PresignedRequest::new(options.method, url, until))
        } else {
            Err(fallback::unsupported(
                Operation::Presign,
                key,
                "presigned requests",
            ))
        };
        Box::pin(std::future::ready(signed))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.health()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        if self.flaw == Flaw::StaysOpen {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(self.inner.close())
    }
}
