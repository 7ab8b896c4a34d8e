//! Opening: which store goes where, and each from its plan.

mod backends;
mod keystore;
mod local;
mod missing;
mod object_stores;
mod observed;
mod plan;
#[cfg(feature = "s3")]
mod s3_options;

pub(crate) use backends::{BackendOptions, Backends};
pub(crate) use keystore::Keystore;
pub use local::LocalStores;
pub(crate) use missing::MissingBackend;
pub(crate) use object_stores::{Layer, Opener, blob_keys};
pub(crate) use plan::plan;
