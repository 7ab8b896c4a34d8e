use bytes::Bytes;
use ipld_core::cid::Cid;

use super::reader::{leading_cid, parse_header, read_size};
use super::{CarError, CarLimits, CarProblem, check_hash, write_block, write_header};

/// A whole container in memory: its bytes as they came, and its blocks as slices of them, every one
/// checked against its CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    bytes: Bytes,
    roots: Vec<Cid>,
    blocks: Vec<(Cid, Bytes)>,
}

impl Archive {
    /// Reads a container. Nothing is copied.
    ///
    /// # Errors
    /// [`CarError`].
    pub fn parse(bytes: Bytes, limits: CarLimits) -> Result<Self, CarError> {
        let mut at = 0;
        let size = section(&bytes, &mut at, limits.header)?.ok_or(CarError {
            offset: 0,
            problem: CarProblem::Truncated,
        })?;
        let roots = parse_header(&bytes[size.clone()])
            .map_err(|problem| CarError { offset: 0, problem })?;
        // Room for exactly as many as there are: where blocks are tiny, a vector that grows would
        // take twice as much.
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
            let data = bytes.slice(section.start + cid_len..section.end);
            check_hash(&cid, &data).map_err(wrong)?;
            blocks.push((cid, data));
        }
        Ok(Self {
            bytes,
            roots,
            blocks,
        })
    }

    /// A container with these roots and blocks, in this order. The CIDs are taken at their word.
    #[must_use]
    pub fn build(roots: Vec<Cid>, blocks: Vec<(Cid, Bytes)>) -> Self {
        let mut bytes = Vec::with_capacity(
            64 + blocks
                .iter()
                .map(|(_, data)| data.len() + 48)
                .sum::<usize>(),
        );
        write_header(&mut bytes, &roots);
        for (cid, data) in &blocks {
            write_block(&mut bytes, cid, data);
        }
        Self {
            bytes: bytes.into(),
            roots,
            blocks,
        }
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
    pub fn root(&self) -> Result<Cid, CarError> {
        let reason = match self.roots.as_slice() {
            [root] => return Ok(*root),
            [] => "the container has no root",
            _ => "the container has more than one root",
        };
        Err(CarError {
            offset: 0,
            problem: CarProblem::Root(reason),
        })
    }

    /// The bytes of the one root's block.
    ///
    /// # Errors
    /// [`CarProblem::Root`] if there is not exactly one root, or its block is not here.
    pub fn root_block(&self) -> Result<(Cid, &Bytes), CarError> {
        let root = self.root()?;
        let block = self.block(&root).ok_or(CarError {
            offset: 0,
            problem: CarProblem::Root("the root's block is not in the container"),
        })?;
        Ok((root, block))
    }

    /// The blocks, in their order.
    #[must_use]
    pub fn blocks(&self) -> &[(Cid, Bytes)] {
        &self.blocks
    }

    /// The bytes of a block. Of duplicates the first, though they are the same.
    #[must_use]
    pub fn block(&self, cid: &Cid) -> Option<&Bytes> {
        self.blocks
            .iter()
            .find(|(known, _)| known == cid)
            .map(|(_, data)| data)
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
