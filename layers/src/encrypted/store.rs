//! The store and its trait.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error,
    ErrorClass, GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutMode, PutOptions, PutResult, Result, SizedBody, fallback,
    methods,
};

use super::format::{FRAME, HEADER, Header, TAG, content_len, frames, largest_content, stored_len};
use super::frames::{cipher_of, content_of, failed, not_ours, opened, sealed, whole};
use super::keys::EncryptionKeys;
use crate::parts::ExactReader;

/// How often a range is read anew because its object was replaced between two reads.
const ATTEMPTS: usize = 16;

/// A store that encrypts what it stores.
///
/// ```
/// use storehouse_layers::{EncryptedStore, EncryptionKeys};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let inner = Memory::new();
/// // A key that cannot be guessed, from a file or a keystore.
/// let store = EncryptedStore::new(inner.clone(), EncryptionKeys::new("2026", [7; 32])?);
/// let key = Key::new("a")?;
/// store.put(&key, "a secret").await?;
/// assert_eq!(store.get_bytes(&key, 100).await?, "a secret");
/// let stored = inner.get_bytes(&key, 100).await?;
/// assert!(!stored.windows(6).any(|part| part == b"secret"));
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EncryptedStore<S> {
    inner: Arc<S>,
    keys: Arc<EncryptionKeys>,
    capabilities: Capabilities,
}

impl<S> Clone for EncryptedStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            keys: Arc::clone(&self.keys),
            capabilities: self.capabilities.clone(),
        }
    }
}

/// What [`EncryptedStore::rotate`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotated {
    /// Objects that were under an older key, and are under the current one.
    pub objects: u64,
    /// The bytes of their contents.
    pub bytes: u64,
}

impl<S: ObjectStore> EncryptedStore<S> {
    /// `inner`, holding objects encrypted with these keys. It can hold no others.
    pub fn new(inner: S, keys: EncryptionKeys) -> Self {
        let under = inner.capabilities();
        let most = largest_content(under.max_size);
        let capabilities = under
            .clone()
            .with_verifies_sha256(false)
            .with_native_copy(false)
            .with_rename(false)
            .with_presign(false)
            .with_max_size(most);
        Self {
            inner: Arc::new(inner),
            keys: Arc::new(keys),
            capabilities,
        }
    }

