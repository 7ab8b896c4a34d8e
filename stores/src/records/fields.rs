//! What the records' fields have in common.

use storehouse_formats::dag_cbor::{DecodeError, Problem, Reader};

use crate::{Did, Error};

/// A DID as the byte string that comes next.
pub(super) fn read_did(reader: &mut Reader<'_>, field: &'static str) -> Result<Did, DecodeError> {
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
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| Reader::error_at(0, Problem::MissingField(field)))
}

/// What says that bytes are not `what`.
pub(super) fn not(what: &'static str) -> impl FnOnce(DecodeError) -> Error {
    move |source| storehouse_formats::Error::DagCbor { what, source }.into()
}
