//! What operations are counted and traced with (feature `observe`):
//! `ObservedStore` of `storehouse-layers` and the wrappers of other crates.
//!
//! Counters, gauges and histograms go to the recorder of the crate `metrics` that the program
//! installed, spans and events to its subscriber of the crate `tracing`;
//! `docs/reference/metrics.md` lists the names. A handle is taken from the recorder when its
//! operation first needs it, and kept: so install the recorder first.

mod log_limit;
mod meter;
mod operation_outcome;
mod operation_span;

pub use log_limit::{FULL, LogLimit};
pub use meter::{Meter, TARGET};
pub use operation_outcome::OperationOutcome;
pub use operation_span::OperationSpan;
