//! Opening with more than a configuration can say.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use storehouse_blobstore::{BlobStore, KeyEncoder};
use storehouse_objectstore::ObjectStore;

use crate::open::{self, BackendOptions, Keystore, Layer, Opener};
use crate::{Backend, Config, LocalStores, Result, StoreName, Stores};

/// Opens [`Stores`] from a configuration and from what a configuration cannot say: stores of the
/// program's own, layers around stores, options of a backend.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Arc;
///
/// use storehouse::layers::LimitStore;
/// use storehouse::objectstore::Memory;
/// use storehouse::{StoreName, Stores};
///
/// let stores = Stores::builder()
///     .store(StoreName::Blobs, Arc::new(Memory::new()))
///     .layer(StoreName::Blobs, |store| LimitStore::new(store, 16))
///     .observed(false)
///     .open()
///     .await?;
/// assert_eq!(stores.backend().to_string(), "a store of the program's own");
/// # Ok::<(), storehouse::Error>(())
/// # }).unwrap();
/// ```
#[must_use]
pub struct StoresBuilder {
    config: Config,
    own: BTreeMap<StoreName, Arc<dyn ObjectStore>>,
    blob_keys: Option<Arc<dyn KeyEncoder>>,
    layers: Vec<(StoreName, Layer)>,
    observed: bool,
    options: BackendOptions,
}

impl Default for StoresBuilder {
    fn default() -> Self {
        Self {
            config: Config::default(),
            own: BTreeMap::new(),
            blob_keys: None,
            layers: Vec::new(),
            observed: true,
            options: BackendOptions::default(),
        }
    }
}

impl fmt::Debug for StoresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoresBuilder")
            .field("config", &self.config)
            .field("own", &self.own)
            .field("layers", &self.layers.len())
            .field("observed", &self.observed)
            .finish_non_exhaustive()
    }
}

impl StoresBuilder {
    /// With this configuration. Without it, whatever is not set otherwise lies in memory.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse::{Backend, Config, Stores};
    ///
    /// let config = Config::from_toml(&format!("[repo]\ndata_dir = {:?}", dir.path()))?;
    /// let stores = Stores::builder().config(&config).open().await?;
    /// assert!(matches!(stores.backend(), Backend::Flatfs { .. }));
    /// # stores.close().await?;
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn config(mut self, config: &Config) -> Self {
        self.config = config.clone();
        self
    }

    /// Puts a store of the program's own in the place of `name`. Its section in the configuration
    /// is not looked at.
    ///
    /// Records lie in it under Piri's keys of a database, so several record stores can share it.
    /// Blobs need a store of their own.
    pub fn store(mut self, name: StoreName, store: Arc<dyn ObjectStore>) -> Self {
        self.own.insert(name, store);
        self
    }

    /// The keys of blobs, instead of those that fit their backend. In a store of the program's own
    /// they are [`PlainKeys`](storehouse_blobstore::PlainKeys) by default.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use storehouse::blobstore::{Digest, FlatfsKeys, HashFunction};
    ///
    /// let stores = storehouse::Stores::builder().blob_keys(Arc::new(FlatfsKeys)).open().await?;
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// assert!(stores.blobs().key(&digest).unwrap().as_str().starts_with("ciq"));
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn blob_keys(mut self, keys: Arc<dyn KeyEncoder>) -> Self {
        self.blob_keys = Some(keys);
        self
    }

    /// Wraps the store of `name`. Several layers are put around it in the order of the calls;
    /// observing, if any, is around all of them.
    pub fn layer<S: ObjectStore>(
        mut self,
        name: StoreName,
        layer: impl FnOnce(Arc<dyn ObjectStore>) -> S + Send + 'static,
    ) -> Self {
        let layer: Layer = Box::new(|store| Arc::new(layer(store)));
        self.layers.push((name, layer));
        self
    }

    /// Whether operations are counted and traced, in a build with the feature `observe`. They are
    /// by default.
    pub fn observed(mut self, observed: bool) -> Self {
        self.observed = observed;
        self
    }

