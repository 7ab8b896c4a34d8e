//! Objects: bytes under keys, streamed in and out of whatever keeps them.
//!
//! The trait is [`ObjectStore`]; its documentation is the contract that every backend and every
//! layer keeps. This crate has the trait, its vocabulary, and a store in memory. Each other backend
//! is a crate of its own, and so are the layers (`storehouse-layers`) and the test suite for those
//! who write either (`storehouse-conformance`).
//!
//! Architecture invariants: nothing here knows of blobs, records or configuration files, and no
//! HTTP client is compiled.

mod attributes;
mod batch;
mod body;
mod capabilities;
mod error;
mod events;
mod ext;
mod file;
mod key;
mod lifecycle;
mod methods;
mod object;
mod options;
mod presign;
mod range;
mod sized;
mod small;
#[cfg(feature = "spool")]
mod spool;
mod store;

pub mod fallback;

#[cfg(feature = "memory")]
pub mod memory;

#[cfg(feature = "observe")]
pub mod observe;

pub use attributes::{Attributes, HttpField};
pub use batch::{Batch, BatchOp, BatchResult, Batches};
pub use body::Body;
pub use capabilities::{Capabilities, KeyRule, ListOrder};
pub use error::{BoxError, Error, ErrorClass, Operation, Result};
pub use events::{Event, EventSender, Events};
pub use ext::ObjectStoreExt;
pub use key::Key;
pub use lifecycle::{Lifecycle, RunningOperation};
pub use object::{ETag, Entry, Listed, Metadata, Object, ObjectRanges, PutResult};
pub use options::{CopyOptions, Durability, GetOptions, ListOptions, PutMode, PutOptions};
pub use presign::{PresignMethod, PresignOptions, PresignedRequest};
pub use range::ByteRange;
pub use sized::SizedBody;
pub use small::SmallBytes;
#[cfg(feature = "spool")]
pub use spool::{Spool, SpoolOptions};
pub use store::ObjectStore;

// What signatures of the trait need, for `methods!`.
#[doc(no_inline)]
pub use futures_core::{future::BoxFuture, stream::BoxStream};

#[cfg(feature = "memory")]
pub use memory::Memory;
