//! From a tree of plans to open stores.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use storehouse_objectstore::{BoxError, ObjectStore};

use super::parse::{Edge, Node, StoreTree};
use super::plan::{BackendPlan, PlanKind};
#[cfg(feature = "encrypted")]
use super::read_keys::read_keys;
use crate::open::{Backends, Keystore};
use crate::{Error, Result};

/// The named stores, open.
pub(crate) type OpenedTree = BTreeMap<String, Arc<dyn ObjectStore>>;

/// Opens every named store once.
pub(crate) async fn open_tree(
    mut tree: StoreTree,
    backends: &mut Backends,
    keystore: &Keystore<'_>,
) -> Result<OpenedTree> {
    let mut opening = Opening {
        opened: BTreeMap::new(),
        backends,
        keystore,
    };
    while let Some(name) = tree.named.keys().next().cloned() {
        opening.named(&mut tree.named, &name).await?;
    }
    Ok(opening.opened)
}

struct Opening<'a> {
    opened: OpenedTree,
    backends: &'a mut Backends,
    #[cfg_attr(
        not(feature = "encrypted"),
        allow(dead_code, reason = "only stores that encrypt ask for keys")
    )]
    keystore: &'a Keystore<'a>,
}

impl Opening<'_> {
    /// The store of this name; `left` are those that are not open yet.
    async fn named(
        &mut self,
        left: &mut BTreeMap<String, Node>,
        name: &str,
    ) -> Result<Arc<dyn ObjectStore>> {
        if let Some(open) = self.opened.get(name) {
            return Ok(Arc::clone(open));
        }
        let Some(node) = left.remove(name) else {
            return Err(Error::setting(format!("stores.{name}"), "is not there"));
        };
        let store = self.node(left, node).await?;
        self.opened.insert(name.to_owned(), Arc::clone(&store));
        Ok(store)
    }

    fn node<'b>(
        &'b mut self,
        left: &'b mut BTreeMap<String, Node>,
        node: Node,
    ) -> BoxFuture<'b, Result<Arc<dyn ObjectStore>>> {
        Box::pin(async move {
            let mut below = Vec::with_capacity(node.children.len());
            for (_, edge) in node.children {
                below.push(match edge {
                    Edge::Inline(inner) => self.node(left, inner).await?,
                    Edge::Named(name) => self.named(left, &name).await?,
                });
            }
            let path = node.path;
            match node.plan.kind {
                PlanKind::Backend(plan) => self.backend(plan, &path).await,
                PlanKind::Leaf { build, .. } | PlanKind::Layer(build) => {
                    build(below).await.map_err(|e| cannot_open(&path, e))
                }
                #[cfg(feature = "encrypted")]
                PlanKind::Encrypted(keys) => {
                    let keys = read_keys(keys, self.keystore, &path).await?;
                    // It is over one store.
                    let store = storehouse_layers::EncryptedStore::new(below.remove(0), keys);
                    Ok(Arc::new(store) as Arc<dyn ObjectStore>)
                }
            }
        })
    }

    async fn backend(&mut self, plan: BackendPlan, path: &str) -> Result<Arc<dyn ObjectStore>> {
        match plan {
            BackendPlan::Memory => self.backends.memory(path),
            BackendPlan::Flatfs { path: dir, log } => {
                let setting = format!("{path}.path");
                self.backends.note_disk(path, &dir);
                self.backends.flatfs_with(&dir, log, &setting).await
            }
            BackendPlan::Fs { path: dir } => self.backends.fs(&dir, &format!("{path}.path")).await,
            BackendPlan::Redb { path: dir } => {
                self.backends.note_disk(path, &dir);
                self.backends.redb(&dir, &format!("{path}.path")).await
            }
            BackendPlan::S3 { server, bucket } => {
                self.backends.s3_bucket(&server, &bucket, path).await
            }
        }
    }
}

fn cannot_open(path: &str, error: BoxError) -> Error {
    Error::setting(path, "cannot be opened").caused_by(Some(error))
}
