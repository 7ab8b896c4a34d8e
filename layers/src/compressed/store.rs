//! The store and its trait.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::future;
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error,
    ErrorClass, GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutMode, PutOptions, PutResult, Result, SizedBody, fallback,
    methods,
};

use super::decode::{bytes_of, decoded, not_ours};
use super::encode::{encode, encode_bytes};
use super::format::{FRAME_LOGS, HEADER, Header};
use super::options::CompressedOptions;
use crate::parts::{ExactReader, looked_up};

/// How often a range is read anew because its object was replaced between two reads.
const ATTEMPTS: usize = 16;

/// Values of at most this size are worth reading with a listing for the size in their header.
const INLINE: u64 = 16 * 1024;

/// A store that compresses what it stores.
///
/// ```
/// use storehouse_layers::{CompressedOptions, CompressedStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let inner = Memory::new();
/// let store = CompressedStore::new(inner.clone(), CompressedOptions::default())?;
/// let key = Key::new("a")?;
/// store.put(&key, "again ".repeat(1000)).await?;
/// assert!(inner.head(&key).await?.size < 100);
/// assert_eq!(store.head(&key).await?.size, 6000);
/// assert_eq!(store.get_range(&key, 5994..).await?.body.collect(6).await?, "again ");
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CompressedStore<S> {
    inner: Arc<S>,
    options: CompressedOptions,
    capabilities: Capabilities,
}

impl<S> Clone for CompressedStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            options: self.options.clone(),
            capabilities: self.capabilities.clone(),
        }
    }
}

impl<S: ObjectStore> CompressedStore<S> {
    /// `inner`, holding compressed objects. It can hold no others.
    ///
    /// # Errors
    /// [`Error::Config`] if the frame size is not allowed or there is no such level.
    pub fn new(inner: S, options: CompressedOptions) -> Result<Self> {
        let log = options.frame_size.trailing_zeros() as u8;
        if !options.frame_size.is_power_of_two() || !FRAME_LOGS.contains(&log) {
            let reason = "not a power of two from 4 KiB to 1 MiB";
            return Err(Error::config("frame_size", reason));
        }
        let levels = zstd::compression_level_range();
        if !levels.contains(&options.level) {
            let (least, most) = (levels.start(), levels.end());
            return Err(Error::config(
                "level",
                format!("not from {least} to {most}"),
            ));
        }
        let under = inner.capabilities();
        // In the worst case every frame is stored as it is, and has its entry in the table.
        let frames =
            (under.max_size.saturating_sub(HEADER as u64)) / (u64::from(options.frame_size) + 4);
        let max_size = frames * u64::from(options.frame_size);
        let capabilities = under
            .clone()
            .with_verifies_sha256(false)
            .with_presign(false)
            .with_max_size(max_size);
        Ok(Self {
            inner: Arc::new(inner),
            options,
            capabilities,
        })
    }

