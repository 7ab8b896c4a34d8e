//! The stores.

mod acceptances;
mod allocations;
mod by_cid;
mod by_space;
mod consolidations;
mod delegations;
mod receipts;
mod record_stores;

pub(crate) use by_space::key as space_key;
pub(crate) use consolidations::from_legacy;

pub use acceptances::AcceptanceStore;
pub use allocations::AllocationStore;
pub use consolidations::ConsolidationStore;
pub use delegations::DelegationStore;
pub use receipts::ReceiptStore;
pub use record_stores::RecordStores;
