//! A journal whose operations are counted and traced.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use storehouse_formats::Cid;
use storehouse_objectstore::Body;
use storehouse_objectstore::observe::{Meter, OperationSpan, TARGET};
use tokio::sync::watch;
use tracing::{Instrument, Span, debug_span};

use super::contract::Journal;
use super::options::Retention;
use super::types::{Appended, BatchInfo, Status};
use crate::error::Result;
use crate::observe::note;

/// A journal whose operations are counted, timed and traced, under the label `store="journal"`.
/// `docs/reference/metrics.md` lists the names.
#[derive(Clone, Debug)]
pub struct ObservedJournal<J> {
    inner: J,
    meters: Arc<Meters>,
}

#[derive(Debug)]
struct Meters {
    append: Meter,
    rotate: Meter,
    get_batch: Meter,
    acknowledge: Meter,
    remove: Meter,
    gc: Meter,
    read: Meter,
    sync: Meter,
}

impl<J: Journal> ObservedJournal<J> {
    /// `inner`, counted under the label `backend` (such as `files`).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal, ObservedJournal};
    ///
    /// let journal = ObservedJournal::new(MemoryJournal::new(100 << 20), "memory");
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// assert!(journal.force_rotate().await?.is_some());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn new(inner: J, backend: &'static str) -> Self {
        let meter = |operation| Meter::new("journal", backend, operation);
        let meters = Meters {
            append: meter("append"),
            rotate: meter("rotate"),
            get_batch: meter("get_batch"),
            acknowledge: meter("acknowledge"),
            remove: meter("remove"),
            gc: meter("gc"),
            read: meter("read"),
            sync: meter("sync"),
        };
        Self {
            inner,
            meters: Arc::new(meters),
        }
    }

    fn span(&self, operation: &Meter, batch: Option<&Cid>) -> Span {
        let batch = batch.map(tracing::field::display);
        debug_span!(target: TARGET, "journal", backend = operation.backend(), operation = operation.operation(), batch)
    }

    async fn observe<T>(
        &self,
        meter: &Meter,
        batch: Option<&Cid>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let span = self.span(meter, batch);
        let mut running = OperationSpan::start(meter, span.clone());
        let result = call.instrument(span).await;
        note(&mut running, &result);
        result
    }

    /// A rotation happens within an append as well as by force: it is counted as an operation of
    /// its own.
    fn rotated(&self, batch: &Cid) {
        OperationSpan::start(
            &self.meters.rotate,
            self.span(&self.meters.rotate, Some(batch)),
        )
        .succeeded();
    }
}

#[deny(clippy::missing_trait_methods)]
impl<J: Journal> Journal for ObservedJournal<J> {
    fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>> {
        let (meter, len) = (&self.meters.append, archive.len() as u64);
        Box::pin(async move {
            let appended = self
                .observe(meter, None, self.inner.append(archive))
                .await?;
            meter.bytes_in(len);
            if let Some(batch) = &appended.rotated {
                self.rotated(batch);
            }
            if let Some(error) = &appended.rotation_error {
                let rotate = &self.meters.rotate;
                OperationSpan::start(rotate, self.span(rotate, None)).failed(
                    error.outcome(),
                    error.is_full(),
                    error,
                );
            }
            Ok(appended)
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.observe(&self.meters.sync, None, self.inner.sync()))
    }

    fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>> {
        Box::pin(self.observe(&self.meters.rotate, None, self.inner.force_rotate()))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(self.observe(&self.meters.read, None, self.inner.list()))
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(self.observe(&self.meters.read, None, self.inner.pending()))
    }

    fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>> {
        Box::pin(self.observe(&self.meters.get_batch, Some(cid), self.inner.get_batch(cid)))
    }

    fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.observe(
            &self.meters.acknowledge,
            Some(cid),
            self.inner.acknowledge(cid),
        ))
    }

    fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.observe(&self.meters.remove, Some(cid), self.inner.remove(cid)))
    }

    fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        let meter = &self.meters.gc;
        let gc = async move {
            let removed = self.observe(meter, None, self.inner.gc(retention)).await?;
            removed.iter().for_each(|_| meter.item());
            Ok(removed)
        };
        Box::pin(gc)
    }

    fn status(&self) -> BoxFuture<'_, Result<Status>> {
        Box::pin(self.observe(&self.meters.read, None, self.inner.status()))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.close()
    }

    fn rotations(&self) -> watch::Receiver<u64> {
        self.inner.rotations()
    }
}
