//! From the plan of a store to the store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use storehouse_blobstore::{FlatfsKeys, KeyEncoder, PlainKeys, S3Keys};
use storehouse_objectstore::ObjectStore;
use storehouse_stores::{
    AcceptanceStore, AllocationStore, ConsolidationStore, DelegationStore, Layout, ReceiptStore,
};

use super::backends::{BackendOptions, Backends};
use super::keystore::Keystore;
use super::missing::MissingBackend;
use super::observed;
use super::plan::{StorePlan, absolute};
use crate::config::{KeysConfig, RepoConfig};
use crate::free_space::Disk;
use crate::handles::OpenedStore;
use crate::tree::{OpenedTree, StoreTree, open_tree};
use crate::{Backend, Error, Records, Result, StoreName};

/// A layer around a store.
pub(crate) type Layer = Box<dyn FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send>;

/// Opens stores, and each database once.
pub(crate) struct Opener {
    own: BTreeMap<StoreName, Arc<dyn ObjectStore>>,
    layers: Vec<(StoreName, Layer)>,
    observed: bool,
    backends: Backends,
    named: OpenedTree,
    databases: BTreeMap<PathBuf, Arc<dyn ObjectStore>>,
    opened: Vec<OpenedStore>,
    min_free: Option<u64>,
    disks: Vec<(String, Disk)>,
}

impl Opener {
    pub(crate) fn new(
        own: BTreeMap<StoreName, Arc<dyn ObjectStore>>,
        layers: Vec<(StoreName, Layer)>,
        observed: bool,
        options: BackendOptions,
        repo: &RepoConfig,
    ) -> Self {
        Self {
            own,
            layers,
            observed,
            backends: Backends::new(options, repo.flatfs.clone(), repo.min_free),
            named: BTreeMap::new(),
            databases: BTreeMap::new(),
            opened: Vec::new(),
            min_free: repo.min_free,
            disks: Vec::new(),
        }
    }

    /// Opens the stores of the section `[stores]`.
    pub(crate) async fn open_named(&mut self, tree: StoreTree, keys: &Keystore<'_>) -> Result<()> {
        self.named = open_tree(tree, &mut self.backends, keys).await?;
        for (name, store) in &self.named {
            self.opened.push(OpenedStore {
                setting: format!("stores.{name}"),
                store: Arc::clone(store),
            });
        }
        Ok(())
    }

    /// Every object store that was opened, once; those of them that have names; and the disks that
    /// they lie on, by the store.
    pub(crate) fn opened(self) -> (Vec<OpenedStore>, OpenedTree, Vec<(String, Disk)>) {
        let disks = self.disks.into_iter().chain(self.backends.into_disks());
        (self.opened, self.named, disks.collect())
    }

    pub(crate) async fn records(&mut self, plans: &[StorePlan<'_>]) -> Result<Records> {
        let (store, plan) = self.open(plans, StoreName::Allocations).await?;
        let allocations = AllocationStore::new(store, &layout(plan));
        let (store, plan) = self.open(plans, StoreName::Acceptances).await?;
        let acceptances = AcceptanceStore::new(store, &layout(plan));
        let (store, plan) = self.open(plans, StoreName::Delegations).await?;
        let delegations = DelegationStore::new(store, &layout(plan));
        let (store, plan) = self.open(plans, StoreName::Receipts).await?;
        let receipts = ReceiptStore::new(store, &layout(plan)).map_err(|e| {
            Error::setting("repo.stores.receipts", "cannot be indexed").caused_by(Some(e.into()))
        })?;
        let (store, plan) = self.open(plans, StoreName::Consolidations).await?;
        let consolidations = ConsolidationStore::new(store, &layout(plan));
        Ok(Records {
            allocations,
            acceptances,
            delegations,
            receipts,
            consolidations,
        })
    }

    /// The store of `name` in its layers.
    pub(crate) async fn open<'a>(
        &mut self,
        plans: &'a [StorePlan<'a>],
        name: StoreName,
    ) -> Result<(Arc<dyn ObjectStore>, &'a StorePlan<'a>)> {
        let Some(plan) = plans.iter().find(|plan| plan.name == name) else {
            return Err(Error::setting(
                format!("repo.stores.{name}"),
                "has no place",
            ));
        };
        let mut store = self.bare(plan).await?;
        if let Some(path) = plan.backend.path() {
            let disk = Disk::new(path.to_owned(), self.min_free);
            self.disks.push((name.to_string(), disk));
        }
        let mut position = 0;
        while position < self.layers.len() {
            if self.layers[position].0 == name {
                let (_, layer) = self.layers.remove(position);
                store = layer(store);
            } else {
                position += 1;
            }
        }
        if self.observed {
            store = observed::store(store, name.as_str(), label(&plan.backend));
        }
        Ok((store, plan))
    }

    /// The store of a plan without layers.
    async fn bare(&mut self, plan: &StorePlan<'_>) -> Result<Arc<dyn ObjectStore>> {
        let setting = &plan.setting;
        let store = match (&plan.backend, plan.server) {
            (Backend::Named { name }, _) => {
                // The configuration was checked: it is there.
                return self
                    .named
                    .get(name)
                    .map(Arc::clone)
                    .ok_or_else(|| Error::setting(setting.clone(), "is not there"));
            }
            (Backend::Own, _) => match self.own.remove(&plan.name) {
                Some(own) => own,
                None => return Err(Error::setting(setting.clone(), "has no store")),
            },
            (Backend::Flatfs { path }, _) => self.backends.flatfs(path, setting).await?,
            (Backend::Redb { path }, _) => {
                if let Some(open) = self.databases.get(&absolute(path)) {
                    return Ok(Arc::clone(open));
                }
                let store: Arc<dyn ObjectStore> = if !plan.chosen && !cfg!(feature = "redb") {
                    Arc::new(MissingBackend::new("redb"))
                } else {
                    self.backends.redb(path, setting).await?
                };
                self.databases.insert(absolute(path), Arc::clone(&store));
                store
            }
            (Backend::S3 { bucket, .. }, Some(server)) => {
                self.backends.s3(server, bucket, setting, plan.name).await?
            }
            (Backend::Memory | Backend::S3 { .. }, _) => self.backends.memory(setting)?,
        };
        let opened = Arc::clone(&store);
        self.opened.push(OpenedStore {
            setting: setting.clone(),
            store: opened,
        });
        Ok(store)
    }
}

/// Piri's keys of blobs, for what they lie in.
pub(crate) fn blob_keys(plan: &StorePlan<'_>) -> Arc<dyn KeyEncoder> {
    match (plan.keys, &plan.backend) {
        (Some(KeysConfig::Flatfs), _) | (None, Backend::Flatfs { .. }) => Arc::new(FlatfsKeys),
        (Some(KeysConfig::S3), _) | (None, Backend::S3 { .. }) => Arc::new(S3Keys),
        _ => Arc::new(PlainKeys),
    }
}

/// Piri's keys of records, for what they lie in.
fn layout(plan: &StorePlan<'_>) -> Layout {
    match (plan.keys, &plan.backend) {
        (Some(KeysConfig::S3), _) | (None, Backend::S3 { .. }) => Layout::s3(),
        _ => Layout::database(),
    }
}

/// The label of a backend in metrics.
fn label(backend: &Backend) -> &'static str {
    match backend {
        Backend::Memory => "memory",
        Backend::Flatfs { .. } => "flatfs",
        Backend::Redb { .. } => "redb",
        Backend::S3 { .. } => "s3",
        Backend::Own => "own",
        Backend::Named { .. } => "named",
    }
}
