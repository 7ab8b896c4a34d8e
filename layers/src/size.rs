//! Small objects in one store, large ones in another.
//!
//! An object belongs in the store for its size. While an object changes its size class, both stores
//! may hold it for a moment; then the copy in the small store is the object. So reads ask the small
//! store first, and the outdated copy is removed last.
//!
//! | operation | requests of the inner stores | memory |
//! |---|---|---|
//! | put | one put; then one delete to the other store, so that no twin stays (none if [`content_addressed`](PutOptions::content_addressed)) | as the inner store's |
//! | put under a condition | besides, one or two heads | |
//! | get, head | one to the small store; if it is not there, one to the large store | as the inner store's |
//! | delete | one to each store, the large one first | |
//! | list | one listing of each, merged in order | one page of each |
//! | [`SizeStore::sweep`] | one listing of each; a head and a delete for each twin | one page of each |
//!
//! A crash loses nothing acknowledged. Between the two steps of a put that changes the size class
//! it can leave an outdated copy (a *twin*), which is never read. The next put or delete of the
//! key, or [`SizeStore::sweep`], removes it.
//!
//! Writes to one key are ordered within one `SizeStore` and its clones. Two processes may share the
//! two stores if they do not write one key at once.

use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};
use storehouse_objectstore::{
    Batches, Body, Capabilities, ETag, Entry, Error, GetOptions, Key, KeyRule, Lifecycle,
    ListOptions, Metadata, Object, ObjectStore, Operation, PutMode, PutOptions, PutResult, Result,
    SizedBody, methods,
};

use crate::parts::{
    CommitPoint, KeyGuard, KeyLocks, LookUp, Merge, Moves, conditions, detached, detached_put,
    gated, mark, marked, merged, precondition, same_order, unmarked,
};

const SMALL: &str = "s";
const LARGE: &str = "l";

/// How many deletes of [`ObjectStore::delete_many`] run at once.
const DELETES: usize = 16;

/// Options of a [`SizeStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SizeOptions {
    /// The largest object that goes to the small store, in bytes (inclusive). 64 KiB by default.
    pub largest_small: u64,
}

impl Default for SizeOptions {
    fn default() -> Self {
        Self {
            largest_small: 64 * 1024,
        }
    }
}

impl SizeOptions {
    /// With this largest object of the small store, in bytes (inclusive).
    ///
    /// ```
    /// # use storehouse_layers::SizeOptions;
    /// assert_eq!(SizeOptions::default().largest_small, 64 * 1024);
    /// assert_eq!(SizeOptions::default().largest_small(4096).largest_small, 4096);
    /// ```
    #[must_use]
    pub fn largest_small(mut self, bytes: u64) -> Self {
        self.largest_small = bytes;
        self
    }
}

/// A store that puts small objects into one store and large ones into another. Clones share their
/// locks.
///
/// ```
/// use storehouse_layers::{SizeOptions, SizeStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (small, large) = (Memory::new(), Memory::new());
/// let options = SizeOptions::default().largest_small(4);
/// let store = SizeStore::new(small.clone(), large.clone(), options)?;
/// store.put(&Key::new("a")?, "1234").await?;
/// store.put(&Key::new("b")?, "12345").await?;
/// assert!(small.exists(&Key::new("a")?).await?);
/// assert!(large.exists(&Key::new("b")?).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SizeStore<S, L> {
    shared: Arc<Shared<S, L>>,
}

impl<S, L> Clone for SizeStore<S, L> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<S, L> {
    small: S,
    large: L,
    options: SizeOptions,
    capabilities: Capabilities,
    locks: KeyLocks,
    moves: Moves,
    lifecycle: Lifecycle,
}

impl<S: ObjectStore, L: ObjectStore> SizeStore<S, L> {
    /// Objects of at most [`SizeOptions::largest_small`] bytes in `small`, others in `large`.
    ///
    /// # Errors
    /// [`Error::Config`] if the two list in different orders, or if `small` cannot hold an object
    /// of that size.
    pub fn new(small: S, large: L, options: SizeOptions) -> Result<Self> {
        let (s, l) = (small.capabilities(), large.capabilities());
        same_order("large", &s.order, &l.order)?;
        if options.largest_small > s.max_size {
            return Err(Error::config(
                "largest_small",
                format!("the small store holds at most {} bytes", s.max_size),
            ));
        }
        let keys = KeyRule::new({
            let (small, large) = (s.keys.clone(), l.keys.clone());
            move |key| small.flaw(key).or_else(|| large.flaw(key))
        });
        let create = s.create && l.create;
        let capabilities = Capabilities::full()
            .with_create(create)
            .with_replace(create && s.replace && l.replace)
            .with_verifies_sha256(s.verifies_sha256 && l.verifies_sha256)
            .with_remote(s.remote || l.remote)
            .with_order(s.order.clone())
            .with_max_size(l.max_size.max(options.largest_small))
            .with_keys(keys)
            .with_max_attributes(s.max_attributes.min(l.max_attributes));
        Ok(Self {
            shared: Arc::new(Shared {
                small,
                large,
                options,
                capabilities,
                locks: KeyLocks::default(),
                moves: Moves::default(),
                lifecycle: Lifecycle::default(),
            }),
        })
    }

