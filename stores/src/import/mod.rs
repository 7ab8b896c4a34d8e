//! Bringing a Piri node's records over.
//!
//! Piri keeps records in LevelDB databases, a directory each under its `data_dir`. [`piri`] reads
//! them without changing a byte of them, and puts what they hold into record stores. It can be
//! repeated: what is there already, byte for byte, stays; what is there and differs is named and
//! left alone. Every record that it writes is read back and compared.
//!
//! | directory | becomes |
//! |---|---|
//! | `allocation`, `acceptance`, `claim`, `receipt` | allocations, acceptances, delegations, receipts |
//! | `consolidation`, `egress_tracker/journal/consolidation` | consolidations; the latter is where Piri up to 0.2.2 kept them, and later versions do not look |
//! | `pdp/datastore`, `egress_tracker/journal`, `wallet` | nothing: blobs and journal are opened where they lie, keys have an import of their own |
//! | others | nothing; named in the report |

mod consolidations;
mod database;
mod options;
mod piri;
mod receipts;
mod record;
mod report;

pub use options::{ImportOptions, OnProgress};
pub use piri::piri;
pub use report::{DatabaseReport, ImportReport, Problem, Progress};
