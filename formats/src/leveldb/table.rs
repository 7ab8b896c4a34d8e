//! Tables: sorted entries in blocks, an index of the blocks, and a footer that leads to it.

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::bytes::{Cursor, checksum_matches};
use super::error::{Damage, IoContext, Parsed, Result};
use super::version::Version;

const FOOTER: u64 = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// The most that a block may have, packed or not, in bytes (inclusive). Writers make them 4 KiB, or
/// as large as one value.
const MAX_BLOCK: usize = 64 << 20;
/// The longest key that is read, in bytes (inclusive), with its sequence number: 8 bytes.
const MAX_KEY: usize = 64 << 10;
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
    /// The unread rest of the current block.
    block: Option<Entries>,
    /// What was given last: user key and sequence number.
    last: Option<(Vec<u8>, u64)>,
}

impl Table {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).context("open", &path)?;
        let size = file.metadata().context("read", &path)?.len();
        let mut table = Self {
            path,
            file,
            size,
            blocks: Vec::new(),
            block: None,
            last: None,
        };
        let at = size
            .checked_sub(FOOTER)
            .ok_or(Damage("it is too short for a table"))
            .map_err(|damage| damage.of(&table.path))?;
        let mut footer = [0; FOOTER as usize];
        table
            .file
            .read_exact_at(&mut footer, at)
            .context("read", &table.path)?;
        let index = table.in_file(index_handle(&footer))?;
        let mut index = table.read_entries(index)?;
        let mut blocks = Vec::new();
        while let Some((_, data)) = table.in_file(index.next())? {
            blocks.push(table.in_file(handle(&mut Cursor(data)))?);
        }
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
        self.file
            .read_exact_at(&mut stored, offset)
            .context("read", &self.path)?;
        self.in_file(unpack(stored))
    }

    fn read_entries(&self, handle: Handle) -> Result<Entries> {
        self.in_file(Entries::of(self.read_block(handle)?))
    }

    /// The next version, once it is made sure that it comes after the last one.
    fn next_version(&mut self) -> Result<Option<Version>> {
        loop {
            let next = self.block.as_mut().map_or(Ok(None), |block| {
                Ok(block.next()?.map(|(key, value)| version(key, value)))
            });
            if let Some(version) = self.in_file(next)? {
                let version = self.in_file(version)?;
                // Smaller keys first, and of one key newer versions first.
                let in_order =
                    self.last
                        .as_ref()
                        .is_none_or(|(key, sequence)| match key.cmp(&version.key) {
                            Ordering::Less => true,
                            Ordering::Equal => *sequence > version.sequence,
                            Ordering::Greater => false,
                        });
                self.in_file(if in_order {
                    Ok(())
                } else {
                    Err(Damage("its keys are not in order"))
                })?;
                self.last = Some((version.key.clone(), version.sequence));
                return Ok(Some(version));
            }
            let Some(handle) = self.blocks.pop() else {
                return Ok(None);
            };
            self.block = Some(self.read_entries(handle)?);
        }
    }
}

impl Iterator for Table {
    type Item = Result<Version>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_version().transpose();
        if matches!(next, Some(Err(_))) {
            (self.block, self.blocks) = (None, Vec::new());
        }
        next
    }
}

/// The handle of the index, in a footer: that of the metaindex, that of the index, padding, a magic
/// number.
fn index_handle(footer: &[u8]) -> Parsed<Handle> {
    let (handles, magic) = footer
        .split_last_chunk()
        .ok_or(Damage("it is too short for a table"))?;
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
            // No three bytes unpack to more than 64, so a size beyond that is a lie, for which no
            // memory is set aside.
            if size > MAX_BLOCK || size / 32 > data.len() {
                return Err(Damage("a block is too large"));
            }
            let mut unpacked = Zeroizing::new(vec![0; size]);
            snap::raw::Decoder::new()
                .decompress(data, &mut unpacked)
                .map_err(cannot)?;
            Ok(unpacked)
        }
        _ => Err(Damage("a block is packed in a way that is not known")),
    }
}

/// The entries of a block, one after the other: shared, unshared and value length, the unshared end
/// of the key, the value. Behind them are the restarts and their count, 4 bytes each. One key is in
/// memory at a time: a block of many long ones that share almost all would unpack to far more than
/// it has.
struct Entries {
    block: Zeroizing<Vec<u8>>,
    at: usize,
    end: usize,
    key: Vec<u8>,
}

impl Entries {
    fn of(block: Zeroizing<Vec<u8>>) -> Parsed<Self> {
        let short = Damage("a block is too short");
        let (rest, restarts) = block.split_last_chunk().ok_or(short)?;
        let restarts = (u32::from_le_bytes(*restarts) as usize)
            .checked_mul(4)
            .and_then(|size| rest.len().checked_sub(size));
        let end = restarts.ok_or(short)?;
        Ok(Self {
            block,
            at: 0,
            end,
            key: Vec::new(),
        })
    }

    /// Key and value of the next one.
    fn next(&mut self) -> Parsed<Option<(&[u8], &[u8])>> {
        let mut entries = Cursor(&self.block[self.at..self.end]);
        if entries.is_empty() {
            return Ok(None);
        }
        let (shared, unshared, value) = (entries.size()?, entries.size()?, entries.size()?);
        if shared > self.key.len() {
            return Err(Damage("a key shares more than there is"));
        }
        if unshared > MAX_KEY - shared {
            return Err(Damage("a key is too long"));
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(entries.take(unshared)?);
        let value = entries.take(value)?;
        self.at = self.end - entries.0.len();
        Ok(Some((&self.key, value)))
    }
}

/// A table's entry, whose key ends with sequence number and kind.
fn version(key: &[u8], value: &[u8]) -> Parsed<Version> {
    let (key, trailer) = key
        .split_last_chunk::<8>()
        .ok_or(Damage("a key is too short"))?;
    let trailer = u64::from_le_bytes(*trailer);
    let value = match trailer as u8 {
        0 => None,
        1 => Some(Zeroizing::new(value.to_vec())),
        _ => return Err(Damage("an entry is of a kind that is not known")),
    };
    Ok(Version {
        key: key.to_vec(),
        sequence: trailer >> 8,
        value,
    })
}
