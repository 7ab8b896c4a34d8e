//! The example `node` as its users meet it: a process, and HTTP.
//!
//! `cargo test` builds the example first; `cargo test --test node` alone does not, and needs `cargo
//! build --example node` before it.

#[path = "node/access.rs"]
mod access;
#[path = "node/blobs.rs"]
mod blobs;
#[path = "node/damaged.rs"]
mod damaged;
#[path = "node/fairness.rs"]
mod fairness;
#[path = "node/hostile.rs"]
mod hostile;
#[path = "node/limits.rs"]
mod limits;
#[path = "node/receipts.rs"]
mod receipts;
#[path = "node/records.rs"]
mod records;
#[path = "node/refused.rs"]
mod refused;
#[path = "node/stopping.rs"]
mod stopping;
#[path = "node/support.rs"]
mod support;
