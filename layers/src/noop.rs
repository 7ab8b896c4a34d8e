//! A store that accepts every write and holds nothing.
//!
//! | operation | what it does |
//! |---|---|
//! | put | reads the body to its end, checks its size and its mode against an empty store |
//! | get, get_ranges, head, copy | not found |
//! | delete, delete_many | ok |
//! | list, list_delimited | ends at once |
//! | events, presign | there are none |
//! | batches | there are none |
//! | close | refuses every operation after it |
//!
//! It has no inner store and holds one piece of a body at a time. What it acknowledges is lost at
//! once, by design: it breaks rules 3 and 6 of the contract, and passes no conformance suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future, stream};
use storehouse_objectstore::{
    Attributes, Body, ByteRange, Capabilities, CopyOptions, ETag, Entry, Error, GetOptions, Key,
    Lifecycle, ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutOptions, PutResult, Result, SizedBody, fallback, methods,
};

/// A store that swallows what is put: to switch one off, or to measure what stands above it.
///
/// ```
/// use storehouse_layers::NoopStore;
/// use storehouse_objectstore::{Key, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (store, key) = (NoopStore::new(), Key::new("a")?);
/// store.put(&key, "content").await?;
/// assert!(!store.exists(&key).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoopStore {
    capabilities: Capabilities,
    lifecycle: Lifecycle,
    versions: Arc<AtomicU64>,
}

impl Default for NoopStore {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::full().with_max_attributes(Attributes::MAX_SIZE),
            lifecycle: Lifecycle::default(),
            versions: Arc::default(),
        }
    }
}

impl NoopStore {
    /// A store that is empty and stays so.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn not_found<T>(&self, operation: Operation, key: &Key) -> Result<T> {
        self.lifecycle.check(operation, Some(key))?;
        Err(Error::not_found(operation, key))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for NoopStore {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let _running = self.lifecycle.enter(Operation::Put, Some(key))?;
            let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
            while body.next().await.transpose()?.is_some() {}
            options.mode.check(key, None)?;
            let version = self.versions.fetch_add(1, Ordering::Relaxed);
            Ok(PutResult {
                etag: ETag::new(version.to_string()),
            })
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, _: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(future::ready(self.not_found(Operation::Get, key)))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(future::ready(self.not_found(Operation::Head, key)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let open = self.lifecycle.check(Operation::Delete, Some(key));
        Box::pin(future::ready(open))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(|key| {
            self.lifecycle
                .check(Operation::Delete, Some(&key))
                .map(|()| key)
        })
        .boxed()
    }

    fn list(&self, _: ListOptions) -> BoxStream<'static, Result<Entry>> {
        stream::iter(self.lifecycle.check(Operation::List, None).err().map(Err)).boxed()
    }

    fn list_delimited(&self, _: ListOptions) -> BoxStream<'static, Result<Listed>> {
        stream::iter(self.lifecycle.check(Operation::List, None).err().map(Err)).boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        _: &'a Key,
        _: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(future::ready(self.not_found(Operation::Copy, from)))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        _: &'a [ByteRange],
        _: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(future::ready(self.not_found(Operation::Get, key)))
    }

    methods!(none => events, batches);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(future::err(unsupported))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(future::ready(self.lifecycle.check(Operation::Health, None)))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.lifecycle.close().await;
            Ok(())
        })
    }
}
