//! CAR version 1: a header with roots, then blocks, each behind its length and its CID.
//!
//! ```text
//! varint(len) dag-cbor {roots: [link…], version: 1}
//! varint(len(cid) + len(data)) cid data      repeated
//! ```
//!
//! [`CarReader`] streams, [`Archive`] holds all blocks. Both are strict: minimal varints, a
//! canonical header, bounded sizes, every block hashed whose hash function is known. They tell a
//! container that ends too early ([`CarProblem::Truncated`]) from one that is wrong, because an
//! append-only file may well end in the middle of a block. [`write_header`] and [`write_block`]
//! write.
//!
//! Source of the format: the IPLD project's *Specification: Content Addressable aRchives (CAR /
//! .car) v1*.

mod archive;
mod error;
mod hash;
mod limits;
mod reader;
mod writer;

pub use archive::{Archive, Block};
pub use error::{CarError, CarProblem};
pub use hash::{CAR_CODEC, DAG_CBOR, SHA2_256, car_cid, check_hash, dag_cbor_cid, dag_cbor_cid_of};
pub use limits::CarLimits;
pub use reader::{CarReader, StreamedBlock};
pub use writer::{write_block, write_header, write_varint};
