//! The store and its trait.

use std::future::ready;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use rustix::fs::fstatvfs;
use storehouse_engine::files::{MAX_ATTRIBUTES, PutQueue, failed, put_queue};
use storehouse_engine::{DirLock, off_thread};
use storehouse_objectstore::{
    Body, ByteRange, Capabilities, CopyOptions, Entry, Error, Events, GetOptions, Key, Lifecycle,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation, PutOptions,
    PutResult, Result, fallback, methods,
};

use super::directory::Directory;
use super::list;
use super::options::FsOptions;
use super::running::Running;
use super::write::{INLINE, Writer};

/// The most keys that [`Fs::delete_many`](ObjectStore::delete_many) removes at a time; their
/// directories are synced together.
const DELETE_GROUP: usize = 128;

/// Objects in a plain directory, one file each, at paths that are their keys wherever the file
/// system can say them. Clones share the open store; the directory's lock goes with the last of
/// them and the writes under way, or with [`close`](Fs::close).
///
/// A tag names a file's inode, modification time and size. Symbolic links are not followed below
/// the directory.
///
/// ```
/// use storehouse_fs::{Fs, FsOptions};
/// use storehouse_objectstore::{Key, ObjectStoreExt};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let dir = tempfile::tempdir()?;
/// let store = Fs::open(dir.path(), FsOptions::default()).await?;
/// store.put(&Key::new("Photos/Cat.jpg")?, "meow").await?;
/// assert_eq!(std::fs::read(dir.path().join("Photos/Cat.jpg"))?, b"meow");
/// // A file that another program puts there is an object.
/// std::fs::write(dir.path().join("Photos/Dog.jpg"), "woof")?;
/// assert_eq!(store.get_bytes(&Key::new("Photos/Dog.jpg")?, 100).await?, "woof");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_fs::{Fs, FsOptions};
/// use storehouse_objectstore::{GetOptions, Key, PutMode, PutOptions};
///
/// let dir = tempfile::tempdir()?;
/// let store = Fs::open(dir.path(), FsOptions::default()).await?;
///
/// // Called on the type itself, these allocate no future.
/// let key = Key::new("Photos/Cat.jpg")?;
/// let create = PutOptions::default().mode(PutMode::Create);
/// let put = store.put_opts(&key, "0123456789".into(), create).await?;
/// assert_eq!(store.head(&key).await?.etag, put.etag);
/// let part = store.get_opts(&key, GetOptions::default().range(2..5)).await?;
/// assert_eq!(part.body.collect(3).await?, "234");
/// store.delete(&key).await?;
/// store.close().await?;
/// assert!(store.head(&key).await.unwrap_err().is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Fs(Arc<OpenStore>);

#[derive(Debug)]
struct OpenStore {
    options: FsOptions,
    capabilities: Capabilities,
    directory: Arc<Directory>,
    writer: Arc<Writer>,
    queue: PutQueue<Writer>,
    /// `None` once the store is closed.
    lock: Mutex<Option<Arc<DirLock>>>,
    lifecycle: Lifecycle,
}

impl OpenStore {
    fn take_lock(&self) -> Option<Arc<DirLock>> {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        // Writes under way may hold it for a moment longer.
        if let Some(lock) = self.take_lock() {
            lock.closing();
        }
    }
}

impl Fs {
    /// A store over an open directory.
    pub(super) fn new(options: FsOptions, directory: Directory, lock: DirLock) -> Self {
        let attributes = if directory.attributes {
            MAX_ATTRIBUTES
        } else {
            0
        };
        let capabilities = Capabilities::full()
            .with_max_attributes(attributes)
            .with_native_copy(true)
            .with_rename(true)
            .with_events(true);
        let directory = Arc::new(directory);
        let writer = Arc::new(Writer::new(Arc::clone(&directory)));
        Self(Arc::new(OpenStore {
            options,
            capabilities,
            directory,
            queue: put_queue(Arc::clone(&writer), INLINE),
            writer,
            lock: Mutex::new(Some(Arc::new(lock))),
            lifecycle: Lifecycle::default(),
        }))
    }

