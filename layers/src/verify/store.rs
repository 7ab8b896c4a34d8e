//! The store and its trait.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error,
    ErrorClass, GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutOptions, PutResult, Result, SizedBody, fallback, methods,
};

use super::options::{Verified, VerifyOptions};
use super::read::{Expected, content_of, damaged, groups, whole};
use super::tree::{GROUP, Proof, TRAILER, Trailer, content_len, stored_len};
use super::write;
use crate::parts::ExactReader;

/// How much of the end of an object a range reads first, in bytes.
const READ_LAST: u64 = 16 * 1024;

/// A content in memory of at most this size, in bytes, is verified before its body is given.
const EAGER: u64 = 256 * 1024;

/// How often a range is read anew because its object was replaced between two reads.
const ATTEMPTS: usize = 16;

/// A store that checks what it takes and what it gives.
///
/// ```
/// use storehouse_layers::{VerifyOptions, VerifyStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let inner = Memory::new();
/// let store = VerifyStore::new(inner.clone(), VerifyOptions::default());
/// let key = Key::new("a")?;
/// store.put(&key, "content").await?;
/// assert_eq!(store.get_bytes(&key, 7).await?, "content");
///
/// let mut stored = inner.get_bytes(&key, 1000).await?.to_vec();
/// stored[0] ^= 1;
/// inner.put(&key, stored).await?;
/// assert!(store.get_bytes(&key, 7).await.is_err());
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VerifyStore<S> {
    inner: Arc<S>,
    options: VerifyOptions,
    capabilities: Capabilities,
}

impl<S> Clone for VerifyStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            options: self.options.clone(),
            capabilities: self.capabilities.clone(),
        }
    }
}

impl<S: ObjectStore> VerifyStore<S> {
    /// `inner`, holding objects that can be verified. It can hold no others.
    pub fn new(inner: S, options: VerifyOptions) -> Self {
        let under = inner.capabilities();
        let most = under.max_size.saturating_sub(TRAILER as u64);
        let tree = if options.outboards {
            most / 128 + 64
        } else {
            0
        };
        let capabilities = under
            .clone()
            .with_verifies_sha256(true)
            .with_presign(false)
            .with_max_size(most.saturating_sub(tree));
        Self {
            inner: Arc::new(inner),
            options,
            capabilities,
        }
    }

