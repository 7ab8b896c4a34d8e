//! Blocks: the records of a table, some 4 KiB together, in order.
//!
//! A payload is the entries one behind the other, then the offset of each (u32), then their number (u32), little endian.

use bytes::Bytes;

use super::entry::{Entry, u32_at};

/// How many bytes of entries a block has at most, unless one alone is larger.
pub(super) const TARGET: usize = 4096 - 64;

/// Records of a block that was checked.
#[derive(Clone, Debug)]
pub(super) struct Block {
    payload: Bytes,
    count: usize,
}

impl Block {
    /// `None` if these are no records in order.
    pub(super) fn parse(payload: Bytes) -> Option<Self> {
        let count = u32_at(payload.last_chunk::<4>()?, 0) as usize;
        let entries = payload.len().checked_sub(count.checked_mul(4)?.checked_add(4)?)?;
        let block = Self { payload, count };
        let (mut at, mut before): (usize, Option<&[u8]>) = (0, None);
        for i in 0..count {
            if block.offset(i) != at {
                return None;
            }
            let len = Entry::len_at(&block.payload[..entries], at)?;
            let key = Entry::key_at(&block.payload, at);
            if before.is_some_and(|before| before >= key) {
                return None;
            }
            (at, before) = (at + len, Some(key));
        }
        (at == entries && count > 0).then_some(block)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.payload.len()
    }

    /// The entry at `index`, if there are so many.
    pub(super) fn entry(&self, index: usize) -> Option<Entry> {
        if index < self.count { Entry::at(&self.payload, self.offset(index)) } else { None }
    }

    pub(super) fn last_key(&self) -> &[u8] {
        self.key(self.count - 1)
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.key(0)
    }

    /// The index of the first entry whose key is not before `key`, and whether it is that key's.
    pub(super) fn find(&self, key: &[u8]) -> (usize, bool) {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return (middle, true),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        (low, false)
    }

    fn key(&self, index: usize) -> &[u8] {
        Entry::key_at(&self.payload, self.offset(index))
    }

    fn offset(&self, index: usize) -> usize {
        u32_at(&self.payload, self.payload.len() - 4 - 4 * (self.count - index)) as usize
    }
}

/// Collects entries into a block.
#[derive(Debug, Default)]
pub(super) struct BlockBuilder {
    entries: Vec<u8>,
    offsets: Vec<u8>,
    count: u32,
}

impl BlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there is room for this entry.
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        self.is_empty() || self.entries.len() + self.offsets.len() + entry.raw().len() <= TARGET
    }

    pub(super) fn push(&mut self, entry: &Entry) {
        self.offsets.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        self.entries.extend_from_slice(entry.raw());
        self.count += 1;
    }

    /// Appends the block to `out` and starts another.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.entries);
        out.extend_from_slice(&self.offsets);
        out.extend_from_slice(&self.count.to_le_bytes());
        self.entries.clear();
        self.offsets.clear();
        self.count = 0;
    }
}
