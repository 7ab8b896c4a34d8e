//! The records whose bytes are a dag-cbor map.

mod acceptance;
mod allocation;
mod blob;
mod codec;
mod consolidation;
mod serde_text;

pub use acceptance::{Acceptance, Promise};
pub use allocation::Allocation;
pub use blob::Blob;
pub use codec::RecordCodec;
pub use consolidation::Consolidation;

use storehouse_genericstore::dag_cbor::{DecodeError, Problem, Reader};

use crate::Did;

/// A DID as the byte string that comes next.
fn read_did(reader: &mut Reader<'_>, field: &'static str) -> Result<Did, DecodeError> {
    let start = reader.offset();
    Did::from_bytes(reader.bytes()?).map_err(|e| {
        Reader::error_at(
            start,
            Problem::Field {
                field,
                reason: e.to_string(),
            },
        )
    })
}

/// The field's value, which must have come.
fn required<T>(field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| Reader::error_at(0, Problem::MissingField(field)))
}
