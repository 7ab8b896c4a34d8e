use bytes::Bytes;

use super::reader::{leading_cid, parse_header, read_size};
use super::{CarError, CarLimits, CarProblem, check_hash, write_block, write_header};
use crate::Cid;

/// A whole container in memory: its bytes as they came, and where its blocks lie in them.
///
/// Every block whose hash function is known was checked against its CID; the others are kept, and
/// marked.
///
/// ```
/// use bytes::Bytes;
/// use storehouse_formats::car::{Archive, CarLimits, dag_cbor_cid_of};
///
/// let (a, b) = (Bytes::from_static(b"\xa0"), Bytes::from_static(b"\x80"));
/// let (a_cid, b_cid) = (dag_cbor_cid_of(&a), dag_cbor_cid_of(&b));
/// let bytes = Archive::build(&[a_cid.clone()], &[(a_cid.clone(), a.clone()), (b_cid.clone(), b)]);
///
/// let archive = Archive::parse(bytes.clone(), CarLimits::default())?;
/// assert_eq!(archive.as_bytes(), &bytes);
/// assert_eq!((archive.roots(), archive.root()?), (&[a_cid.clone()][..], &a_cid));
/// assert_eq!(archive.root_block()?.data, a);
/// assert!(archive.blocks().all(|block| block.verified));
/// assert_eq!(archive.block(&b_cid)?.unwrap().data, b"\x80".as_slice());
/// assert!(Archive::parse(bytes.slice(1..), CarLimits::default()).is_err());
/// # Ok::<(), storehouse_formats::car::CarError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    bytes: Bytes,
    roots: Vec<Cid>,
    blocks: Vec<BlockAt>,
}

/// A block of an [`Archive`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes, a slice of the archive's.
    pub data: Bytes,
    /// Whether they were verified to be what the CID names: `false` if its hash function is not
    /// known.
    pub verified: bool,
}

/// Where a block lies. Kept small, because a container may be made of blocks of no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockAt {
    cid: u32,
    data: u32,
    end: u32,
    verified: bool,
}

impl Archive {
    /// Reads a container. Nothing is copied.
    ///
    /// # Errors
    /// [`CarError`].
    pub fn parse(bytes: Bytes, limits: CarLimits) -> Result<Self, CarError> {
        let at_start = |problem| CarError { offset: 0, problem };
        if u32::try_from(bytes.len()).is_err() {
            return Err(at_start(CarProblem::Size {
                size: bytes.len() as u64,
                limit: u32::MAX as usize,
            }));
        }
        let mut at = 0;
        let size =
            section(&bytes, &mut at, limits.header)?.ok_or(at_start(CarProblem::Truncated))?;
        let roots = parse_header(&bytes[size.clone()]).map_err(at_start)?;
        // Room for exactly as many as there are: a vector that grows would take twice as much.
        let mut blocks = Vec::with_capacity(sections(&bytes, at, limits));
        loop {
            let offset = at as u64;
            let wrong = |problem| CarError { offset, problem };
            let Some(section) = section(&bytes, &mut at, limits.section)? else {
                break;
            };
            if blocks.len() == limits.blocks {
                return Err(wrong(CarProblem::Blocks {
                    limit: limits.blocks,
                }));
            }
            let (cid, cid_len) = leading_cid(&bytes[section.clone()]).map_err(wrong)?;
            let data = section.start + cid_len;
            let verified = check_hash(&cid, &bytes[data..section.end]).map_err(wrong)?;
            // The container has fewer bytes than these can say.
            blocks.push(BlockAt {
                cid: section.start as u32,
                data: data as u32,
                end: section.end as u32,
                verified,
            });
        }
        Ok(Self {
            bytes,
            roots,
            blocks,
        })
    }

