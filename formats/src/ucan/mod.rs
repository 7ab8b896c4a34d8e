//! UCAN 0.9.1: delegations (and invocations, which are delegations to a service) and receipts, in
//! their archives.

mod archive;
mod builder;
mod capability;
mod dag_json;
mod delegation;
mod lazy;
mod payload;
mod receipt;
mod receipt_form;
mod signature;

pub use builder::{DelegationBuilder, ReceiptBuilder, Signer};
pub use capability::Capability;
pub use delegation::Delegation;
pub use receipt::{Effects, Outcome, Receipt};
pub use receipt_form::ReceiptForm;
pub use signature::{Signature, SignatureError};
