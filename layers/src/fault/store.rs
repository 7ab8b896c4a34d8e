//! The store.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, GetOptions, Key, ListOptions,
    Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result, fallback, methods,
};

use super::planned::Planned;
use super::script::Faults;
use super::streams::{Breaking, Item, broken};

/// A store that fails as its script says, for tests of what stands above it.
///
/// With an empty script it is the inner store and a counter. A delay needs a Tokio runtime with
/// time enabled.
///
/// ```
/// use storehouse_layers::{Fault, FaultStore};
/// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = FaultStore::new(Memory::new());
/// let key = Key::new("a")?;
/// store.put(&key, "content").await?;
///
/// store.faults().add(Fault::error(ErrorClass::Transient).on(Operation::Get));
/// store.faults().add(Fault::cut(3).on(Operation::Get));
/// assert!(store.get_bytes(&key, 7).await.unwrap_err().is_transient());
/// assert!(store.get_bytes(&key, 7).await.unwrap_err().is_transient(), "after \"con\"");
/// assert_eq!(store.get_bytes(&key, 7).await?, "content");
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
}

impl<S: ObjectStore> FaultStore<S> {
    /// `inner` with an empty script.
    pub fn new(inner: S) -> Self {
        Self::with_faults(inner, Faults::new())
    }

    /// `inner` with this script, which several stores may share.
    ///
    /// ```
    /// use storehouse_layers::{FaultStore, Faults};
    /// use storehouse_objectstore::Memory;
    ///
    /// let store = FaultStore::with_faults(Memory::new(), Faults::seeded(7));
    /// # assert_eq!(store.faults().happened(), 0);
    /// ```
    pub fn with_faults(inner: S, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The script.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The store that is made to fail.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
    /// store.faults().add(Fault::lost_answer(ErrorClass::Transient));
    /// store.put(&key, "content").await.unwrap_err();
    /// assert!(store.inner().exists(&key).await?, "it was stored nevertheless");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn plan(&self, operation: Operation, key: &Key) -> Planned {
        self.faults.plan(operation, Some(key), key.as_str())
    }
}

impl Item for Entry {
    fn len(&self) -> u64 {
        1
    }

    fn split_to(&mut self, _: u64) -> Self {
        self.clone()
    }

    fn flip(&mut self, _: u64, _: u8) {}
}

impl Item for Listed {
    fn len(&self) -> u64 {
        1
    }

    fn split_to(&mut self, _: u64) -> Self {
        self.clone()
    }

    fn flip(&mut self, _: u64, _: u8) {}
}

fn broken_listing<T: Item + Send + Unpin + 'static>(
    items: BoxStream<'static, Result<T>>,
    mut planned: Planned,
) -> BoxStream<'static, Result<T>> {
    let start = async move {
        planned.start().await?;
        planned.after.take().map_or(Ok(()), Err)?;
        Ok(Breaking::new(items, planned, 0))
    };
    stream::once(start.boxed()).try_flatten().boxed()
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for FaultStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let mut planned = self.plan(Operation::Put, key);
            planned.start().await?;
            let after = planned.after.take();
            let body = broken(body, planned, 0);
            let put = self.inner.put_opts(key, body, options).await?;
            after.map_or(Ok(put), Err)
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            let mut planned = self.plan(Operation::Get, key);
            planned.start().await?;
            let object = self.inner.get_opts(key, options).await?;
            if let Some(error) = planned.after.take() {
                return Err(error);
            }
            let body = broken(object.body, planned, object.range.start);
            Ok(Object { body, ..object })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            let planned = self.plan(Operation::Head, key);
            planned.run(self.inner.head(key)).await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let planned = self.plan(Operation::Delete, key);
            planned.run(self.inner.delete(key)).await
        })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.then(move |key| async move { self.delete(&key).await.map(|()| key) })
            .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let planned = self.faults.plan(Operation::List, None, &options.prefix);
        broken_listing(self.inner.list(options), planned)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let planned = self.faults.plan(Operation::List, None, &options.prefix);
        broken_listing(self.inner.list_delimited(options), planned)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let planned = self.plan(Operation::Copy, to);
            planned.run(self.inner.copy_opts(from, to, options)).await
        })
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        // In terms of gets, so that what is wrong with bodies is wrong with these.
        Box::pin(fallback::get_ranges(self, key, ranges, options))
    }

    methods!(inner => events, capabilities);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        Box::pin(async move {
            let planned = self.plan(Operation::Presign, key);
            planned.run(self.inner.presign(key, options)).await
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let planned = self.faults.plan(Operation::Health, None, "");
            planned.run(self.inner.health()).await
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let planned = self.faults.plan(Operation::Close, None, "");
            planned.run(self.inner.close()).await
        })
    }
}

impl<S: ObjectStore> Batches for FaultStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let first = batch.ops.first().map(|op| op.key().clone());
            let text = first.as_ref().map_or("", Key::as_str);
            let planned = self.faults.plan(Operation::Batch, first.as_ref(), text);
            match self.inner.batches() {
                Some(batches) => planned.run(batches.batch(batch)).await,
                // Unreachable: `batches` gives `None` too.
                None => Ok(BatchResult::default()),
            }
        })
    }
}