    /// The store of small objects.
    ///
    /// ```
    /// # use storehouse_layers::{SizeOptions, SizeStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = SizeStore::new(Memory::new(), Memory::new(), SizeOptions::default())?;
    /// assert!(store.small().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn small(&self) -> &S {
        &self.shared.small
    }

    /// The store of large objects.
    ///
    /// ```
    /// # use storehouse_layers::{SizeOptions, SizeStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = SizeStore::new(Memory::new(), Memory::new(), SizeOptions::default())?;
    /// assert!(store.large().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn large(&self) -> &L {
        &self.shared.large
    }

    /// Removes the twins that a crash left: what lies in the large store under a key that the small
    /// store has too. Gives their number.
    ///
    /// # Errors
    /// Those of the inner stores. It can be run again, and while others read and write.
    ///
    /// ```
    /// use storehouse_layers::{SizeOptions, SizeStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (small, large, key) = (Memory::new(), Memory::new(), Key::new("a")?);
    /// small.put(&key, "new").await?;
    /// large.put(&key, "left by a crash").await?;
    /// let store = SizeStore::new(small, large.clone(), SizeOptions::default())?;
    /// assert_eq!(store.get_bytes(&key, 1024).await?, "new");
    /// assert_eq!(store.sweep().await?, 1);
    /// assert!(!large.exists(&key).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn sweep(&self) -> Result<u64> {
        let shared = &self.shared;
        // An entry stands for a key that both have.
        let both = merged(
            Merge {
                sources: vec![
                    shared.small.list(ListOptions::default()),
                    shared.large.list(ListOptions::default()),
                ],
                order: shared.capabilities.order.clone(),
                moved: shared.moves.watch(),
                pick: Box::new(|mut same| (same.len() > 1).then(|| same.swap_remove(0).1)),
                look_up: Box::new(|_| Box::pin(future::ok(None))),
            },
            ListOptions::default(),
        );
        let shared = Arc::clone(shared);
        both.try_fold(0, move |removed, entry| {
            let shared = Arc::clone(&shared);
            async move {
                let twin = detached(async move { shared.remove_twin(&entry.key).await });
                Ok(removed + u64::from(twin.await?))
            }
        })
        .await
    }
}

/// What has to hold in the other store for a put to commit.
#[derive(Clone, Debug)]
enum Elsewhere {
    /// Whatever is there.
    Anything,
    /// Nothing, else the put finds an object.
    NothingForCreate,
    /// Nothing, else the object is another one than required.
    NothingForReplace,
    /// The version with this tag.
    Version(ETag),
}

impl<S: ObjectStore, L: ObjectStore> Shared<S, L> {
    fn is_small(&self, size: u64) -> bool {
        size <= self.options.largest_small
    }

    fn store(&self, small: bool) -> &dyn ObjectStore {
        if small { &self.small } else { &self.large }
    }