    /// The directory, as it was given.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_fs::{Fs, FsOptions};
    ///
    /// let store = runtime.block_on(Fs::open(dir.path(), FsOptions::default()))?;
    /// assert_eq!(store.path(), dir.path());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.directory.path
    }

    /// How it was opened.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_fs::{Fs, FsOptions};
    ///
    /// let options = FsOptions::default().cached_handles(16);
    /// let store = runtime.block_on(Fs::open(dir.path(), options))?;
    /// assert_eq!(store.options(), options);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn options(&self) -> FsOptions {
        self.0.options
    }

    /// The bytes that the file system still has for this process' user.
    ///
    /// # Errors
    /// [`Error::Backend`].
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_fs::{Fs, FsOptions};
    ///
    /// # runtime.block_on(async {
    /// let store = Fs::open(dir.path(), FsOptions::default()).await?;
    /// assert!(store.free_space().await? > 0);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn free_space(&self) -> Result<u64> {
        let directory = Arc::clone(&self.0.directory);
        off_thread(Operation::Health, move || {
            let space = fstatvfs(&directory.file).map_err(|e| {
                let message = "the file system cannot be described";
                failed(Operation::Health, None, message, e.into())
            })?;
            Ok(space.f_bavail.saturating_mul(space.f_frsize))
        })
        .await
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.0.lifecycle.check(Operation::Get, Some(key))?;
        match self.0.directory.get_cached(key, &options) {
            Some(result) => result,
            None => self.0.directory.get(key, options).await,
        }
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.0.lifecycle.check(Operation::Head, Some(key))?;
        match self.0.directory.head_cached(key) {
            Some(result) => result,
            None => self.0.directory.head(key).await,
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

    /// Commits what is under way, releases the directory's lock, and returns once that is done.
    /// Further operations fail with [`Error::Closed`].
    ///
    /// # Errors
    /// None.
    pub async fn close(&self) -> Result<()> {
        self.0.lifecycle.close().await;
        self.0.queue.close().await;
        self.0.writer.teller.events.close();
        drop(self.0.take_lock());
        Ok(())
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

    /// Begins a write.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(super) fn enter(&self, operation: Operation, key: Option<&Key>) -> Result<Running> {
        let running = self.0.lifecycle.enter(operation, key)?;
        let lock = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        match &*lock {
            Some(lock) => Ok(Running::new(Arc::clone(lock), running)),
            None => Err(Error::closed(operation, key)),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Fs {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(Fs::put_opts(self, key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Get, Some(key)) {
            return Box::pin(ready(Err(closed)));
        }
        // What is cached is answered at once, in a small future.
        match self.0.directory.get_cached(key, &options) {
            Some(result) => Box::pin(ready(result)),
            None => Box::pin(self.0.directory.get(key, options)),
        }
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Head, Some(key)) {
            return Box::pin(ready(Err(closed)));
        }
        match self.0.directory.head_cached(key) {
            Some(result) => Box::pin(ready(result)),
            None => Box::pin(self.0.directory.head(key)),
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
            Ok(()) => {
                let names = self.0.options.listed_names;
                list::list(Arc::clone(&self.0.directory), options, names)
            }
            Err(closed) => stream::iter([Err(closed)]).boxed(),
        }
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::List, None) {
            return stream::iter([Err(closed)]).boxed();
        }
        if options.delimiter.is_none_or(|delimiter| delimiter == '/') {
            let names = self.0.options.listed_names;
            return list::list_folder(Arc::clone(&self.0.directory), options, names);
        }
        let store = self.clone();
        let list = move |options| store.list(options);
        fallback::list_delimited(self.capabilities(), list, options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(Fs::copy_opts(self, from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        if let Err(closed) = self.0.lifecycle.check(Operation::Get, Some(key)) {
            return Box::pin(ready(Err(closed)));
        }
        Box::pin(self.0.directory.get_ranges(key, ranges, options))
    }

    fn events(&self) -> Option<Events> {
        Some(if self.0.lifecycle.is_closed() {
            Events::ended()
        } else {
            self.0.writer.teller.events.subscribe()
        })
    }

    methods!(none => presign, batches);

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
