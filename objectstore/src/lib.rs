//! Objects: bytes under keys, streamed in and out of a directory, an S3 server or memory.
//!
//! The trait is [`ObjectStore`]; its documentation is the contract that all backends and wrappers keep. Backends are cargo features: `memory` and
//! `flatfs` (both on by default), `datastore` and `s3`. Wrappers are stores made of a store: [`PrefixStore`], [`LimitStore`] and, with the feature
//! `observe`, `ObservedStore`. Those who write either test it
//! with the module `conformance` (feature `conformance`).
//!
//! Architecture invariants: nothing here knows of blobs, records or configuration files; no wrapper names a backend; without the feature `s3` no
//! HTTP client is compiled.

mod batch;
mod body;
mod capabilities;
mod error;
mod ext;
mod file;
mod key;
mod object;
mod options;
mod range;
mod sized;
mod small;
mod store;
mod wrapper;

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "datastore")]
pub mod datastore;
#[cfg(all(unix, feature = "flatfs"))]
pub mod flatfs;

#[cfg(feature = "memory")]
pub mod memory;

#[cfg(feature = "observe")]
pub mod observe;

#[cfg(feature = "s3")]
pub mod s3;

pub use batch::{Batch, BatchOp, BatchResult, Batches};
pub use body::Body;
pub use capabilities::{Capabilities, KeyRule, ListOrder};
pub use error::{BoxError, Error, ErrorClass, Operation, Result};
pub use ext::ObjectStoreExt;
pub use key::Key;
pub use object::{ETag, Entry, Metadata, Object, PutResult};
pub use options::{Durability, GetOptions, ListOptions, PutMode, PutOptions};
pub use range::ByteRange;
pub use sized::SizedBody;
pub use small::SmallBytes;
pub use store::ObjectStore;
#[cfg(feature = "observe")]
pub use wrapper::ObservedStore;
pub use wrapper::{LimitStore, PrefixStore};

#[cfg(feature = "datastore")]
pub use datastore::{Datastore, DatastoreOptions};
#[cfg(all(unix, feature = "flatfs"))]
pub use flatfs::{FlatFs, FlatFsOptions};
#[cfg(feature = "memory")]
pub use memory::Memory;
#[cfg(feature = "s3")]
pub use s3::S3;
