//! The store and its trait.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_engine::files::{PutQueue, put_queue};
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    Body, Capabilities, Entry, Error, ErrorClass, GetOptions, Key, KeyRule, Lifecycle, ListOptions,
    ListOrder, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result, methods,
};

use super::directory::Directory;
use super::list;
use super::options::FlatFsOptions;
use super::shard;
use super::store_lock::{LockHandle, StoreLock};
use super::write::{INLINE, Writer};

/// The most keys that [`FlatFs::delete_many`](ObjectStore::delete_many) removes at a time; their
/// directories are synced together.
const DELETE_GROUP: usize = 128;

/// Objects in a directory, one file each. Clones share the open store; the directory's lock goes
/// with the last of them and the writes under way, or with [`close`](FlatFs::close).
///
/// Keys are made of `0-9`, `a-z`, `+`, `_`, `=` and `-`, at most 250 of them. A tag names a file's
/// inode, modification time and size. Symbolic links are not followed below the directory.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_flatfs::{FlatFs, FlatFsOptions};
/// use storehouse_objectstore::{GetOptions, Key, PutMode, PutOptions};
///
/// let dir = tempfile::tempdir()?;
/// let options = FlatFsOptions::default().log(true);
/// let store = FlatFs::open(dir.path(), options).await?;
/// assert_eq!((store.path(), store.options()), (dir.path(), options));
///
/// // Called on the type itself, these allocate no future.
/// let key = Key::new("hello")?;
/// let create = PutOptions::default().mode(PutMode::Create);
/// let put = store.put_opts(&key, "0123456789".into(), create).await?;
/// assert_eq!(store.head(&key).await?.etag, put.etag);
/// let part = store.get_opts(&key, GetOptions::default().range(2..5)).await?;
/// assert_eq!(part.body.collect(3).await?, "234");
/// store.close().await?; // the log is empty, and the file in its shard
/// assert!(dir.path().join("ll/hello.data").is_file());
///
/// let store = FlatFs::open(dir.path(), FlatFsOptions::default()).await?;
/// store.delete(&key).await?;
/// assert!(store.head(&key).await.unwrap_err().is_not_found());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FlatFs(Arc<OpenStore>);

#[derive(Debug)]
struct OpenStore {
    options: FlatFsOptions,
    capabilities: Capabilities,
    directory: Arc<Directory>,
    writer: Arc<Writer>,
    queue: PutQueue<Writer>,
    lock: LockHandle,
    lifecycle: Lifecycle,
}

impl FlatFs {
    /// A store over an open directory.
    pub(super) fn new(options: FlatFsOptions, writer: Arc<Writer>, lock: LockHandle) -> Self {
        let shard = options.shard;
        let mut capabilities = Capabilities::full();
        capabilities.order = ListOrder::by_path(move |key| shard.path(key));
        capabilities.keys = KeyRule::new(shard::flaw);
        Self(Arc::new(OpenStore {
            options,
            capabilities,
            directory: Arc::clone(&writer.directory),
            queue: put_queue(Arc::clone(&writer), INLINE),
            writer,
            lock,
            lifecycle: Lifecycle::default(),
        }))
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.directory.path
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> FlatFsOptions {
        self.0.options
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.0.lifecycle.check(Operation::Get, Some(key))?;
        match self.0.directory.get_cached(key, &options) {
            Ok(result) => result,
            Err(path) => self.0.directory.get(key, path, options).await,
        }
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.0.lifecycle.check(Operation::Head, Some(key))?;
        match self.0.directory.head_cached(key) {
            Ok(result) => result,
            Err(path) => self.0.directory.head(key, path).await,
        }
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let deleted = self.delete_keys(vec![key.clone()]).await?;
        deleted.into_iter().try_for_each(|(_, result)| result)
    }

    /// Commits what is under way, empties the log, releases the directory's lock, and returns once
    /// that is done. Further operations fail with [`Error::Closed`].
    ///
    /// # Errors
    /// [`Error::Backend`] if the log cannot be emptied. Nothing is lost: the next opening applies
    /// it.
    pub async fn close(&self) -> Result<()> {
        self.0.lifecycle.close().await;
        self.0.queue.close().await;
        self.0.lock.release().await;
        match self.0.writer.wal.failure() {
            None => Ok(()),
            Some(message) => Err(Error::Backend {
                operation: Operation::Close,
                key: None,
                class: ErrorClass::Fatal,
                message,
                source: None,
            }),
        }
    }

    pub(super) fn capabilities_ref(&self) -> &Capabilities {
        &self.0.capabilities
    }

    pub(super) fn writer(&self) -> &Arc<Writer> {
        &self.0.writer
    }

    pub(super) fn queue(&self) -> &PutQueue<Writer> {
        &self.0.queue
    }

    /// The directory's lock, for a write.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(super) fn lock(&self, operation: Operation, key: Option<&Key>) -> Result<Arc<StoreLock>> {
        self.0.lifecycle.check(operation, key)?;
        self.0
            .lock
            .get()
            .ok_or_else(|| Error::closed(operation, key))
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FlatFs {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(FlatFs::put_opts(self, key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Get, Some(key)) {
            return Box::pin(ready(Err(closed)));
        }
        // What is cached is answered at once, in a small future.
        match self.0.directory.get_cached(key, &options) {
            Ok(result) => Box::pin(ready(result)),
            Err(path) => Box::pin(self.0.directory.get(key, path, options)),
        }
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Head, Some(key)) {
            return Box::pin(ready(Err(closed)));
        }
        match self.0.directory.head_cached(key) {
            Ok(result) => Box::pin(ready(result)),
            Err(path) => Box::pin(self.0.directory.head(key, path)),
        }
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.ready_chunks(DELETE_GROUP)
            .then(move |keys| async move {
                let results = match self.delete_keys(keys).await {
                    Ok(results) => results
                        .into_iter()
                        .map(|(key, result)| result.map(|()| key))
                        .collect(),
                    Err(e) => vec![Err(e)],
                };
                stream::iter(results)
            })
            .flatten()
            .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        match self.0.lifecycle.check(Operation::List, None) {
            Ok(()) => list::list(Arc::clone(&self.0.directory), options),
            Err(closed) => stream::iter([Err(closed)]).boxed(),
        }
    }

    methods!(fallback => list_delimited, copy_opts, get_ranges_opts);
    methods!(none => events, presign, batches);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Health, None) {
            return Box::pin(ready(Err(closed)));
        }
        let directory = Arc::clone(&self.0.directory);
        Box::pin(off_thread(Operation::Health, move || directory.check()))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.close())
    }
}
