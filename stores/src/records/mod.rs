//! The records whose bytes are a dag-cbor map.

mod acceptance;
mod allocation;
mod blob;
mod codec;
mod consolidation;
mod fields;

pub use acceptance::{Acceptance, Promise};
pub use allocation::Allocation;
pub use blob::Blob;
pub use codec::RecordCodec;
pub use consolidation::Consolidation;