    /// The bytes of a container with these roots and blocks, in this order. The CIDs are taken at
    /// their word.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use storehouse_formats::car::{Archive, CarLimits, dag_cbor_cid_of};
    ///
    /// let block = Bytes::from_static(b"\xa0");
    /// let cid = dag_cbor_cid_of(&block);
    /// let bytes = Archive::build(&[cid.clone()], &[(cid, block.clone())]);
    /// assert_eq!(Archive::parse(bytes, CarLimits::default())?.root_block()?.data, block);
    /// # Ok::<(), storehouse_formats::car::CarError>(())
    /// ```
    #[must_use]
    pub fn build(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Bytes {
        let mut bytes = Vec::new();
        write_header(&mut bytes, roots);
        for (cid, data) in blocks {
            write_block(&mut bytes, cid, data);
        }
        bytes.into()
    }

    /// The container, byte for byte as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The roots.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The root, if there is exactly one.
    ///
    /// # Errors
    /// [`CarProblem::Root`].
    pub fn root(&self) -> Result<&Cid, CarError> {
        let reason = match self.roots.as_slice() {
            [root] => return Ok(root),
            [] => "the container has no root",
            _ => "the container has more than one root",
        };
        Err(root_error(reason))
    }

    /// The one root's block.
    ///
    /// # Errors
    /// [`CarProblem::Root`] if there is not exactly one root, or its block is not here;
    /// [`CarProblem::Unverified`].
    pub fn root_block(&self) -> Result<Block, CarError> {
        self.block(self.root()?)?
            .ok_or_else(|| root_error("the root's block is not in the container"))
    }

    /// The blocks, in their order.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
        self.blocks.iter().map(|at| self.at(*at))
    }

    /// A block that was verified. Of duplicates the first, though they are the same.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use storehouse_formats::Cid;
    /// use storehouse_formats::car::{Archive, CarLimits, CarProblem, dag_cbor_cid_of};
    ///
    /// let unknown = Cid::v1(0x55, 0x16, &[0; 32]); // by sha3-256
    /// let bytes = Archive::build(&[], &[(unknown.clone(), Bytes::from_static(b"any"))]);
    /// let archive = Archive::parse(bytes, CarLimits::default())?;
    /// let error = archive.block(&unknown).unwrap_err();
    /// assert!(matches!(error.problem, CarProblem::Unverified { code: 0x16, .. }));
    /// assert!(archive.block(&dag_cbor_cid_of(b"\xa0"))?.is_none());
    /// # Ok::<(), storehouse_formats::car::CarError>(())
    /// ```
    ///
    /// # Errors
    /// [`CarProblem::Unverified`] if it is here, but its hash function is not known.
    pub fn block(&self, cid: &Cid) -> Result<Option<Block>, CarError> {
        let found = self
            .blocks
            .iter()
            .find(|at| self.bytes[at.cid as usize..at.data as usize] == *cid.as_bytes());
        match found {
            None => Ok(None),
            Some(at) if at.verified => Ok(Some(self.at(*at))),
            Some(at) => Err(CarError {
                offset: at.cid.into(),
                problem: CarProblem::Unverified {
                    cid: Box::new(cid.clone()),
                    code: cid.hash_code(),
                },
            }),
        }
    }

    fn at(&self, at: BlockAt) -> Block {
        let section = self.bytes.slice(at.cid as usize..at.end as usize);
        // It was read when the container was.
        let cid = leading_cid(&section).map_or_else(|_| Cid::v1(0, 0, &[]), |(cid, _)| cid);
        Block {
            cid,
            data: section.slice((at.data - at.cid) as usize..),
            verified: at.verified,
        }
    }
}

fn root_error(reason: &'static str) -> CarError {
    CarError {
        offset: 0,
        problem: CarProblem::Root(reason),
    }
}

/// How many sections there are from `at` on, as far as they can be told apart.
fn sections(bytes: &Bytes, mut at: usize, limits: CarLimits) -> usize {
    let mut count = 0;
    while count < limits.blocks && matches!(section(bytes, &mut at, limits.section), Ok(Some(_))) {
        count += 1;
    }
    count
}

/// The range of the section that begins at `at`, which moves behind it; `None` at the end.
fn section(
    bytes: &Bytes,
    at: &mut usize,
    limit: usize,
) -> Result<Option<std::ops::Range<usize>>, CarError> {
    let wrong = |problem| CarError {
        offset: *at as u64,
        problem,
    };
    let Some((size, width)) = read_size(&mut &bytes[*at..], limit).map_err(wrong)? else {
        return Ok(None);
    };
    let start = *at + width;
    let end = start
        .checked_add(size)
        .filter(|end| *end <= bytes.len())
        .ok_or_else(|| wrong(CarProblem::Truncated))?;
    *at = end;
    Ok(Some(start..end))
}