    /// The store of the compressed objects.
    ///
    /// ```
    /// # use storehouse_layers::{CompressedOptions, CompressedStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = CompressedStore::new(Memory::new(), CompressedOptions::default())?;
    /// assert!(store.inner().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn put(&self, key: &Key, body: Body, mut options: PutOptions) -> Result<PutResult> {
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        let body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        if body.as_bytes().is_none() && options.mode != PutMode::Overwrite {
            // Rather than read it in vain. The inner store judges again.
            let there = match self.inner.head(key).await {
                Ok(there) => Some(there.etag),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error),
            };
            options.mode.check(key, there.as_ref())?;
        }
        let body = encode(key, body, &self.options).await?;
        options.size = body.size();
        // Of the content, not of what is stored.
        options.sha256 = None;
        self.inner.put_opts(key, body, options).await
    }

    /// The whole content, by one request.
    async fn get_whole(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let flawed = |flaw| not_ours(Operation::Get, key, flaw);
        let object = self.inner.get_opts(key, options).await?;
        let stored = object.metadata.size;
        let mut reader = ExactReader::new(key, object.body);
        let head = reader.take((HEADER as u64).min(stored) as usize).await?;
        let header = Header::parse(&head, stored).map_err(flawed)?;
        let table = reader.take(header.table_len() as usize).await?;
        let whole = 0..header.size;
        let (frames, _) = header.frames_of(&table, stored, &whole).map_err(flawed)?;
        Ok(Object {
            metadata: Metadata {
                size: header.size,
                ..object.metadata
            },
            range: whole.clone(),
            body: decoded(key, frames, reader, whole)?,
        })
    }

    /// One attempt at a range; `None` if the object was replaced between two reads.
    async fn get_range(&self, key: &Key, options: &GetOptions) -> Result<Option<Object>> {
        let flawed = |flaw| not_ours(Operation::Get, key, flaw);
        let ask = options.clone();
        let read_first = self.options.read_first.max(HEADER as u64);
        let first = match self
            .inner
            .get_opts(key, ask.range(ByteRange::from(0..read_first).clamped()))
            .await
        {
            Ok(first) => first,
            Err(Error::RangeNotSatisfiable { .. }) => return Err(flawed("it is empty")),
            Err(error) => return Err(error),
        };
        let (stored, etag) = (first.metadata.size, first.metadata.etag.clone());
        let head = first.body.collect(read_first).await?;
        let header = Header::parse(&head, stored).map_err(flawed)?;
        let range = options.resolve_range(key, header.size)?;
        let read = |from: u64, to: u64| {
            let same = GetOptions::default().range(from..to).if_match(etag.clone());
            async move {
                match self.inner.get_opts(key, same).await {
                    Ok(object) => Ok(Some(object.body)),
                    Err(error) if error.is_not_found() || error.is_precondition() => Ok(None),
                    Err(error) => Err(error),
                }
            }
        };
        let read_so_far = head.len() as u64;
        let table = if header.frames_at() <= read_so_far {
            head.slice(HEADER..header.frames_at() as usize)
        } else {
            let Some(rest) = read(read_so_far, header.frames_at()).await? else {
                return Ok(None);
            };
            let rest = rest.collect(header.table_len()).await?;
            [&head[HEADER..], &rest].concat().into()
        };
        let (frames, begin) = header.frames_of(&table, stored, &range).map_err(flawed)?;
        let (Some(from), Some(to)) = (frames.first(), frames.last()) else {
            return Err(flawed("it has no frame for the range"));
        };
        let (from, to) = (from.stored.start, to.stored.end);
        let body = if to <= read_so_far {
            head.slice(from as usize..to as usize).into()
        } else {
            match read(from, to).await? {
                Some(body) => body,
                None => return Ok(None),
            }
        };
        let reader = ExactReader::new(key, body);
        Ok(Some(Object {
            metadata: Metadata {
                size: header.size,
                ..first.metadata
            },
            body: decoded(key, frames, reader, range.start - begin..range.end - begin)?,
            range,
        }))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if options.range.is_none_or(|range| range.is_whole()) {
            return self.get_whole(key, options).await;
        }
        for _ in 0..ATTEMPTS {
            if let Some(object) = self.get_range(key, &options).await? {
                return Ok(object);
            }
        }
        Err(Error::Backend {
            operation: Operation::Get,
            key: Some(key.clone()),
            class: ErrorClass::Transient,
            message: format!("the object was replaced {ATTEMPTS} times while it was read"),
            source: None,
        })
    }
}

