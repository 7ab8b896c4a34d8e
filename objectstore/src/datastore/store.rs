//! The public type.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::task::JoinError;

use super::compact::{self, compact};
use super::entry::{Entry, Tag};
use super::queue::{Outcome, Work, Write, WriteFault};
use super::table::Wait;
use super::{CheckReport, Core, DatastoreOptions, Fault, check, closing, list, open};
use crate::{
    Batch, BatchOp, BatchResult, Batches, Body, Capabilities, Entry as Listed, Error, ErrorClass,
    GetOptions, Key, ListOptions, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult,
    Result, SizedBody,
};

/// How many deletes of a [`delete_many`](ObjectStore::delete_many) are under way at once: they
/// share their syncs.
const DELETES: usize = 256;

/// The most bytes of values in a batch.
const MAX_BATCH: u64 = 64 * 1024 * 1024;

/// Small records in an embedded database, a directory. Clones share it; with the last one (and the
/// listings that it gave) it closes in the background, as [`Datastore::close`] does; opening the
/// directory again in this process waits for that.
#[derive(Clone, Debug)]
pub struct Datastore {
    handle: Arc<Handle>,
    capabilities: Arc<Capabilities>,
}

/// Closes the store when it is dropped.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    path: PathBuf,
    flushing: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        closing::began(&self.path, Arc::downgrade(&self.core));
        self.core.queue.close();
    }
}

impl Datastore {
    /// Opens the store in the directory `path`, and makes it if there is none yet.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this one, has it open.
    /// [`Error::Config`] if there can be no such directory, or an option is out of bounds.
    /// [`Error::Backend`] if it is no datastore, or if its manifest or its log is damaged (then see
    /// [`DatastoreOptions::salvage`]). A damaged table is found by reads and by
    /// [`Datastore::check`].
    pub async fn open(path: impl Into<PathBuf>, options: DatastoreOptions) -> Result<Self> {
        let path = path.into();
        off_thread(Operation::Open, move || {
            let (core, flushing) = open::open(&path, options)?;
            Ok(Self::new(core, path, flushing))
        })
        .await
    }

    pub(super) fn new(core: Arc<Core>, path: PathBuf, flushing: JoinHandle<()>) -> Self {
        let mut capabilities = Capabilities::full();
        capabilities.max_size = core.options.max_size;
        let handle = Handle {
            core,
            path,
            flushing: Mutex::new(Some(flushing)),
        };
        Self {
            handle: Arc::new(handle),
            capabilities: Arc::new(capabilities),
        }
    }

    /// Closes the store for all its clones, once what was put so far is in tables. When it returns,
    /// the directory can be opened again. Operations from then on fail, but reads may go on.
    ///
    /// # Errors
    /// [`Error::Backend`] if the records could not be written to a table. They are in the log all
    /// the same, and nothing is lost.
    pub async fn close(&self) -> Result<()> {
        let handle = Arc::clone(&self.handle);
        off_thread(Operation::Open, move || {
            handle.core.queue.close();
            let flushing = handle
                .flushing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            // A thread that panicked has nothing more to say.
            flushing.map(JoinHandle::join);
            handle
                .core
                .flusher
                .failure()
                .map_or(Ok(()), |fault| Err(fault.into_error(Operation::Open, None)))
        })
        .await
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let bytes = SizedBody::new(key, body, &options, self.capabilities.max_size)?
            .gather()
            .await?;
        let op = BatchOp::Put {
            key: key.clone(),
            bytes,
            mode: options.mode,
        };
        let tags = self.write(Operation::Put, Some(key), vec![op]).await?;
        tags.into_iter()
            .flatten()
            .next()
            .map(|tag| PutResult { etag: tag.etag() })
            .ok_or_else(|| self.closed(Operation::Put, Some(key)))
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let entry = self.find(Operation::Get, key).await?;
        let metadata = entry.metadata();
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        // Both ends are at most the length of what is in memory, so they fit.
        let body = entry.into_value(range.start as usize..range.end as usize);
        Ok(Object {
            metadata,
            range,
            body: body.into(),
        })
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.find(Operation::Head, key)
            .await
            .map(|entry| entry.metadata())
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let op = BatchOp::Delete {
            key: key.clone(),
            if_match: None,
        };
        self.write(Operation::Delete, Some(key), vec![op])
            .await
            .map(drop)
    }

