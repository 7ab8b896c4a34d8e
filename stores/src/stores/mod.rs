//! The stores.

mod acceptances;
mod allocations;
mod by_cid;
mod by_space;
mod consolidations;
mod delegations;
mod receipts;

pub use acceptances::AcceptanceStore;
pub use allocations::AllocationStore;
pub use consolidations::ConsolidationStore;
pub use delegations::{ClaimStore, DelegationStore};
pub use receipts::ReceiptStore;