    /// Changes the options of every flatfs directory, after the configuration was applied.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let config = format!("[repo]\ndata_dir = {:?}", dir.path());
    /// let stores = storehouse::Stores::builder()
    ///     .config(&storehouse::Config::from_toml(&config)?)
    ///     .flatfs(|options| options.log(true).cached_handles(256))
    ///     .open()
    ///     .await?;
    /// assert!(stores.backend().to_string().starts_with("flatfs at "));
    /// # stores.close().await?;
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "flatfs")]
    pub fn flatfs(
        mut self,
        change: impl Fn(storehouse_flatfs::FlatFsOptions) -> storehouse_flatfs::FlatFsOptions
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.options.flatfs = Some(Box::new(change));
        self
    }

    /// Changes the options of every redb database, after the configuration was applied.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse::{Backend, Config, StoreName, Stores};
    ///
    /// let config = format!("[repo]\ndata_dir = {:?}", dir.path());
    /// let stores = Stores::builder()
    ///     .config(&Config::from_toml(&config)?)
    ///     .redb(|options| options.reserve(16 << 20))
    ///     .open()
    ///     .await?;
    /// assert!(matches!(stores.backend_of(StoreName::Receipts), Backend::Redb { .. }));
    /// # stores.close().await?;
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "redb")]
    pub fn redb(
        mut self,
        change: impl Fn(storehouse_redb::RedbOptions) -> storehouse_redb::RedbOptions
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.options.redb = Some(Box::new(change));
        self
    }

    /// Changes the options of every bucket, after the configuration was applied.
    ///
    /// ```no_run
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, StoreName, Stores};
    ///
    /// let stores = Stores::builder()
    ///     .config(&Config::load(Some("node.toml".as_ref()))?)
    ///     .s3(|mut options| {
    ///         options.max_attempts = 8;
    ///         options
    ///     })
    ///     .open()
    ///     .await?;
    /// assert_eq!(stores.backend_of(StoreName::Blobs), stores.backend());
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "s3")]
    pub fn s3(
        mut self,
        change: impl Fn(storehouse_s3::S3Options) -> storehouse_s3::S3Options + Send + Sync + 'static,
    ) -> Self {
        self.options.s3 = Some(Box::new(change));
        self
    }

    /// Opens the stores.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub async fn open(self) -> Result<Stores> {
        let Self {
            config,
            own,
            blob_keys,
            layers,
            observed,
            options,
        } = self;
        config.check()?;
        let tree = config.tree()?;
        let own_names: Vec<_> = own.keys().copied().collect();
        let plans = open::plan(&config.repo, &own_names, &tree)?;
        let passphrase = config.repo.keystore.passphrase()?;
        let mut opener = Opener::new(own, layers, observed, options, &config.repo);
        let keystore = Keystore::new(&config.repo, passphrase.clone());
        opener.open_named(tree, &keystore).await?;
        let (store, plan) = opener.open(&plans, StoreName::Blobs).await?;
        let keys = blob_keys.unwrap_or_else(|| open::blob_keys(plan));
        let blobs = BlobStore::new(store, keys);
        let records = opener.records(&plans).await?;
        let local = LocalStores::open(&config.repo, passphrase, observed).await?;
        let (opened, named, disks) = opener.opened();
        let backends: BTreeMap<StoreName, Backend> = plans
            .into_iter()
            .map(|plan| (plan.name, plan.backend))
            .collect();
        Ok(Stores::new(
            blobs, records, backends, local, opened, named, disks,
        ))
    }
}

impl Stores {
    /// Opens what `config` picks: S3 if it is configured, else the file system if `data_dir` is
    /// set, else memory. Blobs go to the bucket `{bucket_prefix}pdp`, to flatfs in
    /// `{data_dir}/pdp/datastore`, or to memory; records to a bucket a kind, to one database in
    /// `{data_dir}/records`, or to memory. A store with a section of its own, `repo.stores.NAME`,
    /// goes where that says. The keystore and the journal go under `data_dir` in every case, or to
    /// memory if nothing else is kept either. Missing directories and buckets are created.
    ///
    /// Short for [`Stores::builder`] with this configuration and nothing else.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting), which names the setting that is wrong or whose
    /// store cannot be opened: a directory that cannot be written or is in use, a server that is
    /// not there or refuses the credentials, a backend that this build was made without, S3 without
    /// a `data_dir` for what never goes there. [`Error::Form`](crate::Error::Form) for a
    /// configuration file that picks nothing.
    pub async fn open(config: &Config) -> Result<Self> {
        Self::builder().config(config).open().await
    }

    /// Opens stores with more than a configuration can say: stores of the program's own, layers,
    /// options of a backend.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use storehouse::objectstore::Memory;
    /// use storehouse::{Backend, StoreName, Stores};
    ///
    /// let receipts = Arc::new(Memory::new());
    /// let stores = Stores::builder().store(StoreName::Receipts, receipts).open().await?;
    /// assert_eq!(stores.backend_of(StoreName::Receipts), &Backend::Own);
    /// assert_eq!(stores.backend_of(StoreName::Blobs), &Backend::Memory);
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn builder() -> StoresBuilder {
        StoresBuilder::default()
    }
}
