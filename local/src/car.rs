//! CAR version 1: a header with roots, then blocks, each behind its length and its CID.
//!
//! ```text
//! varint(len) dag-cbor {roots: [link…], version: 1}
//! varint(len(cid) + len(data)) cid data      repeated
//! ```
//!
//! The reader is strict: minimal varints, a canonical header, bounded sizes, every block hashed. It tells a container that ends too early
//! ([`CarProblem::Truncated`]) from one that is wrong, because an append-only file may well end in the middle of a block.

use std::io::{self, Read};
use std::sync::Arc;

use ipld_core::cid::Cid;
use ipld_core::cid::multihash::Multihash;
use ipld_core::ipld::Ipld;
use sha2::{Digest, Sha256, Sha512};

/// The multicodec of a CAR file.
pub const CAR_CODEC: u64 = 0x0202;
/// The multicodec of dag-cbor.
pub const DAG_CBOR: u64 = 0x71;
/// The multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;
const SHA2_512: u64 = 0x13;
const IDENTITY: u64 = 0x00;

/// How large a container's parts may be.
#[derive(Clone, Copy, Debug)]
pub struct CarLimits {
    /// The header, in bytes (inclusive). Default: 64 KiB, some 1,700 roots.
    pub header: usize,
    /// A block with its CID, in bytes (inclusive). Default: 32 MiB, which is also what Go's reader takes.
    pub section: usize,
    /// The number of blocks (inclusive). Default: 1,048,576.
    pub blocks: usize,
}

impl Default for CarLimits {
    fn default() -> Self {
        Self { header: 64 << 10, section: 32 << 20, blocks: 1 << 20 }
    }
}

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
    /// A block's hash is of a kind that cannot be checked.
    #[error("hash function {code:#x} is not known")]
    HashFunction {
        /// The multihash code.
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

/// A block of a container, checked against its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Where its section (varint, CID, data) begins, in bytes from the container's start.
    pub offset: u64,
    /// The size of the whole section, in bytes.
    pub section: u64,
}

/// The CIDv1 of a CAR file with this sha2-256.
#[must_use]
pub fn car_cid(sha256: [u8; 32]) -> Cid {
    cid_of(CAR_CODEC, sha256)
}

/// The CIDv1 of a dag-cbor block with this sha2-256.
#[must_use]
pub fn dag_cbor_cid(sha256: [u8; 32]) -> Cid {
    cid_of(DAG_CBOR, sha256)
}

fn cid_of(codec: u64, sha256: [u8; 32]) -> Cid {
    // A multihash holds up to 64 bytes, so wrapping 32 cannot fail; the default is never used.
    Cid::new_v1(codec, Multihash::wrap(SHA2_256, &sha256).unwrap_or_default())
}

/// Appends the header of a container with these roots to `out`.
pub fn write_header(out: &mut Vec<u8>, roots: &[Cid]) {
    // dag-cbor by hand: {"roots": [links], "version": 1}, in canonical order already.
    let mut header = vec![0xa2, 0x65];
    header.extend_from_slice(b"roots");
    cbor_head(&mut header, 4, roots.len());
    for root in roots {
        let cid = root.to_bytes();
        header.extend_from_slice(&[0xd8, 0x2a]);
        cbor_head(&mut header, 2, cid.len() + 1);
        header.push(0);
        header.extend_from_slice(&cid);
    }
    header.push(0x67);
    header.extend_from_slice(b"version\x01");
    write_varint(out, header.len() as u64);
    out.extend_from_slice(&header);
}

/// Appends a block to `out`. The CID is taken at its word.
pub fn write_block(out: &mut Vec<u8>, cid: &Cid, data: &[u8]) {
    let cid = cid.to_bytes();
    write_varint(out, (cid.len() + data.len()) as u64);
    out.extend_from_slice(&cid);
    out.extend_from_slice(data);
}

