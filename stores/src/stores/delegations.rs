use futures_core::stream::BoxStream;
use storehouse_formats::Cid;
use storehouse_genericstore::{GenericStore, ScanOptions};
use storehouse_objectstore::ObjectStore;

use super::by_cid::by_cid;
use crate::{Delegation, Layout, RecordCodec, Result};

/// [`Delegation`]s, by their CID. Archives are kept byte for byte.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::collections::BTreeMap;
///
/// use futures_util::TryStreamExt;
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
/// use storehouse_formats::Ipld;
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Delegation, DelegationStore, Layout};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept".to_owned(), signer.did().to_string())
///     .nb(Ipld::Map(BTreeMap::new()));
/// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability])
///     .expiration(4_000_000_000)
///     .sign(&signer)?;
/// let delegations = DelegationStore::new(Memory::new(), &Layout::database());
/// assert!(delegations.put(&delegation).await?);
/// assert!(!delegations.put(&delegation).await?, "the first stays");
/// delegations.replace(&delegation).await?;
///
/// assert_eq!(delegations.get(&delegation.cid()).await?, delegation);
/// let all: Vec<Delegation> = delegations.list().try_collect().await?;
/// assert_eq!(all.len(), 1);
/// delegations.delete(&delegation.cid()).await?;
/// assert!(!delegations.exists(&delegation.cid()).await?);
/// assert_eq!(delegations.records().count("").await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
