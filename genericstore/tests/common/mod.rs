//! An object store without batches, whose writes can be made to fail.

#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error, ErrorClass, Events,
    GetOptions, Key, ListOptions, Listed, Memory, Metadata, Object, ObjectRanges, ObjectStore,
    ObjectStoreExt, Operation, PresignOptions, PresignedRequest, PutOptions, PutResult, Result,
};

/// Memory, as a store without batches: like a process that is killed, it does a number of writes
/// and then no more.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    memory: Memory,
    left: Arc<AtomicUsize>,
    gets: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
    /// Whether listings bring values along, as those of a server do not.
    values: bool,
}

impl Plain {
    pub(crate) fn new() -> Self {
        Self {
            memory: Memory::new(),
            left: Arc::new(usize::MAX.into()),
            gets: Arc::default(),
            lists: Arc::default(),
            values: false,
        }
    }

    pub(crate) fn listing_values(self) -> Self {
        Self {
            values: true,
            ..self
        }
    }

    pub(crate) fn fail_after(&self, writes: usize) {
        self.left.store(writes, Ordering::SeqCst);
    }

    pub(crate) fn fail_never(&self) {
        self.fail_after(usize::MAX);
    }

    /// Gets and list requests since this was last asked.
    pub(crate) fn requests(&self) -> (usize, usize) {
        (
            self.gets.swap(0, Ordering::SeqCst),
            self.lists.swap(0, Ordering::SeqCst),
        )
    }

    pub(crate) async fn copy(&self) -> Self {
        let copy = Self::new();
        let entries: Vec<_> = self.memory.list_prefix("").try_collect().await.unwrap();
        for entry in entries {
            let bytes = self.memory.get_bytes(&entry.key, 1 << 20).await.unwrap();
            copy.memory.put(&entry.key, bytes).await.unwrap();
        }
        copy
    }

    fn write(&self, operation: Operation) -> Result<()> {
        let less = |left: usize| {
            if left == usize::MAX {
                Some(left)
            } else {
                left.checked_sub(1)
            }
        };
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .map(drop)
            .map_err(|_| Error::Backend {
                operation,
                key: None,
                class: ErrorClass::Fatal,
                message: "killed".into(),
                source: None,
            })
    }
}

impl ObjectStore for Plain {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            self.write(Operation::Put)?;
            self.memory.put_opts(key, body, options).await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            self.gets.fetch_add(1, Ordering::SeqCst);
            // So that others can come in between.
            tokio::task::yield_now().await;
            self.memory.get_opts(key, options).await
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.memory.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.write(Operation::Delete)?;
            self.memory.delete(key).await
        })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.then(move |key| async move { self.delete(&key).await.map(|()| key) })
            .boxed()
    }

    fn list(&self, mut options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        options.inline_values = options.inline_values.filter(|_| self.values);
        self.memory.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.memory.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        ObjectStore::copy_opts(&self.memory, from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        ObjectStore::get_ranges_opts(&self.memory, key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.memory.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        ObjectStore::presign(&self.memory, key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.memory.health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.memory.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        ObjectStore::close(&self.memory)
    }
}
