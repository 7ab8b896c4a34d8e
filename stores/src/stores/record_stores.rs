//! All of them together.

use storehouse_objectstore::ObjectStore;

use super::{AcceptanceStore, AllocationStore, ConsolidationStore, DelegationStore, ReceiptStore};
use crate::{Layout, Result};

/// All record stores of a node.
///
/// ```
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Layout, RecordStores};
///
/// let stores = RecordStores::in_one(Memory::new(), &Layout::database())?;
/// assert_eq!(stores.allocations.records().namespace().prefix(), "allocation/");
/// # Ok::<(), storehouse_stores::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RecordStores<S> {
    /// Allocations.
    pub allocations: AllocationStore<S>,
    /// Acceptances.
    pub acceptances: AcceptanceStore<S>,
    /// Delegations, also called claims.
    pub delegations: DelegationStore<S>,
    /// Receipts.
    pub receipts: ReceiptStore<S>,
    /// Consolidations.
    pub consolidations: ConsolidationStore<S>,
}

impl<S: ObjectStore + Clone> RecordStores<S> {
    /// All of them in one object store. Its layout must keep them apart, as [`Layout::database`]
    /// does.
    ///
    /// # Errors
    /// As [`ReceiptStore::new`].
    pub fn in_one(store: S, layout: &Layout) -> Result<Self> {
        Ok(Self {
            allocations: AllocationStore::new(store.clone(), layout),
            acceptances: AcceptanceStore::new(store.clone(), layout),
            delegations: DelegationStore::new(store.clone(), layout),
            receipts: ReceiptStore::new(store.clone(), layout)?,
            consolidations: ConsolidationStore::new(store, layout),
        })
    }
}
