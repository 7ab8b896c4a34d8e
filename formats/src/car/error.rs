use std::io;
use std::sync::Arc;

use crate::Cid;

/// What is wrong with a container, and where.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the container is wrong at byte {offset}")]
pub struct CarError {
    /// Where the header or block at fault begins, in bytes from the container's start.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub problem: CarProblem,
}

/// What can be wrong with a container.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarProblem {
    /// It ends in the middle of a header or block.
    #[error("the data ends in the middle")]
    Truncated,
    /// A length is not a minimal varint.
    #[error("the length is not a minimal varint")]
    Varint,
    /// A length is zero or more than allowed.
    #[error("a length of {size} bytes, where 1 to {limit} are allowed")]
    Size {
        /// The length read.
        size: u64,
        /// The limit, in bytes (inclusive).
        limit: usize,
    },
    /// There are more blocks than allowed.
    #[error("more than {limit} blocks")]
    Blocks {
        /// The limit (inclusive).
        limit: usize,
    },
    /// The header is not that of a CAR version 1.
    #[error("not the header of a CAR version 1")]
    Header,
    /// A block does not begin with a CID.
    #[error("the block does not begin with a CID")]
    Cid,
    /// A block that the record depends on has a hash that cannot be verified.
    #[error("block {cid} cannot be verified: hash function {code:#x} is not known")]
    Unverified {
        /// The CID.
        cid: Box<Cid>,
        /// The code of the hash function.
        code: u64,
    },
    /// A block is not the one that its CID names.
    #[error("the block's hash is not that of its CID {cid}")]
    Hash {
        /// The CID.
        cid: Box<Cid>,
    },
    /// The container has not exactly one root, or the root is not in it.
    #[error("{0}")]
    Root(&'static str),
    /// The source failed.
    #[error("reading failed")]
    Io(#[source] Arc<io::Error>),
}
