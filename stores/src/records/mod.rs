//! The records whose bytes are a dag-cbor map.

mod acceptance;
mod allocation;
mod blob_ref;
mod codec;
mod consolidation;
mod fields;

pub use acceptance::{Acceptance, Promise};
pub use allocation::Allocation;
pub use blob_ref::BlobRef;
pub use codec::RecordCodec;
pub use consolidation::Consolidation;
