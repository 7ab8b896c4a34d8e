//! LevelDB's sorted tables.

use zeroize::Zeroizing;

use super::Parsed;
use super::bytes::{Cursor, checksum_matches};

const FOOTER: usize = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// The most that a block may unpack to, in bytes (inclusive). Writers make them 4 KiB, or as large as one value.
const MAX_BLOCK: usize = 64 << 20;

/// Calls `each` with every entry's internal key and value.
pub(super) fn entries(table: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> Parsed<()>) -> Parsed<()> {
    let footer = table.len().checked_sub(FOOTER).and_then(|at| table.get(at..)).ok_or("it is too short for a table")?;
    let (handles, magic) = footer.split_last_chunk().ok_or("it is too short for a table")?;
    if u64::from_le_bytes(*magic) != MAGIC {
        return Err("it does not end as a table does");
    }
    let mut handles = Cursor(handles);
    let _metaindex = handle(&mut handles)?;
    let index = block(table, handle(&mut handles)?)?;
    block_entries(&index, |_, data| {
        let data = block(table, handle(&mut Cursor(data))?)?;
        block_entries(&data, &mut each)
    })
}

fn handle(from: &mut Cursor<'_>) -> Parsed<(usize, usize)> {
    Ok((from.size()?, from.size()?))
}

/// A block: data, kind:u8, checksum:u32 over both.
fn block(table: &[u8], (offset, size): (usize, usize)) -> Parsed<Zeroizing<Vec<u8>>> {
    let mut rest = Cursor(table.get(offset..).ok_or("a block lies past the end")?);
    let (data, kind, checksum) = (rest.take(size)?, rest.byte()?, u32::from_le_bytes(rest.array()?));
    if !checksum_matches(checksum, [data, &[kind]]) {
        return Err("a block's checksum is wrong");
    }
    match kind {
        0 => Ok(Zeroizing::new(data.to_vec())),
        1 => {
            let size = snap::raw::decompress_len(data).map_err(|_| "a block cannot be unpacked")?;
            if size > MAX_BLOCK {
                return Err("a block is too large");
            }
            let mut unpacked = Zeroizing::new(vec![0; size]);
            snap::raw::Decoder::new().decompress(data, &mut unpacked).map_err(|_| "a block cannot be unpacked")?;
            Ok(unpacked)
        }
        _ => Err("a block is packed in a way that is not known"),
    }
}

/// Entries: shared, unshared and value length, the unshared end of the key, the value. Then the restarts and their count, 4 bytes each.
fn block_entries(block: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> Parsed<()>) -> Parsed<()> {
    let (rest, restarts) = block.split_last_chunk().ok_or("a block is too short")?;
    let restarts = (u32::from_le_bytes(*restarts) as usize).checked_mul(4).and_then(|size| rest.len().checked_sub(size));
    let mut entries = Cursor(&rest[..restarts.ok_or("a block is too short")?]);
    let mut key = Vec::new();
    while !entries.is_empty() {
        let (shared, unshared, value) = (entries.size()?, entries.size()?, entries.size()?);
        if shared > key.len() {
            return Err("a key shares more than there is");
        }
        key.truncate(shared);
        key.extend_from_slice(entries.take(unshared)?);
        each(&key, entries.take(value)?)?;
    }
    Ok(())
}
