//! dag-json, written as a stream from dag-cbor: no tree of values is built.
//!
//! The text is the one that UCANs are signed as: no white space, keys in byte order, links as
//! `{"/": cid}`, bytes as `{"/": {"bytes": base64}}`, floats with a point or an exponent.
//!
//! JSON may take 20 times the room of its dag-cbor, so a [`JsonWriter`] has [`JsonLimits`] on the
//! number of values and of bytes, and stops at either.
//!
//! ```
//! use storehouse_formats::Ipld;
//! use storehouse_formats::dag_cbor::RawValue;
//! use storehouse_formats::dag_json::{JsonLimits, to_string};
//!
//! let value = RawValue::from(&Ipld::List(vec![Ipld::Integer(1), Ipld::Bytes(vec![1, 2])]));
//! assert_eq!(to_string(&value, JsonLimits::default())?, r#"[1,{"/":{"bytes":"AQI"}}]"#);
//! # Ok::<(), storehouse_formats::dag_json::JsonError>(())
//! ```
//!
//! Source of the format: the IPLD project's *Specification: DAG-JSON*.

mod limits;
mod value;
mod writer;

pub use limits::{JsonError, JsonLimits};
pub use value::{size, to_string};
pub use writer::JsonWriter;