    /// The store of the encrypted objects.
    ///
    /// ```
    /// # use storehouse_layers::{EncryptedStore, EncryptionKeys};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = EncryptedStore::new(Memory::new(), EncryptionKeys::new("a", [7; 32])?);
    /// assert!(store.inner().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Encrypts with the current key what is under older ones, so that these can be given up. One
    /// object at a time, while others read and write; what is written meanwhile is under the
    /// current key. Each gets a new ETag and a new time.
    ///
    /// # Errors
    /// Those of the inner store; [`Error::Unsupported`] if it does not honour
    /// [`PutMode::Replace`], as S3 does not above 5 GiB. An object that fails keeps no other one
    /// from being encrypted anew: the first error is returned at the end, and as long as there is
    /// one, older keys are still needed. It can be run again.
    ///
    /// ```
    /// use storehouse_layers::{EncryptedStore, EncryptionKeys};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (inner, key) = (Memory::new(), Key::new("a")?);
    /// let old = EncryptedStore::new(inner.clone(), EncryptionKeys::new("2025", [5; 32])?);
    /// old.put(&key, "content").await?;
    /// let both = EncryptionKeys::new("2026", [6; 32])?.with_older("2025", [5; 32])?;
    /// assert_eq!(EncryptedStore::new(inner.clone(), both).rotate().await?.objects, 1);
    /// let new = EncryptedStore::new(inner, EncryptionKeys::new("2026", [6; 32])?);
    /// assert_eq!(new.get_bytes(&key, 100).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn rotate(&self) -> Result<Rotated> {
        let (mut done, mut failure) = (Rotated::default(), None);
        let mut listing = self.inner.list(ListOptions::default());
        while let Some(entry) = listing.try_next().await? {
            match self.rotate_one(&entry.key).await {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    done.objects += 1;
                    done.bytes += bytes;
                }
                // Removed or written anew meanwhile.
                Err(error) if error.is_not_found() || error.is_precondition() => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(done), Err)
    }

    /// The bytes that were encrypted anew; `None` if the object is under the current key.
    async fn rotate_one(&self, key: &Key) -> Result<Option<u64>> {
        let header = self.read_header(key, GetOptions::default()).await?.1;
        let header = Header::parse(&header).map_err(|what| not_ours(Operation::Get, key, what))?;
        if header.id() == self.keys.current() {
            return Ok(None);
        }
        let object = self.get_whole(key, GetOptions::default()).await?;
        let size = object.size();
        let options = PutOptions::default()
            .mode(PutMode::Replace(object.metadata.etag))
            .attributes(object.metadata.attributes);
        self.put_opts(key, object.body, options).await?;
        Ok(Some(size))
    }

    /// The size of the content of an inner object.
    fn content_len(&self, operation: Operation, key: &Key, stored: u64) -> Result<u64> {
        content_len(stored)
            .ok_or_else(|| not_ours(operation, key, "it has a size that no object has"))
    }

    async fn get_whole(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let object = self.inner.get_opts(key, options).await?;
        let size = self.content_len(Operation::Get, key, object.metadata.size)?;
        let mut reader = ExactReader::new(key, object.body);
        let header = reader.take(HEADER).await?;
        let cipher = cipher_of(Operation::Get, &self.keys, &header, key, size)?;
        Ok(Object {
            metadata: Metadata {
                size,
                ..object.metadata
            },
            range: 0..size,
            body: opened(key, cipher, reader, size, 0..frames(size), 0..size),
        })
    }

    async fn read_header(
        &self,
        key: &Key,
        conditions: GetOptions,
    ) -> Result<(Metadata, bytes::Bytes)> {
        let header = ByteRange::from(0..HEADER as u64).clamped();
        match self.inner.get_opts(key, conditions.range(header)).await {
            Ok(object) => Ok((object.metadata, object.body.collect(HEADER as u64).await?)),
            Err(Error::RangeNotSatisfiable { .. }) => {
                Err(not_ours(Operation::Get, key, "it is empty"))
            }
            Err(error) => Err(error),
        }
    }

    /// One attempt at a range; `None` if the object was replaced between the reads.
    async fn get_range(&self, key: &Key, options: &GetOptions) -> Result<Option<Object>> {
        let (metadata, header) = self.read_header(key, options.clone()).await?;
        let size = self.content_len(Operation::Get, key, metadata.size)?;
        let cipher = cipher_of(Operation::Get, &self.keys, &header, key, size)?;
        let range = options.resolve_range(key, size)?;
        let wanted = range.start / FRAME..range.end.div_ceil(FRAME);
        let from = HEADER as u64 + wanted.start * (FRAME + TAG);
        let to = metadata
            .size
            .min(HEADER as u64 + wanted.end * (FRAME + TAG));
        let same = GetOptions::default().if_match(metadata.etag.clone());
        let body = match self.inner.get_opts(key, same.range(from..to)).await {
            Ok(object) => object.body,
            Err(error) if error.is_not_found() || error.is_precondition() => return Ok(None),
            Err(error) => return Err(error),
        };
        let reader = ExactReader::new(key, body);
        Ok(Some(Object {
            metadata: Metadata { size, ..metadata },
            body: opened(key, cipher, reader, size, wanted, range.clone()),
            range,
        }))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if options.range.is_none_or(ByteRange::is_whole) {
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

    /// The caller's entry for one of the inner store.
    fn entry(&self, entry: Entry, inline_values: Option<u64>) -> Result<Entry> {
        let size = self.content_len(Operation::List, &entry.key, entry.metadata.size)?;
        let value = match entry.value {
            Some(stored) if inline_values.is_some_and(|most| size <= most) => {
                if stored.len() as u64 != entry.metadata.size {
                    return Err(failed(
                        Operation::List,
                        &entry.key,
                        "a value has another size",
                    ));
                }
                let keys = &self.keys;
                Some(content_of(
                    Operation::List,
                    keys,
                    &entry.key,
                    &stored,
                    size,
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
        let largest = |most: u64| stored_len(most.min(self.capabilities.max_size));
        let inline_values = options.inline_values.map(largest);
        options.inline_values(inline_values)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for EncryptedStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
            let body = sealed(&self.keys, key, body)?;
            let options = options.size(body.size()).sha256(None);
            self.inner.put_opts(key, body, options).await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get(key, options))
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
        // What is stored belongs to its name.
        Box::pin(fallback::copy(self, from, to, options))
    }

    methods!(fallback => get_ranges_opts);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        // It would give what is stored, and take what is not encrypted.
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

impl<S: ObjectStore> Batches for EncryptedStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                return Ok(BatchResult::default());
            };
            let mut inner = Batch::new().durability(batch.durability);
            for op in batch.ops {
                inner = inner.op(match op {
                    BatchOp::Put { key, bytes, mode } => BatchOp::Put {
                        bytes: whole(Operation::Batch, &self.keys, &key, &bytes)?,
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
