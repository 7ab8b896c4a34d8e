//! dag-cbor for records whose bytes must be exact.
//!
//! The writer gives canonical bytes, if maps are written in their order: shorter keys first, then
//! by bytes. The reader takes what other implementations may have written: keys in any order. It
//! refuses everything else that is not dag-cbor: indefinite lengths, integers and lengths that are
//! longer than they need be, other tags than 42, keys that are no text, keys twice, floats that are
//! not of 64 bits, bytes after the value. A length is believed only as far as there are bytes, and
//! nesting goes [`MAX_DEPTH`] deep.

mod error;
mod ipld;
mod kind;
mod limits;
mod raw_value;
mod reader;
mod scalar;
mod walk;
mod writer;

pub use error::{DecodeError, Problem};
pub use kind::Kind;
pub use limits::{MAX_DEPTH, MAX_IPLD_MULTIPLE, MAX_IPLD_SMALL};
pub use raw_value::RawValue;
pub use reader::Reader;
pub use scalar::Scalar;
pub use writer::Writer;
