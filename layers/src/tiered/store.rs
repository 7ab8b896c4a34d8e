//! The store.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Events, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result,
};

use super::options::TieredOptions;
use super::write_back::WriteBack;
use super::write_through::WriteThrough;

/// A fast store before a slow one that has everything, or gets it soon.
///
/// Clones share the tiers. Copies are made in tasks of a Tokio runtime; outside of one, gets that
/// miss make none, and what is due stays so until a flush.
///
/// ```
/// use storehouse_layers::{FaultStore, TieredStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (slow, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
/// slow.put(&key, "content").await?;
/// let store = TieredStore::new(Memory::new(), slow.clone());
/// for _ in 0..3 {
///     assert_eq!(store.get_bytes(&key, 7).await?, "content");
/// }
/// assert_eq!(slow.faults().calls(Operation::Get), 1);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TieredStore<F, S> {
    fast: Arc<F>,
    slow: Arc<S>,
    mode: Mode<F, S>,
}

#[derive(Debug)]
enum Mode<F, S> {
    Through(WriteThrough<F, S>),
    Back(WriteBack),
}

impl<F, S> Clone for TieredStore<F, S> {
    fn clone(&self) -> Self {
        Self {
            fast: Arc::clone(&self.fast),
            slow: Arc::clone(&self.slow),
            mode: match &self.mode {
                Mode::Through(tiers) => Mode::Through(tiers.clone()),
                Mode::Back(tiers) => Mode::Back(tiers.clone()),
            },
        }
    }
}

impl<F: ObjectStore, S: ObjectStore> TieredStore<F, S> {
    /// `fast` before `slow`, with the default [`TieredOptions`]. What lies in `fast` that this
    /// layer did not put there is ignored, and overwritten.
    pub fn new(fast: F, slow: S) -> Self {
        Self::with_options(fast, slow, TieredOptions::default())
    }

    /// `fast` before `slow`, with these options.
    ///
    /// ```
    /// use storehouse_layers::{TierDirection, TieredOptions, TieredStore};
    /// use storehouse_objectstore::Memory;
    ///
    /// let options = TieredOptions::default().fast(TierDirection::Get);
    /// let store = TieredStore::with_options(Memory::new(), Memory::new(), options);
    /// # assert!(format!("{store:?}").contains("Get"));
    /// ```
    pub fn with_options(fast: F, slow: S, options: TieredOptions) -> Self {
        let (fast, slow) = (Arc::new(fast), Arc::new(slow));
        let through = WriteThrough::new(Arc::clone(&fast), Arc::clone(&slow), options.clone());
        let mode = if options.write_back && !options.slow_read_only {
            let records: Arc<dyn ObjectStore> = Arc::clone(&fast) as _;
            Mode::Back(WriteBack::new(records, Arc::new(through), &options))
        } else {
            Mode::Through(through)
        };
        Self { fast, slow, mode }
    }

    /// The fast tier.
    ///
    /// ```
    /// use storehouse_layers::TieredStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, key) = (TieredStore::new(Memory::new(), Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert!(store.fast().exists(&key).await?);
    /// store.fast().delete(&key).await?; // a copy that is lost is no loss
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn fast(&self) -> &F {
        &self.fast
    }

    /// The slow tier.
    ///
    /// ```
    /// use storehouse_layers::TieredStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, key) = (TieredStore::new(Memory::new(), Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert_eq!(store.slow().get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn slow(&self) -> &S {
        &self.slow
    }

    /// Waits until the slow tier has all that was written, and no record of it is left. Returns at
    /// once without [`TieredOptions::write_back`].
    ///
    /// # Errors
    /// Those of the fast tier, if the list of what is due cannot be read;
    /// [`Closed`](storehouse_objectstore::Error::Closed). Failures of the slow tier are waited out.
    /// Outside of a Tokio runtime they are errors, since nothing goes on in the background.
    ///
    /// ```
    /// use storehouse_layers::{TieredOptions, TieredStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (slow, key) = (Memory::new(), Key::new("a")?);
    /// let options = TieredOptions::default().write_back(true);
    /// let store = TieredStore::with_options(Memory::new(), slow.clone(), options);
    /// store.put(&key, "content").await?;
    /// store.flush().await?;
    /// assert_eq!(slow.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn flush(&self) -> Result<()> {
        match &self.mode {
            Mode::Through(_) => Ok(()),
            Mode::Back(tiers) => tiers.flush().await,
        }
    }

    /// The number of keys whose newest version the slow tier has yet to get, as far as the list has
    /// been read.
    ///
    /// ```
    /// use storehouse_layers::TieredStore;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert_eq!(TieredStore::new(Memory::new(), Memory::new()).due(), 0);
    /// ```
    #[must_use]
    pub fn due(&self) -> usize {
        match &self.mode {
            Mode::Through(_) => 0,
            Mode::Back(tiers) => tiers.due(),
        }
    }

    fn tiers(&self) -> &dyn ObjectStore {
        match &self.mode {
            Mode::Through(tiers) => tiers,
            Mode::Back(tiers) => tiers,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl<F: ObjectStore, S: ObjectStore> ObjectStore for TieredStore<F, S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.tiers().put_opts(key, body, options)
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        self.tiers().get_opts(key, options)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        self.tiers().head(key)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.tiers().delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.tiers().delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.tiers().list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.tiers().list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.tiers().copy_opts(from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        self.tiers().get_ranges_opts(key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.tiers().events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        self.tiers().presign(key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.tiers().health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.tiers().capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.tiers().batches()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.tiers().close()
    }
}
