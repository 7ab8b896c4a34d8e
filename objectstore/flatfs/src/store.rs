//! The store: what it is made of, how it is opened, and its trait.

use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::changed::Young;
use super::files::{Files, failed, off_thread};
use super::layout::{self, Lock};
use super::list;
use super::log::{self, Log};
use super::queue::Queue;
use super::shard::{self, ShardFunction};
use super::stamp::Clock;
use super::sys::{self, Sys};
use super::temp::Names;
use storehouse_objectstore::{
    Batches, Body, Capabilities, Entry, Error, GetOptions, Key, KeyRule, ListOptions, ListOrder,
    Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result,
};

/// The most keys that [`FlatFs::delete_many`](ObjectStore::delete_many) removes at a time; their
/// directories are synced together.
const DELETE_GROUP: usize = 128;

/// How a [`FlatFs`] is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlatFsOptions {
    /// Where objects lie. A directory that is there already must have been made with the same
    /// function.
    pub shard: ShardFunction,
    /// Which system calls to use.
    pub system_calls: SystemCalls,
}

/// Which system calls a [`FlatFs`] uses. What it promises is the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemCalls {
    /// The best that this system has; on Linux `openat2`, `preadv2`, `syncfs` and the like where
    /// the kernel and the file system take them.
    #[default]
    Native,
    /// POSIX alone, as on any other Unix.
    Portable,
}

/// Objects in a directory, one file each. Clones share the open store; the directory's lock goes
/// with the last of them (and with the puts under way).
///
/// Keys are made of `0-9`, `a-z`, `+`, `_`, `=` and `-`, at most 250 of them. A tag names a file's
/// inode, modification time and size. Symbolic links are not followed below the directory.
#[derive(Clone, Debug)]
pub struct FlatFs {
    pub(super) store: Arc<Store>,
    lock: Arc<Lock>,
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) path: PathBuf,
    pub(super) options: FlatFsOptions,
    pub(super) files: Arc<Files>,
    pub(super) capabilities: Capabilities,
    pub(super) clock: Clock,
    pub(super) names: Names,
    pub(super) log: Arc<Log>,
    pub(super) young: Young,
    pub(super) queue: Queue,
}

impl FlatFs {
    /// Opens the flatfs in the directory `path`. One that is missing or empty is made into one;
    /// what an interrupted put left behind is removed.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this one, has it open.
    /// [`Error::Config`] if it is not a directory, cannot be written, holds something else, or was
    /// made with another shard function.
    pub async fn open(path: impl Into<PathBuf>, options: FlatFsOptions) -> Result<Self> {
        Self::open_with(path.into(), options, sys::pick(options.system_calls)).await
    }

    pub(super) async fn open_with(
        path: PathBuf,
        options: FlatFsOptions,
        sys: Arc<dyn Sys>,
    ) -> Result<Self> {
        let shard = options.shard;
        off_thread(Operation::Open, None, move || {
            let layout = layout::open(&path, shard, &*sys)?;
            let files = Arc::new(Files::new(layout.dir, sys));
            log::recover(&files, shard)?;
            let log = Arc::new(Log::new(Arc::clone(&files), shard));
            let store = Store {
                path,
                options,
                files,
                capabilities: capabilities(shard),
                clock: Clock::default(),
                names: Names::default(),
                log: Arc::clone(&log),
                young: Young::default(),
                queue: Queue::default(),
            };
            Ok(Self {
                store: Arc::new(store),
                lock: Arc::new(layout.lock.with_log(log)),
            })
        })
        .await
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.store.path
    }

    /// How it was opened.
    #[must_use]
    pub fn options(&self) -> FlatFsOptions {
        self.store.options
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        self.store.put(&self.lock, key, body, options).await
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        match self.store.get_cached(key, &options) {
            Ok(result) => result,
            Err(path) => self.store.files.get(key, path, options).await,
        }
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        match self.store.head_cached(key) {
            Ok(result) => result,
            Err(path) => self.store.files.head(key, path).await,
        }
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.store
            .delete(&self.lock, vec![key.clone()])
            .await?
            .into_iter()
            .try_for_each(|(_, result)| result)
    }
}

impl Store {
    /// What can be answered without waiting, or the path to wait for.
    fn get_cached(&self, key: &Key, options: &GetOptions) -> Result<Result<Object>, String> {
        let vacancy = match self.files.get_kept(key, options) {
            Ok(result) => return Ok(result),
            Err(vacancy) => vacancy,
        };
        if !self.capabilities.accepts_key(key) {
            return Ok(Err(Error::not_found(Operation::Get, key)));
        }
        let path = self.options.shard.path(key.as_str());
        self.files
            .get_cached(key, &path, options, vacancy)
            .ok_or(path)
    }

    /// The same for head.
    fn head_cached(&self, key: &Key) -> Result<Result<Metadata>, String> {
        if !self.capabilities.accepts_key(key) {
            return Ok(Err(Error::not_found(Operation::Head, key)));
        }
        let path = self.options.shard.path(key.as_str());
        self.files.head_cached(key, &path).ok_or(path)
    }

    fn check(&self) -> Result<()> {
        let unwell = |message: &str, e| failed(Operation::Health, None, message, e);
        rustix::fs::statat(&self.files.dir, layout::TEMP, rustix::fs::AtFlags::empty()).map_err(
            |e| {
                unwell(
                    "the directory for temporary files cannot be found",
                    e.into(),
                )
            },
        )?;
        // The open directory may have been removed or replaced under its path.
        let there = std::fs::metadata(&self.path)
            .map_err(|e| unwell("the store's directory cannot be found", e))?;
        let open = self
            .files
            .dir
            .metadata()
            .map_err(|e| unwell("the store's directory cannot be read", e))?;
        use std::os::unix::fs::MetadataExt;
        if (there.dev(), there.ino()) != (open.dev(), open.ino()) {
            return Err(unwell(
                "the store's directory was replaced",
                std::io::Error::other("another directory has its name"),
            ));
        }
        Ok(())
    }
}

fn capabilities(shard: ShardFunction) -> Capabilities {
    let mut capabilities = Capabilities::full();
    capabilities.order = ListOrder::by_path(move |key| shard.path(key));
    capabilities.keys = KeyRule::new(shard::flaw);
    capabilities
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FlatFs {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.store.put(&self.lock, key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        // What is cached is answered at once, in a future that is small.
        match self.store.get_cached(key, &options) {
            Ok(result) => Box::pin(ready(result)),
            Err(path) => Box::pin(self.store.files.get(key, path, options)),
        }
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        match self.store.head_cached(key) {
            Ok(result) => Box::pin(ready(result)),
            Err(path) => Box::pin(self.store.files.head(key, path)),
        }
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.ready_chunks(DELETE_GROUP)
            .then(move |keys| async move {
                let results = match self.store.delete(&self.lock, keys).await {
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
        list::list(
            Arc::clone(&self.store.files),
            self.store.options.shard,
            options,
        )
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        let store = Arc::clone(&self.store);
        Box::pin(off_thread(Operation::Health, None, move || store.check()))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.store.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }
}
