//! The stores of a node, open.

use std::collections::BTreeMap;
use std::sync::Arc;

use storehouse_objectstore::ObjectStore;

use crate::free_space::{Disk, FreeSpace};
use crate::handles::{Blobs, OpenedStore, Records};
use crate::tree::OpenedTree;
use crate::{Backend, Error, LocalStores, Result, StoreName};

/// Every store of a node, open and ready. Clones share them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse::{Config, Stores};
///
/// let stores = Stores::open(&Config::default()).await?; // nothing configured: memory
/// assert_eq!(stores.backend().to_string(), "memory");
/// stores.close().await?;
/// # Ok::<(), storehouse::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Stores {
    blobs: Blobs,
    records: Records,
    backends: Arc<BTreeMap<StoreName, Backend>>,
    local: LocalStores,
    /// Every object store underneath, once.
    opened: Arc<[OpenedStore]>,
    named: Arc<OpenedTree>,
    disks: Arc<[(String, Disk)]>,
}

impl Stores {
    pub(crate) fn new(
        blobs: Blobs,
        records: Records,
        backends: BTreeMap<StoreName, Backend>,
        local: LocalStores,
        opened: Vec<OpenedStore>,
        named: OpenedTree,
        disks: Vec<(String, Disk)>,
    ) -> Self {
        Self {
            blobs,
            records,
            backends: Arc::new(backends),
            local,
            opened: opened.into(),
            named: Arc::new(named),
            disks: disks.into(),
        }
    }

    /// The store of this name in the section `[stores]` of the configuration.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::objectstore::{Key, ObjectStoreExt};
    ///
    /// let config = storehouse::Config::from_toml("[stores.near]\ntype = 'memory'")?;
    /// let stores = storehouse::Stores::open(&config).await?;
    /// let near = stores.named("near").unwrap();
    /// near.put(&Key::new("a")?, "hello").await?;
    /// assert!(stores.named("far").is_none());
    /// # stores.close().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<dyn ObjectStore>> {
        self.named.get(name)
    }

    /// The blobs.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// let added = stores.blobs().add("hello").await?;
    /// let blob = stores.blobs().get(&added.digest).await?;
    /// assert_eq!(blob.body.collect(1024).await?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The record stores: allocations, acceptances, delegations, receipts, consolidations.
    ///
    /// In a build without the database that records go to by default, and where none was configured
    /// by name, each operation of theirs fails and names the feature that is missing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// assert_eq!(stores.records().receipts.records().count("").await.unwrap(), 0);
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// The stores that never leave the machine: keystore and retrieval journal.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::local::keystore::PutKey;
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// let (keys, name) = (stores.local().keys(), "node".parse()?);
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// assert_eq!(keys.list().await?, [name]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn local(&self) -> &LocalStores {
        &self.local
    }

    /// What the blobs lie in.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        self.backend_of(StoreName::Blobs)
    }

    /// What a store lies in.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Backend, Config, StoreName, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// assert_eq!(stores.backend_of(StoreName::Receipts), &Backend::Memory);
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn backend_of(&self, store: StoreName) -> &Backend {
        self.backends.get(&store).unwrap_or(&Backend::Memory)
    }

    /// What is free on the disk of each store that lies on one, by its name (`blobs`, or
    /// `stores.NAME` of that section), and on that of the keystore and the journal, as `local`. A
    /// disk that cannot be asked is left out. Blocks for a moment.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// assert!(stores.free_space().is_empty()); // all in memory
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn free_space(&self) -> Vec<(String, FreeSpace)> {
        let stores = self.disks.iter();
        let stores = stores.map(|(name, disk)| (name.clone(), disk.look()));
        let local = self
            .local
            .disk()
            .map(|disk| ("local".to_owned(), disk.look()));
        stores
            .chain(local)
            .filter_map(|(name, space)| Some((name, space.ok()?)))
            .collect()
    }

    /// Closes every store, and returns once all of them are at rest: what they lie in can then be
    /// opened again at once. Operations after it fail. All are closed, also after an error.
    ///
    /// # Errors
    /// [`Error::Setting`] with the first store that could not be closed in order. Nothing
    /// acknowledged is lost.
    pub async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for OpenedStore { setting, store } in self.opened.iter() {
            let result = store.close().await;
            closed = closed.and(result.map_err(|e| {
                Error::setting(setting.clone(), "cannot be closed in order")
                    .caused_by(Some(Box::new(e)))
            }));
        }
        let journal = self.local.journal().close().await;
        closed.and(journal.map_err(|e| {
            Error::setting("repo.data_dir", "the journal cannot be closed in order")
                .caused_by(Some(Box::new(e)))
        }))
    }
}
