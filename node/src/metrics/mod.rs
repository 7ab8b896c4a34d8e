//! What the library counts, and what the node does, as Prometheus reads it.

pub(crate) mod endpoint;
mod recorder;
mod requests;

pub use recorder::Metrics;
pub(crate) use requests::Requests;
