//! LevelDB's log files, which manifests are too: records in chunks, in blocks of 32 KiB.

use zeroize::Zeroizing;

use super::bytes::{Cursor, checksum_matches};
use super::error::{Damage, Parsed};

const BLOCK: usize = 32 << 10;
/// checksum:u32 length:u16 kind:u8
const HEAD: usize = 7;

/// The records of a log. A record that the file ends in the middle of is left out.
pub(super) fn records(log: &[u8]) -> Parsed<Vec<Zeroizing<Vec<u8>>>> {
    let mut records = Vec::new();
    let mut unfinished: Option<Zeroizing<Vec<u8>>> = None;
    for block in log.chunks(BLOCK) {
        let is_last =
            block.len() < BLOCK || std::ptr::eq(block.as_ptr_range().end, log.as_ptr_range().end);
        let mut chunks = Cursor(block);
        // Fewer bytes than a head at a block's end are padding.
        while chunks.0.len() >= HEAD {
            let checksum = u32::from_le_bytes(chunks.array()?);
            let size = u16::from_le_bytes(chunks.array()?);
            let kind = chunks.byte()?;
            if (checksum, size, kind) == (0, 0, 0) {
                // Room set aside and not used.
                break;
            }
            let data = match chunks.take(size.into()) {
                Ok(data) => data,
                Err(_) if is_last => return Ok(records),
                Err(_) => return Err(Damage("a chunk is longer than its block")),
            };
            if !checksum_matches(checksum, [&[kind], data]) {
                return Err(Damage("a chunk's checksum is wrong"));
            }
            match (kind, unfinished.take()) {
                (1, None) => records.push(Zeroizing::new(data.to_vec())),
                (2, None) => unfinished = Some(Zeroizing::new(data.to_vec())),
                (3, Some(record)) => unfinished = Some(joined(&record, data)),
                (4, Some(record)) => records.push(joined(&record, data)),
                // A writer that crashed in a record begins the next one anew.
                (1, Some(_)) => records.push(Zeroizing::new(data.to_vec())),
                (2, Some(_)) => unfinished = Some(Zeroizing::new(data.to_vec())),
                _ => return Err(Damage("a chunk has no beginning")),
            }
        }
    }
    Ok(records)
}

/// In a new buffer: growing the old one could leave a copy of it behind.
fn joined(record: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([record, data].concat())
}
