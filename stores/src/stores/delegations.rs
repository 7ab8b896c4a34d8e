use futures_core::stream::BoxStream;
use storehouse_formats::Cid;
use storehouse_genericstore::{GenericStore, ScanOptions};
use storehouse_objectstore::ObjectStore;

use super::by_cid::by_cid;
use crate::{Delegation, Layout, RecordCodec, Result};

/// [`Delegation`]s, by their CID. Archives are kept byte for byte.
#[derive(Clone, Debug)]
pub struct DelegationStore<S> {
    records: GenericStore<Delegation, RecordCodec, S>,
}

impl<S: ObjectStore> DelegationStore<S> {
    /// The delegations in `store`, under the keys of `layout`.
    pub fn new(store: S, layout: &Layout) -> Self {
        Self {
            records: GenericStore::new(store, RecordCodec, layout.delegations.clone()),
        }
    }

    /// Stores a delegation under its CID, in place of the one that is there, if one is.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn replace(&self, delegation: &Delegation) -> Result<()> {
        let key = delegation.cid().to_string();
        self.records.put(&key, delegation).await?;
        Ok(())
    }
}

by_cid!(DelegationStore, Delegation, "delegation");
