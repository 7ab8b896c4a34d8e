//! The store and its trait.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error, Events,
    GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutOptions, PutResult, Result, fallback,
};

use super::clock::{ExpiryClock, SystemExpiryClock, Times};
use super::options::ExpiringOptions;
use super::shared::Shared;
use super::sweep::{BackgroundSweeps, Sweeper, Swept, sweep};

/// How many entries of a listing are looked at at once.
const HEADS: usize = 16;

/// What an expiry takes of an object's attributes, in bytes.
const EXPIRY: u64 = 8;

/// A store whose objects are gone once they have expired.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use storehouse_layers::{ExpiringOptions, ExpiringStore};
/// use storehouse_objectstore::{Attributes, Key, Memory, ObjectStore, ObjectStoreExt, PutOptions};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = ExpiringStore::new(Memory::new(), ExpiringOptions::default())?;
/// let (soon, past) = (Key::new("soon")?, Key::new("past")?);
/// for (key, at) in [
///     (&soon, SystemTime::now() + Duration::from_secs(60)),
///     (&past, SystemTime::now() - Duration::from_secs(60)),
/// ] {
///     let attributes = Attributes::default().with_expires(at);
///     store.put_opts(key, "content".into(), PutOptions::default().attributes(attributes)).await?;
/// }
/// assert!(store.exists(&soon).await?);
/// assert!(!store.exists(&past).await?);
/// assert_eq!(store.sweep().await?.objects, 1);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExpiringStore<S> {
    shared: Arc<Shared<S>>,
    sweeper: Option<Arc<Sweeper>>,
}

impl<S> Clone for ExpiringStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            sweeper: self.sweeper.clone(),
        }
    }
}

impl<S: ObjectStore> ExpiringStore<S> {
    /// `inner`, by the system's clocks.
    ///
    /// # Errors
    /// [`Error::Config`] if `inner` keeps no attributes, and so no expiry (an
    /// [`AttributeStore`](crate::AttributeStore) around it does), or if an option is 0 that must be
    /// more.
    pub fn new(inner: S, options: ExpiringOptions) -> Result<Self> {
        Self::with_clock(inner, options, SystemExpiryClock::default())
    }

    /// `inner`, by this clock.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    ///
    /// ```
    /// # use storehouse_layers::{ExpiringOptions, ExpiringStore, SystemExpiryClock};
    /// # use storehouse_objectstore::Memory;
    /// let (clock, options) = (SystemExpiryClock::default(), ExpiringOptions::default());
    /// let store = ExpiringStore::with_clock(Memory::new(), options, clock)?;
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn with_clock(inner: S, options: ExpiringOptions, clock: impl ExpiryClock) -> Result<Self> {
        let under = inner.capabilities();
        if under.max_attributes < EXPIRY {
            let reason = "keeps no attributes, and so no expiry; an AttributeStore around it does";
            return Err(Error::config("store", reason));
        }
        for (name, time) in [
            ("default_ttl", options.default_ttl),
            ("sweep_every", options.sweep_every),
        ] {
            if time.is_some_and(|time| time.is_zero()) {
                return Err(Error::config(name, "is no time at all"));
            }
        }
        // A create replaces the version of an object that has expired.
        let mut capabilities = under
            .clone()
            .with_presign(false)
            .with_create(under.create && under.replace);
        if options.default_ttl.is_some() {
            // They may get one more.
            capabilities.max_attributes -= EXPIRY;
        }
        let shared = Arc::new(Shared {
            capabilities,
            default_ttl: options.default_ttl,
            times: Times::new(Arc::new(clock), options.clock_settles),
            claims: Default::default(),
            inner,
        });
        let sweeper = options
            .sweep_every
            .and_then(|every| Sweeper::begin(&shared, every));
        Ok(Self {
            sweeper: sweeper.map(Arc::new),
            shared,
        })
    }

