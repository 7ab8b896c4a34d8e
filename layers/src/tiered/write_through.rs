//! Both tiers, with puts that are durable in the slow one when they return.

use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error, Events,
    GetOptions, Key, Lifecycle, ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore,
    Operation, PresignMethod, PresignOptions, PresignedRequest, PutOptions, PutResult, Result,
    SizedBody, fallback,
};
use tokio::runtime::Handle;

use super::copy::{copy_bytes, fits, run_fill};
use super::fill::FillEnd;
use super::keys::{Activity, Begin, Keys, Writing};
use super::options::{TierDirection, TieredOptions};
use super::read::{from_copy, from_fill, look_up, open_copy};
use crate::parts::{CommitPoint, detached, detached_put, gated};

/// What a store with a slow tier that is not written does not support.
const WRITES: &str = "writes: its slow tier is read only";

/// Both tiers. Clones share them.
#[derive(Debug)]
pub(super) struct WriteThrough<F, S>(Arc<Tiers<F, S>>);

impl<F, S> Clone for WriteThrough<F, S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Tiers<F, S> {
    fast: Arc<F>,
    slow: Arc<S>,
    options: TieredOptions,
    capabilities: Capabilities,
    keys: Arc<Keys>,
    /// Of the fills.
    lifecycle: Lifecycle,
}

impl<F: ObjectStore, S: ObjectStore> WriteThrough<F, S> {
    pub(super) fn new(fast: Arc<F>, slow: Arc<S>, options: TieredOptions) -> Self {
        let capabilities = slow.capabilities().clone();
        let capabilities = if options.slow_read_only {
            capabilities
                .with_create(false)
                .with_replace(false)
                .with_native_copy(false)
                .with_rename(false)
        } else {
            capabilities
        };
        Self(Arc::new(Tiers {
            fast,
            slow,
            options,
            capabilities,
            keys: Arc::default(),
            lifecycle: Lifecycle::default(),
        }))
    }

    fn check_writable(&self, operation: Operation, key: &Key) -> Result<()> {
        if self.0.options.slow_read_only {
            return Err(Error::Unsupported {
                operation,
                key: key.clone(),
                feature: WRITES,
            });
        }
        Ok(())
    }
}

impl<F: ObjectStore, S: ObjectStore> Tiers<F, S> {
    /// Whether a get that misses makes a copy.
    fn may_fill(&self, key: &Key, options: &GetOptions) -> bool {
        self.options.fast.fills()
            && options.if_match.is_none()
            && options.if_none_match.is_none()
            && (self.options.fill_ranges || options.range.is_none_or(|range| range.is_whole()))
            && self.fast.capabilities().accepts_key(key)
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let open = |metadata: &Metadata| {
            options.check_conditions(key, &metadata.etag)?;
            options.resolve_range(key, metadata.size)
        };
        // Twice, for who waits for a copy that another makes.
        for _ in 0..2 {
            let fill = match self.keys.activity(key) {
                Activity::Written => break,
                Activity::Copied(fill) => fill,
                Activity::None => {
                    if let Some(copy) = look_up(&*self.fast, key).await {
                        let range = open(&copy.metadata)?;
                        match open_copy(&*self.fast, key, &copy, &range).await {
                            Some(body) => {
                                let metadata = copy.metadata;
                                return Ok(from_copy(&self.slow, key, metadata, range, body));
                            }
                            None => break,
                        }
                    }
                    if !self.may_fill(key, &options) {
                        break;
                    }
                    let (window, most) = (self.options.window, self.options.max_fills);
                    match self.keys.begin_fill(key, window, most) {
                        Begin::Join(fill) => fill,
                        Begin::No => break,
                        Begin::Run(filling) => {
                            let Ok(runtime) = Handle::try_current() else {
                                break;
                            };
                            let running = self.lifecycle.enter(Operation::Get, Some(key))?;
                            let fill = Arc::clone(filling.fill());
                            let tiers = (Arc::clone(&self.fast), Arc::clone(&self.slow));
                            let options = self.options.clone();
                            runtime.spawn(run_fill(tiers, options, filling, running));
                            fill
                        }
                    }
                }
            };
            match fill.open(open).await? {
                Ok(opened) => return Ok(from_fill(&self.slow, key, opened)),
                Err(FillEnd::Copied) => {}
                Err(FillEnd::NotFound) => return Err(Error::not_found(Operation::Get, key)),
                Err(FillEnd::Failed) => {
                    if options == GetOptions::default()
                        && let Some(object) = fill.take_object()
                    {
                        return Ok(object);
                    }
                    break;
                }
            }
        }
        self.slow.get_opts(key, options).await
    }

    /// Begins a write, and deletes the copy before anything changes in the slow tier.
    async fn begin_put(&self, key: &Key) -> Result<Writing> {
        let writing = self.keys.begin_write(key).await;
        self.delete_copy(key).await?;
        Ok(writing)
    }