/// What is known of an object, by its header.
async fn head_of<S: ObjectStore>(inner: &S, key: &Key, operation: Operation) -> Result<Metadata> {
    let header = GetOptions::default().range(ByteRange::from(0..HEADER as u64).clamped());
    let object = match inner.get_opts(key, header).await {
        Ok(object) => object,
        Err(Error::NotFound { .. }) => return Err(Error::not_found(operation, key)),
        Err(Error::RangeNotSatisfiable { .. }) => {
            return Err(not_ours(operation, key, "it is empty"));
        }
        Err(error) => return Err(error),
    };
    let head = object.body.collect(HEADER as u64).await?;
    let header = Header::parse(&head, object.metadata.size)
        .map_err(|flaw| not_ours(operation, key, flaw))?;
    Ok(Metadata {
        size: header.size,
        ..object.metadata
    })
}

/// The caller's entry for one of the inner store; none if it is gone meanwhile.
async fn entry_of<S: ObjectStore>(
    store: CompressedStore<S>,
    entry: Entry,
    inline_values: Option<u64>,
) -> Result<Option<Entry>> {
    let Entry {
        key,
        metadata,
        value,
    } = entry;
    let Some(stored) = value else {
        return match head_of(&store.inner, &key, Operation::List).await {
            Ok(metadata) => Ok(Some(Entry {
                key,
                metadata,
                value: None,
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
    };
    let flawed = |flaw| not_ours(Operation::List, &key, flaw);
    let len = stored.len() as u64;
    let header = Header::parse(&stored, len).map_err(flawed)?;
    let metadata = Metadata {
        size: header.size,
        ..metadata
    };
    let mut value = None;
    if inline_values.is_some_and(|most| header.size <= most) {
        let frames_at = header.frames_at() as usize;
        let (table, frames) = (&stored[HEADER..frames_at], stored.slice(frames_at..));
        let (placed, _) = header
            .frames_of(table, len, &(0..header.size))
            .map_err(flawed)?;
        let content = bytes_of(&placed, frames).map_err(|error| {
            let message = "a compressed frame is damaged";
            Error::io(Operation::List, Some(&key), message, error)
        })?;
        value = Some(Bytes::from(content));
    }
    Ok(Some(Entry {
        key,
        metadata,
        value,
    }))
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for CompressedStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(head_of(&self.inner, key, Operation::Head))
    }

    methods!(inner => delete, delete_many, events, health, close);

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.inner.list(options);
        }
        let inline_values = options.inline_values;
        // Entries that are gone before their header was read do not count, so the inner store is
        // not told of the limit.
        let inner = options
            .limit(None)
            .inline_values(inline_values.unwrap_or(0).max(INLINE));
        let store = self.clone();
        looked_up(self.inner.list(inner), limit, move |entry| {
            entry_of(store.clone(), entry, inline_values)
        })
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.inner.list_delimited(options);
        }
        let inline_values = options.inline_values;
        let inner = options
            .limit(None)
            .inline_values(inline_values.unwrap_or(0).max(INLINE));
        let store = self.clone();
        looked_up(self.inner.list_delimited(inner), limit, move |item| {
            let store = store.clone();
            async move {
                match item {
                    Listed::Object(entry) => {
                        let entry = entry_of(store, entry, inline_values).await?;
                        Ok(entry.map(Listed::Object))
                    }
                    prefix => Ok(Some(prefix)),
                }
            }
        })
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // As it is stored.
        self.inner.copy_opts(from, to, options)
    }

    methods!(fallback => get_ranges_opts);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        // It would give what is stored.
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(future::ready(Err(unsupported)))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for CompressedStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                return Ok(BatchResult::default());
            };
            let mut inner = Batch::new().durability(batch.durability);
            for op in batch.ops {
                inner = inner.op(match op {
                    BatchOp::Put { key, bytes, mode } => {
                        let stored = encode_bytes(&bytes, &self.options);
                        let bytes = stored.map_err(|error| {
                            let message = "compressing the body";
                            Error::io(Operation::Batch, Some(&key), message, error)
                        })?;
                        BatchOp::Put { key, bytes, mode }
                    }
                    delete => delete,
                });
            }
            batches.batch(inner).await
        })
    }
}
