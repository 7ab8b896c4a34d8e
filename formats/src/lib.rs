//! The formats that records of a storage node come in: bytes in, bytes out.
//!
//! | module | format |
//! |---|---|
//! | [`car`] | CAR version 1, read with limits and every block hashed |
//! | [`dag_cbor`] | dag-cbor, for records whose bytes must be exact |
//! | [`dag_json`] | dag-json, written as a stream from dag-cbor |
//! | [`Cid`] | content identifiers, of any length |
//! | [`did`] | decentralised identifiers, as text and as bytes |
//! | [`ucan`] | UCAN 0.9.1: delegations, invocations and receipts, in their archives |
//! | `leveldb` (feature `leveldb`) | LevelDB databases, read without changing a byte of them |
//!
//! ```
//! use storehouse_formats::{Did, car::dag_cbor_cid_of, dag_cbor::Writer};
//!
//! let did: Did = "did:web:example.com".parse()?;
//! assert_eq!(did.as_bytes(), b"\x9d\x1aweb:example.com");
//!
//! let mut writer = Writer::default();
//! writer.map(0);
//! let cid = dag_cbor_cid_of(&writer.into_bytes());
//! assert_eq!(cid.to_string(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
//! # Ok::<(), storehouse_formats::Error>(())
//! ```
//!
//! Architecture invariants: nothing here knows of a store; a signature is checked only where a
//! caller asks for it.

mod cid;
mod error;
mod varint;

pub mod base58;
pub mod car;
pub mod dag_cbor;
pub mod dag_json;
pub mod did;
#[cfg(feature = "leveldb")]
pub mod leveldb;
pub mod multibase;
pub mod ucan;

pub use cid::Cid;
pub use did::Did;
pub use error::{Error, Result};

/// The values that dag-cbor can say.
pub use ipld_core::ipld::Ipld;
