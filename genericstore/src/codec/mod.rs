//! Codecs: from values to bytes and back.

#[cfg(feature = "cbor")]
mod cbor;
mod contract;
#[cfg(feature = "dag-cbor")]
mod dag_cbor;
#[cfg(feature = "json")]
mod json;
mod raw;

#[cfg(feature = "cbor")]
pub use cbor::Cbor;
pub use contract::{Codec, CodecError};
#[cfg(feature = "dag-cbor")]
pub use dag_cbor::DagCbor;
#[cfg(feature = "json")]
pub use json::Json;
pub use raw::Raw;
