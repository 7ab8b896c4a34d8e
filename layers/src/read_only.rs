//! A store that can be read but not written.
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | put, copy, delete; presign of one | fails with [`Error::Unsupported`]; no byte of the body is read | 0 |
//! | delete_many | the same for each key | 0 |
//! | batches | there are none | 0 |
//! | get, get_ranges, head, list, list_delimited, events, presign of a read, health, close | as the inner store | 1 |
//!
//! The layer holds nothing, so a crash loses nothing.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::{
    Body, Capabilities, CopyOptions, Error, Key, ObjectStore, Operation, PresignMethod,
    PresignOptions, PresignedRequest, PutOptions, PutResult, Result, methods,
};

/// What the store does not support.
const WRITES: &str = "writes: it is read only";

/// A store that refuses every write.
///
/// Its [`Capabilities`] say that no put mode but overwriting exists, and that one is refused too.
///
/// ```
/// use storehouse_layers::ReadOnlyStore;
/// use storehouse_objectstore::{Error, Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (memory, key) = (Memory::new(), Key::new("a")?);
/// memory.put(&key, "content").await?;
/// let store = ReadOnlyStore::new(memory);
/// assert_eq!(store.get_bytes(&key, 7).await?, "content");
/// let refused = store.put(&key, "other").await.unwrap_err();
/// assert!(matches!(refused, Error::Unsupported { .. }));
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReadOnlyStore<S> {
    inner: S,
    capabilities: Capabilities,
}

impl<S: ObjectStore> ReadOnlyStore<S> {
    /// `inner`, without its writes.
    pub fn new(inner: S) -> Self {
        let capabilities = inner
            .capabilities()
            .clone()
            .with_create(false)
            .with_replace(false)
            .with_verifies_sha256(false)
            .with_native_copy(false)
            .with_rename(false);
        Self {
            inner,
            capabilities,
        }
    }

    /// The store that is read.
    ///
    /// ```
    /// use storehouse_layers::ReadOnlyStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (ReadOnlyStore::new(Memory::new()), Key::new("a")?);
    /// store.inner().put(&key, "content").await?; // its owner writes it
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

fn refused(operation: Operation, key: &Key) -> Error {
    Error::Unsupported {
        operation,
        key: key.clone(),
        feature: WRITES,
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ReadOnlyStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        _: Body,
        _: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(future::err(refused(Operation::Put, key)))
    }

    methods!(inner => get_opts, head, list, list_delimited, get_ranges_opts, events, health, close);

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(future::err(refused(Operation::Delete, key)))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(|key| Err(refused(Operation::Delete, &key)))
            .boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        _: &'a Key,
        to: &'a Key,
        _: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(future::err(refused(Operation::Copy, to)))
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        match options.method {
            PresignMethod::Get | PresignMethod::Head => self.inner.presign(key, options),
            _ => Box::pin(future::err(refused(Operation::Presign, key))),
        }
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    methods!(none => batches);
}