    /// See [`Batches::batch`]. A batch has at most 64 MiB of values, and each value at most
    /// [`DatastoreOptions::max_size`] bytes.
    ///
    /// # Errors
    /// As there.
    pub async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let mut total = 0;
        for op in &batch.ops {
            let BatchOp::Put { key, bytes, .. } = op else {
                continue;
            };
            total += bytes.len() as u64;
            for (size, limit) in [
                (bytes.len() as u64, self.capabilities.max_size),
                (total, MAX_BATCH.max(self.capabilities.max_size)),
            ] {
                if size > limit {
                    return Err(Error::TooLarge {
                        key: key.clone(),
                        limit,
                    });
                }
            }
        }
        if batch.ops.is_empty() {
            return Ok(BatchResult::default());
        }
        let tags = self.write(Operation::Batch, None, batch.ops).await?;
        Ok(BatchResult {
            etags: tags.into_iter().map(|tag| tag.map(Tag::etag)).collect(),
        })
    }

    /// Reads every file from start to end and says what is damaged. Other operations go on
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error::Backend`] if the files cannot be read at all.
    pub async fn check(&self) -> Result<CheckReport> {
        let core = Arc::clone(&self.handle.core);
        off_thread(Operation::Health, move || {
            check::check(&core).map_err(|fault| fault.into_error(Operation::Health, None))
        })
        .await
    }

    /// Merges everything into one table: what was deleted or replaced no longer takes up room. For
    /// that long it takes as much room again. Other operations go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Backend`] if a table is damaged, or the disk is full: then all is as before.
    pub async fn compact(&self) -> Result<()> {
        let (reply, frozen) = oneshot::channel();
        let failed = |fault: Fault| fault.into_error(Operation::Health, None);
        if !self.handle.core.queue.push(Work::Freeze(reply)) {
            return Err(self.closed(Operation::Health, None));
        }
        frozen
            .await
            .map_err(|_| self.closed(Operation::Health, None))?
            .map_err(failed)?;
        let core = Arc::clone(&self.handle.core);
        off_thread(Operation::Health, move || {
            core.flusher
                .settle()
                .and_then(|()| compact(&core, compact::all))
                .map_err(failed)
        })
        .await
    }

    /// Hands writes to the commit thread.
    async fn write(
        &self,
        operation: Operation,
        key: Option<&Key>,
        ops: Vec<BatchOp>,
    ) -> Result<Vec<Option<Tag>>> {
        let (reply, outcome) = oneshot::channel::<Outcome>();
        if !self
            .handle
            .core
            .queue
            .push(Work::Write(Write { ops, reply }))
        {
            return Err(self.closed(operation, key));
        }
        match outcome.await {
            Ok(Ok(tags)) => Ok(tags),
            Ok(Err(WriteFault::Refused(error))) => Err(error),
            Ok(Err(WriteFault::Failed(fault))) => Err(fault.into_error(operation, key)),
            Err(_) => Err(self.closed(operation, key)),
        }
    }

    /// The record of a key; on the spot unless the disk must be waited for.
    async fn find(&self, operation: Operation, key: &Key) -> Result<Entry> {
        let found = match self
            .handle
            .core
            .find(key.as_str().as_bytes(), Wait::Refused)
        {
            Err(Fault::WouldWait) => {
                let (core, key) = (Arc::clone(&self.handle.core), key.clone());
                off_thread(operation, move || {
                    Ok(core.find(key.as_str().as_bytes(), Wait::Allowed))
                })
                .await?
            }
            found => found,
        };
        found
            .map_err(|fault| fault.into_error(operation, Some(key)))?
            .ok_or_else(|| Error::not_found(operation, key))
    }

    fn closed(&self, operation: Operation, key: Option<&Key>) -> Error {
        let message = format!("the datastore {} is closed", self.handle.path.display());
        Error::Backend {
            operation,
            key: key.cloned(),
            class: ErrorClass::Fatal,
            message,
            source: None,
        }
    }
}

/// Runs `work` on the blocking pool. If the runtime shuts down meanwhile, that is an error, not a
/// panic.
pub(super) async fn off_thread<T: Send + 'static>(
    operation: Operation,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(cut_off(operation, e)),
    }
}

/// What becomes of work on the blocking pool when the runtime shuts down.
pub(super) fn cut_off(operation: Operation, e: JoinError) -> Error {
    Error::io(
        operation,
        None,
        "the work was cut off",
        std::io::Error::other(e),
    )
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Datastore {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put_opts(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get_opts(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(move |key| async move { self.delete(&key).await.map(|()| key) })
            .buffer_unordered(DELETES)
            .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        list::list(Arc::clone(&self.handle.core), options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if self.handle.core.queue.is_closed() {
                return Err(self.closed(Operation::Health, None));
            }
            self.handle.core.trouble().map_or(Ok(()), |fault| {
                Err(fault.into_error(Operation::Health, None))
            })
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

impl Batches for Datastore {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(self.batch(batch))
    }
}
