//! UCAN 0.9.1: delegations (and invocations, which are delegations to a service) and receipts, in
//! their archives.

mod archive;
mod base64_url;
mod builder;
mod capability;
mod delegation;
mod payload;
mod receipt;
mod receipt_form;
mod signature;
mod view;

pub use builder::{DelegationBuilder, ReceiptBuilder, Signer};
pub use capability::Capability;
pub use delegation::Delegation;
pub use receipt::{Effects, Receipt};
pub use receipt_form::ReceiptForm;
pub use signature::{Signature, SignatureError};
