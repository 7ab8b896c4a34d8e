//! A store that leaves some of its disk free.

use std::io::ErrorKind;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, CopyOptions, Error, Key, ObjectStore, Operation,
    PutOptions, PutResult, Result, methods,
};

use super::disk::Disk;

/// A store whose puts are refused, before any of the body is read, if less than `repo.min_free`
/// would stay free on its disk. That space is for what must go on: deleting, opening, the journal.
#[derive(Debug)]
pub(crate) struct MinFreeStore<S> {
    inner: S,
    disk: Arc<Disk>,
}

impl<S: ObjectStore> MinFreeStore<S> {
    pub(crate) fn new(inner: S, disk: Disk) -> Self {
        let disk = Arc::new(disk);
        Self { inner, disk }
    }

    /// Refuses to write `bytes` if there is no room for them.
    async fn check(&self, operation: Operation, key: Option<&Key>, bytes: u64) -> Result<()> {
        let Some(space) = self.disk.recent().await else {
            return Ok(()); // the write will tell what is wrong
        };
        if space.free.saturating_sub(bytes) >= space.min_free {
            return Ok(());
        }
        let what = format!(
            "{} bytes are free, and repo.min_free keeps {} of them",
            space.free, space.min_free
        );
        Err(Error::io(
            operation,
            key,
            what,
            ErrorKind::StorageFull.into(),
        ))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for MinFreeStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let size = options.size.or(body.size()).unwrap_or(0);
            self.check(Operation::Put, Some(key), size).await?;
            self.inner.put_opts(key, body, options).await
        })
    }

    methods!(inner => get_opts, head, delete, delete_many, list, list_delimited, get_ranges_opts);
    methods!(inner => events, presign, health, capabilities, close);

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            // How large the copy is, the store finds out. A rename takes no space.
            if !options.remove_source {
                self.check(Operation::Copy, Some(to), 0).await?;
            }
            self.inner.copy_opts(from, to, options).await
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for MinFreeStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let puts = batch.ops.iter().filter_map(|op| match op {
                BatchOp::Put { key, bytes, .. } => Some((key, bytes.len() as u64)),
                _ => None,
            });
            let (mut key, mut size) = (None, 0);
            for (put, bytes) in puts {
                key = key.or(Some(put));
                size += bytes;
            }
            // One that only deletes makes room.
            if key.is_some() {
                self.check(Operation::Batch, key, size).await?;
            }
            match self.inner.batches() {
                Some(batches) => batches.batch(batch).await,
                None => Err(Error::closed(Operation::Batch, None)),
            }
        })
    }
}