    async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        let body = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
        let small = self.is_small(body.declared());
        let (mode, elsewhere) = self.split_mode(&key, small, &options.mode)?;
        let unmoved = options.content_addressed && options.mode == PutMode::Overwrite;
        let replaces = matches!(options.mode, PutMode::Replace(_));
        let options = options.mode(mode);
        let mark = if small { SMALL } else { LARGE };
        if unmoved {
            // The same content has the same size, and so was never elsewhere.
            let body = gated(body, || future::ok(()));
            let put = self.store(small).put_opts(&key, body, options).await?;
            return Ok(PutResult {
                etag: marked(mark, &put.etag),
            });
        }
        // Early, so that a large body is not read in vain; again before the commit.
        self.check_elsewhere(&key, !small, &elsewhere).await?;
        let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
        let ready = {
            let (this, key, lock) = (Arc::clone(&self), key.clone(), Arc::clone(&lock));
            move || async move {
                let guard = this.locks.lock(&key).await;
                point.pass().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
                this.check_elsewhere(&key, !small, &elsewhere).await
            }
        };
        let put = match body.as_bytes().cloned() {
            Some(bytes) => {
                ready().await?;
                self.store(small)
                    .put_opts(&key, bytes.into(), options)
                    .await
            }
            None => {
                let body = gated(body, ready);
                self.store(small).put_opts(&key, body, options).await
            }
        };
        let put = put.map_err(|error| match error {
            Error::AlreadyExists { key } if replaces => precondition(&key),
            error => error,
        })?;
        self.moves.moved(&key);
        self.store(!small).delete(&key).await?;
        drop(lock);
        Ok(PutResult {
            etag: marked(mark, &put.etag),
        })
    }

    /// The mode for the store that an object goes to, and what has to hold in the other one.
    fn split_mode(&self, key: &Key, small: bool, mode: &PutMode) -> Result<(PutMode, Elsewhere)> {
        let unsupported = |feature| Error::Unsupported {
            operation: Operation::Put,
            key: key.clone(),
            feature,
        };
        match mode {
            PutMode::Overwrite => Ok((PutMode::Overwrite, Elsewhere::Anything)),
            PutMode::Create if !self.capabilities.create => Err(unsupported("PutMode::Create")),
            PutMode::Create => Ok((PutMode::Create, Elsewhere::NothingForCreate)),
            PutMode::Replace(_) if !self.capabilities.replace => {
                Err(unsupported("PutMode::Replace"))
            }
            PutMode::Replace(etag) => {
                match (small, unmarked(SMALL, etag), unmarked(LARGE, etag)) {
                    (true, Some(etag), _) => Ok((PutMode::Replace(etag), Elsewhere::Anything)),
                    (true, _, Some(etag)) => Ok((PutMode::Create, Elsewhere::Version(etag))),
                    (false, _, Some(etag)) => {
                        Ok((PutMode::Replace(etag), Elsewhere::NothingForReplace))
                    }
                    // What lies in the large store then is a twin at most.
                    (false, Some(etag), _) => Ok((PutMode::Overwrite, Elsewhere::Version(etag))),
                    (_, None, None) => Err(precondition(key)),
                }
            }
        }
    }

    async fn check_elsewhere(&self, key: &Key, small: bool, expected: &Elsewhere) -> Result<()> {
        if matches!(expected, Elsewhere::Anything) {
            return Ok(());
        }
        let there = match self.store(small).head(key).await {
            Ok(there) => Some(there.etag),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        match expected {
            Elsewhere::NothingForCreate if there.is_some() => {
                Err(Error::AlreadyExists { key: key.clone() })
            }
            Elsewhere::NothingForReplace if there.is_some() => Err(precondition(key)),
            Elsewhere::Version(etag) if there.as_ref() != Some(etag) => Err(precondition(key)),
            _ => Ok(()),
        }
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        let _lock = self.locks.lock(key).await;
        // The small one last: what lies in the large store under it may be an older object.
        self.large.delete(key).await?;
        self.small.delete(key).await
    }

    async fn remove_twin(&self, key: &Key) -> Result<bool> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        let _lock = self.locks.lock(key).await;
        for store in [&self.small as &dyn ObjectStore, &self.large] {
            match store.head(key).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.large.delete(key).await.map(|()| true)
    }

    /// The object, asked for in the small store, then in the large one; again if an object has
    /// moved between the answers.
    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        loop {
            let moves = self.moves.count();
            for (mark_of, small) in [(SMALL, true), (LARGE, false)] {
                let get = self
                    .store(small)
                    .get_opts(key, conditions(mark_of, &options));
                match get.await {
                    Ok(object) => {
                        let metadata = mark(mark_of, object.metadata);
                        return Ok(Object { metadata, ..object });
                    }
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if self.moves.count() == moves {
                return Err(Error::not_found(Operation::Get, key));
            }
        }
    }

    /// The same for what is known of it.
    async fn head(&self, key: &Key) -> Result<Metadata> {
        self.lifecycle.check(Operation::Head, Some(key))?;
        loop {
            let moves = self.moves.count();
            for (mark_of, small) in [(SMALL, true), (LARGE, false)] {
                match self.store(small).head(key).await {
                    Ok(metadata) => return Ok(mark(mark_of, metadata)),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if self.moves.count() == moves {
                return Err(Error::not_found(Operation::Head, key));
            }
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore, L: ObjectStore> ObjectStore for SizeStore<S, L> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached_put(move |point| {
            shared.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.shared.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.shared.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached(async move { shared.delete(&key).await }))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(move |key| async move {
            self.delete(&key).await?;
            Ok(key)
        })
        .buffer_unordered(DELETES)
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        // Watched before the first page is read.
        let moved = self.shared.moves.watch();
        let pick = |mut same: Vec<(usize, Entry)>| {
            let (place, entry) = same.swap_remove(0);
            let mark_of = if place == 0 { SMALL } else { LARGE };
            Some(Entry {
                metadata: mark(mark_of, entry.metadata),
                ..entry
            })
        };
        let shared = Arc::clone(&self.shared);
        let look_up: LookUp = Box::new(move |key| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                match shared.head(&key).await {
                    Ok(metadata) => Ok(Some(Entry {
                        key,
                        metadata,
                        value: None,
                    })),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error),
                }
            })
        });
        merged(
            Merge {
                sources: vec![
                    self.shared.small.list(options.clone()),
                    self.shared.large.list(options.clone()),
                ],
                order: self.shared.capabilities.order.clone(),
                moved,
                pick: Box::new(pick),
                look_up,
            },
            options,
        )
    }

    methods!(fallback => list_delimited, copy_opts, get_ranges_opts);
    methods!(none => events, presign);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.check(Operation::Health, None)?;
            self.shared.small.health().await?;
            self.shared.large.health().await
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        // No batch spans two stores.
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.close().await;
            let small = self.shared.small.close().await;
            self.shared.large.close().await.and(small)
        })
    }
}
