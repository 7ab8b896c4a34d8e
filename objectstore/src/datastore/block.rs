//! Blocks: the records of a table, some 4 KiB together, in order.
//!
//! A payload is the entries one behind the other, then the offset of each (u32), then their number
//! (u32), little endian.

use std::cmp::Ordering;

use bytes::{Buf, Bytes};

use super::entry::{Entry, EntryRef, u32_at, u64_at};
use super::index::{common, head};

/// How many bytes of entries a block has at most, unless one alone is larger.
pub(super) const TARGET: usize = 4096 - 64;

/// So many heads are looked at side by side rather than by halves.
const SIDE_BY_SIDE: usize = 32;

/// Bytes of a head, and of what is behind the heads.
const HEAD: usize = 8;
const TRAILER: usize = 8;

/// Records of a block that was checked.
///
/// In memory there is more behind the payload: of each entry the *head*, the first 8 bytes of its
/// key behind what all keys share, then how many bytes those are (u32) and the number of entries
/// (u32). Heads and offsets lie side by side, and near the entries, so that little has to be
/// fetched from memory to find one among them.
#[derive(Clone, Debug)]
pub(super) struct Block(Bytes);

impl Block {
    /// The block whose payload is what `bytes` has from `start` on; `None` if these are no records
    /// in order.
    pub(super) fn parse(mut bytes: Vec<u8>, start: usize) -> Option<Self> {
        let payload = bytes.get(start..)?;
        let count = u32_at(payload.last_chunk::<4>()?, 0) as usize;
        let entries = payload
            .len()
            .checked_sub(count.checked_mul(4)?.checked_add(4)?)?;
        let offset = |i: usize| u32_at(payload, entries + 4 * i) as usize;
        let (mut at, mut first, mut before): (usize, Option<&[u8]>, Option<&[u8]>) =
            (0, None, None);
        for i in 0..count {
            if offset(i) != at {
                return None;
            }
            let len = Entry::len_at(&payload[..entries], at)?;
            let key = Entry::key_at(payload, at);
            if before.is_some_and(|before| before >= key) {
                return None;
            }
            (at, first, before) = (at + len, first.or(Some(key)), Some(key));
        }
        if at != entries {
            return None;
        }
        // In order, so that what these two share all share.
        let shared = common(first?, before?);
        bytes.reserve_exact(HEAD * count + TRAILER);
        for i in 0..count {
            let payload = &bytes[start..];
            let key = Entry::key_at(payload, u32_at(payload, entries + 4 * i) as usize);
            let head = head(key.get(shared..).unwrap_or_default());
            bytes.extend_from_slice(&head.to_le_bytes());
        }
        bytes.extend_from_slice(&(shared as u32).to_le_bytes());
        bytes.extend_from_slice(&(count as u32).to_le_bytes());
        let mut bytes = Bytes::from(bytes);
        bytes.advance(start);
        Some(Self(bytes))
    }

    pub(super) fn len(&self) -> usize {
        u32_at(&self.0, self.0.len() - 4) as usize
    }

    fn shared(&self) -> usize {
        u32_at(&self.0, self.0.len() - TRAILER) as usize
    }

    /// Bytes of the payload, which the heads follow.
    fn payload(&self) -> usize {
        self.0.len() - TRAILER - HEAD * self.len()
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// What the entries lie in.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Where the entry at `index` starts, if there are so many.
    fn offset(&self, index: usize) -> Option<usize> {
        let from_the_end = self.len().checked_sub(index).filter(|left| *left > 0)?;
        Some(u32_at(&self.0, self.payload() - 4 - 4 * from_the_end) as usize)
    }

    /// The entry at `index`, if there are so many.
    pub(super) fn entry(&self, index: usize) -> Option<EntryRef<'_>> {
        EntryRef::within(&self.0, self.offset(index)?)
    }

    /// The key at `index`, if there are so many.
    pub(super) fn key(&self, index: usize) -> Option<&[u8]> {
        Some(Entry::key_at(&self.0, self.offset(index)?))
    }

    pub(super) fn last_key(&self) -> &[u8] {
        self.key(self.len().wrapping_sub(1)).unwrap_or_default()
    }

    pub(super) fn first_key(&self) -> &[u8] {
        self.key(0).unwrap_or_default()
    }

    /// The index of the first entry whose key is not before `key`, and whether it is that key's.
    pub(super) fn find(&self, key: &[u8]) -> (usize, bool) {
        let shared = self.shared();
        let heads = &self.0[self.payload()..self.0.len() - TRAILER];
        let wanted = head(key.get(shared..).unwrap_or_default());
        let (mut low, mut high) = (0, self.len());
        while high - low > SIDE_BY_SIDE {
            let middle = low + (high - low) / 2;
            if u64_at(heads, HEAD * middle) < wanted {
                low = middle + 1
            } else {
                high = middle
            }
        }
        low += heads[HEAD * low..HEAD * high]
            .chunks_exact(HEAD)
            .map(|head| usize::from(u64_at(head, 0) < wanted))
            .sum::<usize>();
        // Any key will do to see whether this one begins as all do; that at hand is most often the
        // one.
        let any = self.key(low).unwrap_or_else(|| self.first_key());
        let begins = &any[..shared];
        if !key.starts_with(begins) {
            return (if key < begins { 0 } else { self.len() }, false);
        }
        high = low
            + heads[HEAD * low..]
                .chunks_exact(HEAD)
                .take_while(|head| u64_at(head, 0) == wanted)
                .count();
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).unwrap_or_default().cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return (middle, true),
                Ordering::Greater => high = middle,
            }
        }
        (low, false)
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
    pub(super) fn fits(&self, entry: EntryRef<'_>) -> bool {
        self.is_empty() || self.entries.len() + self.offsets.len() + entry.raw().len() <= TARGET
    }

    pub(super) fn push(&mut self, entry: EntryRef<'_>) {
        self.offsets
            .extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
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
