//! What operations are counted and traced with (feature `observe`):
//! [`ObservedStore`](crate::ObservedStore) and the wrappers of other crates.
//!
//! Counters, gauges and histograms go to the recorder of the crate `metrics` that the program
//! installed, spans and events to its subscriber of the crate `tracing`; `docs/observability.md`
//! lists the names. A handle is taken from the recorder when its operation first needs it, and
//! kept: so install the recorder first.

mod meter;
mod operation_span;

pub use meter::Meter;
pub use operation_span::{OperationOutcome, OperationSpan};

/// The target of every span and event.
pub const TARGET: &str = "storehouse";
