use std::io::{self, Read};
use std::sync::Arc;

use super::{CarError, CarLimits, CarProblem, check_hash, write_header};
use crate::Cid;
use crate::dag_cbor::{Problem, Reader};

/// A block that was read from a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamedBlock {
    /// Its CID.
    pub cid: Cid,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Whether they were verified to be what the CID names: `false` if its hash function is not
    /// known. Bytes that are something else are an error.
    pub verified: bool,
    /// Where its section (varint, CID, data) begins, in bytes from the container's start.
    pub offset: u64,
    /// The size of the whole section, in bytes.
    pub section: u64,
}

/// Reads a container block by block. Hand it a buffered reader.
///
/// ```
/// use storehouse_formats::car::{CarLimits, CarReader, dag_cbor_cid_of, write_block, write_header};
///
/// let cid = dag_cbor_cid_of(b"\xa0");
/// let mut file = Vec::new();
/// write_header(&mut file, &[cid.clone()]);
/// write_block(&mut file, &cid, b"\xa0");
///
/// let mut reader = CarReader::new(file.as_slice(), CarLimits::default())?;
/// assert_eq!(reader.roots(), [cid.clone()]);
/// let start = reader.offset();
/// let block = reader.next_block()?.unwrap();
/// assert_eq!((block.cid, block.offset, block.verified), (cid, start, true));
/// assert!(reader.next_block()?.is_none());
/// assert_eq!(reader.offset(), file.len() as u64);
/// assert!(reader.get_ref().is_empty());
/// # Ok::<(), storehouse_formats::car::CarError>(())
/// ```
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
        let (size, width) = read_size(&mut reader, limits.header)
            .map_err(at)?
            .ok_or(CarProblem::Truncated)
            .map_err(at)?;
        let header = read_exact(&mut reader, size).map_err(at)?;
        let roots = parse_header(&header).map_err(at)?;
        Ok(Self {
            reader,
            limits,
            roots,
            offset: (width + size) as u64,
            blocks: 0,
        })
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
    /// ```
    /// use storehouse_formats::car::{
    ///     CarLimits, CarProblem, CarReader, dag_cbor_cid_of, write_block, write_header,
    /// };
    ///
    /// let (good, bad) = (dag_cbor_cid_of(b"\xa0"), dag_cbor_cid_of(b"\x80"));
    /// let mut file = Vec::new();
    /// write_header(&mut file, &[]);
    /// write_block(&mut file, &bad, b"\xa0"); // not what its CID names
    /// write_block(&mut file, &good, b"\xa0");
    /// file.extend_from_slice(&[40, 1, 0x71]); // an append that a crash cut short
    ///
    /// let mut reader = CarReader::new(file.as_slice(), CarLimits::default())?;
    /// let error = reader.next_block().unwrap_err();
    /// assert!(matches!(error.problem, CarProblem::Hash { .. }));
    /// assert_eq!(reader.next_block()?.unwrap().cid, good);
    /// let error = reader.next_block().unwrap_err();
    /// assert!(matches!(error.problem, CarProblem::Truncated));
    /// # Ok::<(), storehouse_formats::car::CarError>(())
    /// ```
    ///
    /// # Errors
    /// [`CarError`]. After [`CarProblem::Hash`] reading can go on with the next block; after any
    /// other error there is no telling where a next block would begin.
    pub fn next_block(&mut self) -> Result<Option<StreamedBlock>, CarError> {
        let offset = self.offset;
        let at = |problem| CarError { offset, problem };
        let Some((size, width)) = read_size(&mut self.reader, self.limits.section).map_err(at)?
        else {
            return Ok(None);
        };
        if self.blocks == self.limits.blocks {
            return Err(at(CarProblem::Blocks {
                limit: self.limits.blocks,
            }));
        }
        let mut data = read_exact(&mut self.reader, size).map_err(at)?;
        let section = (width + size) as u64;
        self.offset += section;
        self.blocks += 1;
        let (cid, cid_len) = leading_cid(&data).map_err(at)?;
        data.drain(..cid_len);
        let verified = check_hash(&cid, &data).map_err(at)?;
        Ok(Some(StreamedBlock {
            cid,
            data,
            verified,
            offset,
            section,
        }))
    }
}

/// The CID that a section starts with, and its length in bytes.
pub(super) fn leading_cid(section: &[u8]) -> Result<(Cid, usize), CarProblem> {
    let (cid, rest) = Cid::split(section).map_err(|_| CarProblem::Cid)?;
    Ok((cid, section.len() - rest.len()))
}

/// The roots of a canonical header: exactly `roots` and `version`, and nothing that encodes
/// differently when written again.
pub(super) fn parse_header(header: &[u8]) -> Result<Vec<Cid>, CarProblem> {
    let parse = || {
        let mut reader = Reader::new(header);
        let (mut roots, mut version) = (None, None);
        reader.fields(|reader, key| {
            match key {
                b"roots" => {
                    let list = (0..reader.list()?)
                        .map(|_| reader.link())
                        .collect::<Result<Vec<_>, _>>()?;
                    reader.set("roots", &mut roots, list)?;
                }
                b"version" => {
                    let number = reader.uint()?;
                    reader.set("version", &mut version, number)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let missing = |name| Reader::error_at(0, Problem::MissingField(name));
        Ok::<_, crate::dag_cbor::DecodeError>((roots.ok_or(missing("roots"))?, version))
    };
    let Ok((roots, Some(1))) = parse() else {
        return Err(CarProblem::Header);
    };
    let mut canonical = Vec::with_capacity(header.len() + 10);
    write_header(&mut canonical, &roots);
    if canonical.ends_with(header) {
        Ok(roots)
    } else {
        Err(CarProblem::Header)
    }
}

/// A length and the bytes that it took, or `None` at the end of the data.
pub(super) fn read_size(
    reader: &mut impl Read,
    limit: usize,
) -> Result<Option<(usize, usize)>, CarProblem> {
    let mut value = 0_u64;
    for width in 0..9 {
        let Some(byte) = read_byte(reader)? else {
            return if width == 0 {
                Ok(None)
            } else {
                Err(CarProblem::Truncated)
            };
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
    let mut bytes = Vec::with_capacity(size.min(1 << 10));
    reader
        .take(size as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| CarProblem::Io(Arc::new(e)))?;
    if bytes.len() == size {
        Ok(bytes)
    } else {
        Err(CarProblem::Truncated)
    }
}