pub(crate) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn cbor_head(out: &mut Vec<u8>, major: u8, length: usize) {
    match length {
        0..24 => out.push(major << 5 | length as u8),
        24..0x100 => out.extend_from_slice(&[major << 5 | 24, length as u8]),
        0x100..0x1_0000 => {
            out.push(major << 5 | 25);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(major << 5 | 27);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Reads a container block by block. Hand it a buffered reader.
#[derive(Debug)]
pub struct CarReader<R> {
    reader: R,
    limits: CarLimits,
    roots: Vec<Cid>,
    offset: u64,
    blocks: usize,
}

impl<R: Read> CarReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CarError`] if there is none, or none of version 1.
    pub fn new(mut reader: R, limits: CarLimits) -> Result<Self, CarError> {
        let at = |problem| CarError { offset: 0, problem };
        let (size, width) = read_size(&mut reader, limits.header).map_err(at)?.ok_or(CarProblem::Truncated).map_err(at)?;
        let header = read_exact(&mut reader, size).map_err(at)?;
        let roots = header_roots(&header).ok_or(CarProblem::Header).map_err(at)?;
        Ok(Self { reader, limits, roots, offset: (width + size) as u64, blocks: 0 })
    }

    /// The roots that the header names.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Where the next block begins, in bytes from the container's start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the blocks are read from.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The next block, or `None` at the end.
    ///
    /// # Errors
    /// [`CarError`]. After [`CarProblem::Hash`] and [`CarProblem::HashFunction`] reading can go on with the next block; after any other error
    /// there is no telling where a next block would begin.
    pub fn next_block(&mut self) -> Result<Option<Block>, CarError> {
        let offset = self.offset;
        let at = |problem| CarError { offset, problem };
        let Some((size, width)) = read_size(&mut self.reader, self.limits.section).map_err(at)? else { return Ok(None) };
        if self.blocks == self.limits.blocks {
            return Err(at(CarProblem::Blocks { limit: self.limits.blocks }));
        }
        let mut data = read_exact(&mut self.reader, size).map_err(at)?;
        let section = (width + size) as u64;
        self.offset += section;
        self.blocks += 1;
        let mut rest = data.as_slice();
        let cid = Cid::read_bytes(&mut rest).map_err(|_| at(CarProblem::Cid))?;
        let cid_len = size - rest.len();
        data.drain(..cid_len);
        check_hash(&cid, &data).map_err(at)?;
        Ok(Some(Block { cid, data, offset, section }))
    }
}

fn check_hash(cid: &Cid, data: &[u8]) -> Result<(), CarProblem> {
    let digest = cid.hash().digest();
    let same = match cid.hash().code() {
        SHA2_256 => Sha256::digest(data).as_slice() == digest,
        SHA2_512 => Sha512::digest(data).as_slice() == digest,
        IDENTITY => data == digest,
        code => return Err(CarProblem::HashFunction { code }),
    };
    if same { Ok(()) } else { Err(CarProblem::Hash { cid: Box::new(*cid) }) }
}

/// The roots of a canonical header: exactly `roots` and `version`, and nothing that encodes differently when written again.
fn header_roots(header: &[u8]) -> Option<Vec<Cid>> {
    let Ok(Ipld::Map(map)) = serde_ipld_dagcbor::from_slice(header) else { return None };
    let (Some(Ipld::List(roots)), Some(Ipld::Integer(1)), 2) = (map.get("roots"), map.get("version"), map.len()) else { return None };
    let roots = roots.iter().map(|root| if let Ipld::Link(cid) = root { Some(*cid) } else { None }).collect::<Option<Vec<_>>>()?;
    let mut canonical = Vec::with_capacity(header.len() + 10);
    write_header(&mut canonical, &roots);
    canonical.ends_with(header).then_some(roots)
}

/// A length and the bytes that it took, or `None` at the end of the data.
fn read_size(reader: &mut impl Read, limit: usize) -> Result<Option<(usize, usize)>, CarProblem> {
    let mut value = 0_u64;
    for width in 0..9 {
        let Some(byte) = read_byte(reader)? else {
            return if width == 0 { Ok(None) } else { Err(CarProblem::Truncated) };
        };
        value |= u64::from(byte & 0x7f) << (7 * width);
        if byte & 0x80 == 0 {
            if byte == 0 && width > 0 {
                return Err(CarProblem::Varint);
            }
            return match usize::try_from(value) {
                Ok(size) if size > 0 && size <= limit => Ok(Some((size, width + 1))),
                _ => Err(CarProblem::Size { size: value, limit }),
            };
        }
    }
    Err(CarProblem::Varint)
}

fn read_byte(reader: &mut impl Read) -> Result<Option<u8>, CarProblem> {
    let mut byte = [0];
    loop {
        match reader.read(&mut byte) {
            Ok(n) => return Ok((n > 0).then_some(byte[0])),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(CarProblem::Io(Arc::new(e))),
        }
    }
}

/// Exactly `size` bytes, without believing `size` before they have come.
fn read_exact(reader: &mut impl Read, size: usize) -> Result<Vec<u8>, CarProblem> {
    let mut bytes = Vec::with_capacity(size.min(64 << 10));
    reader.take(size as u64).read_to_end(&mut bytes).map_err(|e| CarProblem::Io(Arc::new(e)))?;
    if bytes.len() == size { Ok(bytes) } else { Err(CarProblem::Truncated) }
}