    async fn delete_copy(&self, key: &Key) -> Result<()> {
        if self.options.fast == TierDirection::ReadOnly {
            return Ok(());
        }
        self.fast.delete(key).await
    }

    async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let copied = body.again().filter(|_| {
            let size = body.size().unwrap_or(u64::MAX);
            self.options.fast.updates()
                && fits(&*self.fast, &self.options, &key, size, &options.attributes)
        });
        let (put, writing) = if body.as_bytes().is_some() {
            let writing = self.begin_put(&key).await?;
            point.pass().await;
            (self.slow.put_opts(&key, body, options).await, Some(writing))
        } else {
            let sized = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
            let held = Arc::new(Mutex::new(None));
            let (tiers, hold, held_key) = (Arc::clone(&self), Arc::clone(&held), key.clone());
            // The copy is there for readers until right before the commit.
            let body = gated(sized, move || async move {
                let writing = tiers.begin_put(&held_key).await?;
                *hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
                point.pass().await;
                Ok(())
            });
            let put = self.slow.put_opts(&key, body, options).await;
            let writing = held.lock().unwrap_or_else(PoisonError::into_inner).take();
            (put, writing)
        };
        let put = put?;
        if let (Some(body), Some(writing)) = (copied, &writing) {
            self.copy_put(&key, body, &put, writing).await;
        }
        Ok(put)
    }

    async fn copy_put(&self, key: &Key, body: Body, put: &PutResult, writing: &Writing) {
        // A put does not tell the time that the object has.
        let Ok(metadata) = self.slow.head(key).await else {
            return;
        };
        if metadata.etag == put.etag
            && let Some(filling) = writing.begin_copy()
        {
            copy_bytes(&*self.fast, filling, body, &metadata).await;
        }
    }

    async fn delete(self: Arc<Self>, key: Key) -> Result<()> {
        let _writing = self.keys.begin_write(&key).await;
        self.slow.delete(&key).await?;
        self.delete_copy(&key).await
    }

    async fn copy_object(
        self: Arc<Self>,
        from: Key,
        to: Key,
        options: CopyOptions,
    ) -> Result<PutResult> {
        let _writing = self.begin_put(&to).await?;
        let _moving = if options.remove_source && from != to {
            Some(self.begin_put(&from).await?)
        } else {
            None
        };
        self.slow.copy_opts(&from, &to, options).await
    }

    async fn batch(self: Arc<Self>, batch: Batch) -> Result<BatchResult> {
        let mut writing = Vec::with_capacity(batch.ops.len());
        for op in &batch.ops {
            writing.push(self.begin_put(op.key()).await?);
        }
        match self.slow.batches() {
            Some(batches) => batches.batch(batch).await,
            // Unreachable: `batches` gives `None` too.
            None => Ok(BatchResult::default()),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: ObjectStore, S: ObjectStore> ObjectStore for WriteThrough<F, S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if let Err(error) = self.check_writable(Operation::Put, key) {
            return Box::pin(future::err(error));
        }
        let (tiers, key) = (Arc::clone(&self.0), key.clone());
        Box::pin(detached_put(move |point| {
            tiers.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.0.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            if !matches!(self.0.keys.activity(key), Activity::Written)
                && let Some(copy) = look_up(&*self.0.fast, key).await
            {
                return Ok(copy.metadata);
            }
            self.0.slow.head(key).await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        if let Err(error) = self.check_writable(Operation::Delete, key) {
            return Box::pin(future::err(error));
        }
        let tiers = Arc::clone(&self.0);
        Box::pin(detached(tiers.delete(key.clone())))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let gone = keys.map(move |key| async move { self.delete(&key).await.map(|()| key) });
        gone.buffer_unordered(16).boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.0.slow.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.0.slow.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if let Err(error) = self.check_writable(Operation::Copy, to) {
            return Box::pin(future::err(error));
        }
        let tiers = Arc::clone(&self.0);
        Box::pin(detached(tiers.copy_object(
            from.clone(),
            to.clone(),
            options,
        )))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(async move {
            if matches!(self.0.keys.activity(key), Activity::None)
                && look_up(&*self.0.fast, key).await.is_some()
            {
                return fallback::get_ranges(self, key, ranges, options).await;
            }
            self.0.slow.get_ranges_opts(key, ranges, options).await
        })
    }

    fn events(&self) -> Option<Events> {
        self.0.slow.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        if !matches!(options.method, PresignMethod::Get | PresignMethod::Head)
            && let Err(error) = self.check_writable(Operation::Presign, key)
        {
            return Box::pin(future::err(error));
        }
        self.0.slow.presign(key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.0.slow.health().await?;
            self.0.fast.health().await
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        if self.0.options.slow_read_only {
            return None;
        }
        self.0.slow.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.0.keys.cancel_fills();
            self.0.lifecycle.close().await;
            let slow = self.0.slow.close().await;
            slow.and(self.0.fast.close().await)
        })
    }
}

impl<F: ObjectStore, S: ObjectStore> Batches for WriteThrough<F, S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(detached(Arc::clone(&self.0).batch(batch)))
    }
}