    /// The store of what can be verified.
    ///
    /// ```
    /// # use storehouse_layers::{VerifyOptions, VerifyStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = VerifyStore::new(Memory::new(), VerifyOptions::default());
    /// assert!(!store.inner().capabilities().verifies_sha256);
    /// assert!(store.capabilities().verifies_sha256);
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The same as [`ObjectStore::get_opts`], and whether the body is verified.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use storehouse_layers::{Verified, VerifyOptions, VerifyStore};
    /// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = VerifyStore::new(Memory::new(), VerifyOptions::default());
    /// let key = Key::new("a")?;
    /// store.put(&key, "content").await?;
    /// let range = GetOptions::default().range(0..3);
    /// assert_eq!(store.get_verified(&key, range).await?.1, Verified::No);
    /// assert_eq!(store.get_verified(&key, GetOptions::default()).await?.1, Verified::Yes);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn get_verified(&self, key: &Key, options: GetOptions) -> Result<(Object, Verified)> {
        if options.range.is_none_or(ByteRange::is_whole) {
            return Ok((self.get_whole(key, options).await?, Verified::Yes));
        }
        if !self.options.outboards && self.options.refuse_unverified {
            let feature = "ranges that are verified";
            return Err(fallback::unsupported(Operation::Get, key, feature));
        }
        for _ in 0..ATTEMPTS {
            let (attempt, verified) = if self.options.outboards {
                (self.get_groups(key, &options).await?, Verified::Yes)
            } else {
                (self.get_unverified(key, &options).await?, Verified::No)
            };
            if let Some(object) = attempt {
                return Ok((object, verified));
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

    /// The size of the content of an inner object.
    fn content_len(&self, operation: Operation, key: &Key, stored: u64) -> Result<u64> {
        content_len(stored, self.options.outboards)
            .ok_or_else(|| damaged(operation, key, "it has a size that no object has"))
    }

    async fn get_whole(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let object = self.inner.get_opts(key, options).await?;
        let size = self.content_len(Operation::Get, key, object.metadata.size)?;
        let outboards = self.options.outboards;
        let body = match object.body.as_bytes() {
            Some(stored) if stored.len() as u64 == object.metadata.size && size <= EAGER => {
                content_of(Operation::Get, key, stored, size, outboards)?.into()
            }
            _ => whole(key, object.body, size, outboards),
        };
        Ok(Object {
            metadata: Metadata {
                size,
                ..object.metadata
            },
            range: 0..size,
            body,
        })
    }

    /// One attempt at a range without a tree; `None` if the object was replaced between the reads.
    async fn get_unverified(&self, key: &Key, options: &GetOptions) -> Result<Option<Object>> {
        let metadata = self.inner.head(key).await;
        let metadata = metadata.map_err(|error| error.map_operation(Operation::Get))?;
        options.check_conditions(key, &metadata.etag)?;
        let size = self.content_len(Operation::Get, key, metadata.size)?;
        let range = options.resolve_range(key, size)?;
        let same = GetOptions::default().if_match(metadata.etag.clone());
        let read = self.inner.get_opts(key, same.range(range.clone())).await;
        let Some(object) = unless_replaced(read)? else {
            return Ok(None);
        };
        Ok(Some(Object {
            metadata: Metadata {
                size,
                ..object.metadata
            },
            range,
            body: object.body,
        }))
    }

    /// One attempt at a range by its groups; `None` if the object was replaced between the reads.
    async fn get_groups(&self, key: &Key, options: &GetOptions) -> Result<Option<Object>> {
        let flawed = |what| damaged(Operation::Get, key, what);
        let last = ByteRange::suffix(READ_LAST).clamped();
        let last = match self.inner.get_opts(key, options.clone().range(last)).await {
            Err(Error::RangeNotSatisfiable { .. }) => return Err(flawed("it is empty")),
            last => last?,
        };
        let stored = last.metadata.size;
        let size = self.content_len(Operation::Get, key, stored)?;
        let end = last.body.collect(READ_LAST).await?;
        let trailer = Trailer::parse(&end, size, true).map_err(flawed)?;
        let range = options.resolve_range(key, size)?;
        let same = GetOptions::default().if_match(last.metadata.etag.clone());

        // What of the object came already begins here.
        let begin = stored - end.len() as u64;
        let cut = |from: u64, to: u64| end.slice((from - begin) as usize..(to - begin) as usize);
        let wanted = range.start / GROUP..range.end.div_ceil(GROUP);
        let expected = if size <= GROUP {
            Expected::Only(trailer.hash)
        } else {
            let proof = Proof::new(size, wanted.clone());
            let places = proof.places().into_iter();
            let places: Vec<_> = places.map(|p| size + p.start..size + p.end).collect();
            let missing: Vec<ByteRange> = places
                .iter()
                .filter(|place| place.start < begin)
                .map(|place| place.clone().into())
                .collect();
            let mut fetched = Vec::new();
            if !missing.is_empty() {
                let read = self
                    .inner
                    .get_ranges_opts(key, &missing, same.clone())
                    .await;
                match unless_replaced(read)? {
                    Some(ranges) => fetched = ranges.parts,
                    None => return Ok(None),
                }
            }
            let mut fetched = fetched.into_iter();
            let parts: Option<Vec<Bytes>> = places
                .iter()
                .map(|place| match place.start < begin {
                    true => fetched.next(),
                    false => Some(cut(place.start, place.end)),
                })
                .collect();
            let nodes = parts.and_then(|parts| proof.verify(&parts, &trailer.hash));
            Expected::Nodes(nodes.ok_or_else(|| flawed("its hash tree is another"))?)
        };

        let (from, to) = (wanted.start * GROUP, size.min(wanted.end * GROUP));
        let body = if from >= begin {
            cut(from, to).into()
        } else {
            let read = self.inner.get_opts(key, same.range(from..to)).await;
            match unless_replaced(read)? {
                Some(object) => object.body,
                None => return Ok(None),
            }
        };
        let reader = ExactReader::new(key, body);
        Ok(Some(Object {
            metadata: Metadata {
                size,
                ..last.metadata
            },
            body: groups(key, reader, size, wanted, expected, range.clone()),
            range,
        }))
    }

    /// The caller's entry for one of the inner store.
    fn entry(&self, entry: Entry, inline_values: Option<u64>) -> Result<Entry> {
        let size = self.content_len(Operation::List, &entry.key, entry.metadata.size)?;
        let value = match entry.value {
            Some(stored) if inline_values.is_some_and(|most| size <= most) => {
                let outboards = self.options.outboards;
                Some(content_of(
                    Operation::List,
                    &entry.key,
                    &stored,
                    size,
                    outboards,
                )?)
            }
            _ => None,
        };
        Ok(Entry {
            metadata: Metadata {
                size,
                ..entry.metadata
            },
            value,
            key: entry.key,
        })
    }

    /// The caller's options for a listing of the inner store.
    fn inner_listing(&self, options: ListOptions) -> ListOptions {
        let largest = |most: u64| {
            let most = most.min(self.capabilities.max_size);
            stored_len(most, self.options.outboards)
        };
        let inline_values = options.inline_values.map(largest);
        options.inline_values(inline_values)
    }
}

/// The answer to a read of one version, `None` if there is another one.
fn unless_replaced<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_not_found() || error.is_precondition() => Ok(None),
        Err(error) => Err(error),
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for VerifyStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
            let body = write::streamed(key, body, self.options.outboards, options.sha256)?;
            let options = options.size(body.size()).sha256(None);
            self.inner.put_opts(key, body, options).await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move { Ok(self.get_verified(key, options).await?.0) })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            let metadata = self.inner.head(key).await?;
            let size = self.content_len(Operation::Head, key, metadata.size)?;
            Ok(Metadata { size, ..metadata })
        })
    }

    methods!(inner => delete, delete_many, events, health, close);

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let (this, inline_values) = (self.clone(), options.inline_values);
        let listing = self.inner.list(self.inner_listing(options));
        listing
            .map(move |entry| this.entry(entry?, inline_values))
            .boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let (this, inline_values) = (self.clone(), options.inline_values);
        let listing = self.inner.list_delimited(self.inner_listing(options));
        listing
            .map(move |item| match item? {
                Listed::Object(entry) => this.entry(entry, inline_values).map(Listed::Object),
                prefix => Ok(prefix),
            })
            .boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // With all that it is verified by.
        self.inner.copy_opts(from, to, options)
    }

    methods!(fallback => get_ranges_opts);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        // It would give what is stored, and take what cannot be verified.
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

impl<S: ObjectStore> Batches for VerifyStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                return Ok(BatchResult::default());
            };
            let mut inner = Batch::new().durability(batch.durability);
            for op in batch.ops {
                inner = inner.op(match op {
                    BatchOp::Put { key, bytes, mode } => BatchOp::Put {
                        bytes: write::whole(&key, &bytes, self.options.outboards, None)?,
                        key,
                        mode,
                    },
                    delete => delete,
                });
            }
            batches.batch(inner).await
        })
    }
}