    /// The store that holds the objects, expired ones among them.
    ///
    /// ```
    /// # use storehouse_layers::{ExpiringOptions, ExpiringStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = ExpiringStore::new(Memory::new(), ExpiringOptions::default())?;
    /// assert!(store.inner().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.shared.inner
    }

    /// Removes the objects that have expired, some at once, while others read and write. An object
    /// that is written meanwhile stays.
    ///
    /// # Errors
    /// Those of the inner store. It can be run again.
    ///
    /// ```
    /// # use storehouse_layers::{ExpiringOptions, ExpiringStore};
    /// # use storehouse_objectstore::Memory;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = ExpiringStore::new(Memory::new(), ExpiringOptions::default())?;
    /// assert_eq!(store.sweep().await?.objects, 0);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn sweep(&self) -> Result<Swept> {
        sweep(&self.shared).await
    }

    /// What the sweeps in the background did so far; `None` if there are none.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::{ExpiringOptions, ExpiringStore};
    /// # use storehouse_objectstore::Memory;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let options = ExpiringOptions::default().sweep_every(Duration::from_secs(60));
    /// let store = ExpiringStore::new(Memory::new(), options)?;
    /// assert_eq!(store.background_sweeps().unwrap().failures, 0);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn background_sweeps(&self) -> Option<BackgroundSweeps> {
        self.sweeper.as_ref().map(|sweeper| sweeper.state())
    }
}

/// The caller's entry for one of the inner store; none if it is gone.
async fn live<S: ObjectStore>(shared: Arc<Shared<S>>, entry: Entry) -> Result<Option<Entry>> {
    if !entry.metadata.attributes.is_empty() {
        return Ok((!shared.hides(&entry.metadata)).then_some(entry));
    }
    // A listing may leave them out.
    match shared.head(&entry.key).await {
        Ok(Metadata { etag, .. }) if etag == entry.metadata.etag => Ok(Some(entry)),
        // Written anew since.
        Ok(metadata) => Ok(Some(Entry {
            key: entry.key,
            metadata,
            value: None,
        })),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.map_operation(Operation::List)),
    }
}

fn list<S: ObjectStore>(
    shared: &Arc<Shared<S>>,
    options: ListOptions,
) -> BoxStream<'static, Result<Entry>> {
    let limit = options.limit.unwrap_or(usize::MAX);
    if limit == 0 {
        return shared.inner.list(options);
    }
    // Expired objects do not count.
    let entries = shared.inner.list(options.limit(None));
    let shared = Arc::clone(shared);
    entries
        .map(move |entry| {
            let shared = Arc::clone(&shared);
            async move { live(shared, entry?).await }
        })
        .buffered(HEADS.min(limit))
        .filter_map(|entry| future::ready(entry.transpose()))
        .take(limit)
        .boxed()
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ExpiringStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.shared.put(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            match self.shared.inner.get_opts(key, options).await {
                Ok(object) if self.shared.hides(&object.metadata) => {
                    Err(Error::not_found(Operation::Get, key))
                }
                Ok(object) => Ok(object),
                Err(error) => Err(self.shared.judged_get(key, error).await),
            }
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.shared.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.shared.inner.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.shared.inner.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        list(&self.shared, options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let shared = Arc::clone(&self.shared);
        // A folder of expired objects is none.
        fallback::list_delimited(
            &self.shared.capabilities,
            move |options| list(&shared, options),
            options,
        )
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.shared.copy(from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(async move {
            match self
                .shared
                .inner
                .get_ranges_opts(key, ranges, options)
                .await
            {
                Ok(got) if self.shared.hides(&got.metadata) => {
                    Err(Error::not_found(Operation::Get, key))
                }
                Ok(got) => Ok(got),
                Err(error) => Err(self.shared.judged_get(key, error).await),
            }
        })
    }

    fn events(&self) -> Option<Events> {
        self.shared.inner.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(future::ready(Err(unsupported)))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.shared.inner.health()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        if self.shared.default_ttl.is_some() {
            return None;
        }
        self.shared.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        if let Some(sweeper) = &self.sweeper {
            sweeper.stop();
        }
        self.shared.inner.close()
    }
}

impl<S: ObjectStore> Batches for ExpiringStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(self.shared.batch(batch))
    }
}
