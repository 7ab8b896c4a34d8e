//! Tables: sorted entries in blocks, an index of the blocks, and a footer that leads to it.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::bytes::{Cursor, checksum_matches};
use super::error::{Damage, IoContext, Parsed, Result};
use super::merge::Version;

const FOOTER: u64 = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// The most that a block may have, packed or not, in bytes (inclusive). Writers make them 4 KiB, or as large as one value.
const MAX_BLOCK: usize = 64 << 20;
/// kind:u8 checksum:u32, behind a block's data.
const TRAILER: usize = 5;

/// Where a block lies: offset and size of its data.
type Handle = (u64, usize);

/// A table, read block by block.
pub(super) struct Table {
    path: PathBuf,
    file: File,
    size: u64,
    /// The blocks that are still to be read, last first.
    blocks: Vec<Handle>,
    /// The versions of the block that is being given, last first.
    block: Vec<Version>,
    /// What was given last: user key and sequence number.
    last: Option<(Vec<u8>, u64)>,
}

impl Table {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).context("open", &path)?;
        let size = file.metadata().context("read", &path)?.len();
        let mut table = Self { path, file, size, blocks: Vec::new(), block: Vec::new(), last: None };
        let at = size.checked_sub(FOOTER).ok_or(Damage("it is too short for a table")).map_err(|damage| damage.of(&table.path))?;
        let mut footer = [0; FOOTER as usize];
        table.file.read_exact_at(&mut footer, at).context("read", &table.path)?;
        let index = table.in_file(index_handle(&footer))?;
        let index = table.read_block(index)?;
        let mut blocks = Vec::new();
        let parsed = entries(&index, |_, data| {
            blocks.push(handle(&mut Cursor(data))?);
            Ok(())
        });
        table.in_file(parsed)?;
        blocks.reverse();
        table.blocks = blocks;
        Ok(table)
    }

    fn in_file<T>(&self, parsed: Parsed<T>) -> Result<T> {
        parsed.map_err(|damage| damage.of(&self.path))
    }

    /// A block's data, checked and unpacked.
    fn read_block(&self, (offset, size): Handle) -> Result<Zeroizing<Vec<u8>>> {
        let end = offset.checked_add((size + TRAILER) as u64);
        if size > MAX_BLOCK || end.is_none_or(|end| end > self.size) {
            return Err(Damage("a block lies past the end").of(&self.path));
        }
        let mut stored = Zeroizing::new(vec![0; size + TRAILER]);
        self.file.read_exact_at(&mut stored, offset).context("read", &self.path)?;
        self.in_file(unpack(stored))
    }

    fn read_next_block(&mut self, handle: Handle) -> Result<()> {
        let data = self.read_block(handle)?;
        let mut block = Vec::new();
        let last = &mut self.last;
        let parsed = entries(&data, |key, value| {
            let version = version(key, value)?;
            // Smaller keys first, and of one key newer versions first.
            let in_order = |(key, sequence): &(Vec<u8>, u64)| match key.cmp(&version.key) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => *sequence > version.sequence,
                std::cmp::Ordering::Greater => false,
            };
            if !last.as_ref().is_none_or(in_order) {
                return Err(Damage("its keys are not in order"));
            }
            *last = Some((version.key.clone(), version.sequence));
            block.push(version);
            Ok(())
        });
        self.in_file(parsed)?;
        block.reverse();
        self.block = block;
        Ok(())
    }
}

impl Iterator for Table {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(version) = self.block.pop() {
                return Some(Ok(version));
            }
            let handle = self.blocks.pop()?;
            if let Err(e) = self.read_next_block(handle) {
                self.blocks.clear();
                return Some(Err(e));
            }
        }
    }
}

/// The handle of the index, in a footer: that of the metaindex, that of the index, padding, a magic number.
fn index_handle(footer: &[u8]) -> Parsed<Handle> {
    let (handles, magic) = footer.split_last_chunk().ok_or(Damage("it is too short for a table"))?;
    if u64::from_le_bytes(*magic) != MAGIC {
        return Err(Damage("it does not end as a table does"));
    }
    let mut handles = Cursor(handles);
    let _metaindex = handle(&mut handles)?;
    handle(&mut handles)
}

fn handle(from: &mut Cursor<'_>) -> Parsed<Handle> {
    Ok((from.varint()?, from.size()?))
}

/// Checks data, kind and checksum, and unpacks the data.
fn unpack(mut stored: Zeroizing<Vec<u8>>) -> Parsed<Zeroizing<Vec<u8>>> {
    let short = Damage("a block is too short");
    let (rest, checksum) = stored.split_last_chunk().ok_or(short)?;
    let (kind, data) = rest.split_last().ok_or(short)?;
    if !checksum_matches(u32::from_le_bytes(*checksum), [data, &[*kind]]) {
        return Err(Damage("a block's checksum is wrong"));
    }
    match kind {
        0 => {
            let size = data.len();
            stored.truncate(size);
            Ok(stored)
        }
        1 => {
            let cannot = |_| Damage("a block cannot be unpacked");
            let size = snap::raw::decompress_len(data).map_err(cannot)?;
            if size > MAX_BLOCK {
                return Err(Damage("a block is too large"));
            }
            let mut unpacked = Zeroizing::new(vec![0; size]);
            snap::raw::Decoder::new().decompress(data, &mut unpacked).map_err(cannot)?;
            Ok(unpacked)
        }
        _ => Err(Damage("a block is packed in a way that is not known")),
    }
}

/// Calls `each` with key and value of each entry: shared, unshared and value length, the unshared end of the key, the value. Behind them the restarts and
/// their count, 4 bytes each.
fn entries(block: &[u8], mut each: impl FnMut(&[u8], &[u8]) -> Parsed<()>) -> Parsed<()> {
    let short = Damage("a block is too short");
    let (rest, restarts) = block.split_last_chunk().ok_or(short)?;
    let restarts = (u32::from_le_bytes(*restarts) as usize).checked_mul(4).and_then(|size| rest.len().checked_sub(size));
    let mut entries = Cursor(&rest[..restarts.ok_or(short)?]);
    let mut key = Vec::new();
    while !entries.is_empty() {
        let (shared, unshared, value) = (entries.size()?, entries.size()?, entries.size()?);
        if shared > key.len() {
            return Err(Damage("a key shares more than there is"));
        }
        key.truncate(shared);
        key.extend_from_slice(entries.take(unshared)?);
        each(&key, entries.take(value)?)?;
    }
    Ok(())
}

/// A table's entry, whose key ends with sequence number and kind.
fn version(key: &[u8], value: &[u8]) -> Parsed<Version> {
    let (key, trailer) = key.split_last_chunk::<8>().ok_or(Damage("a key is too short"))?;
    let trailer = u64::from_le_bytes(*trailer);
    let value = match trailer as u8 {
        0 => None,
        1 => Some(Zeroizing::new(value.to_vec())),
        _ => return Err(Damage("an entry is of a kind that is not known")),
    };
    Ok(Version { key: key.to_vec(), sequence: trailer >> 8, value })
}
