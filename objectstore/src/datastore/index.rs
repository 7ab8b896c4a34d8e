//! The index of a table: where its blocks lie, held in memory.
//!
//! A payload is the number of blocks (u32), then for each its place (u64), the bytes of its frame (u32), the length of its separator (u16) and the separator:
//! the shortest text that no key of the block is before and all keys of the block before are before. Little endian.

use bytes::Bytes;

use super::entry::{u16_at, u32_at, u64_at};

const ITEM: usize = 14;

/// Where the blocks lie, in order.
#[derive(Debug, Default)]
pub(super) struct Index {
    separators: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    separator: u32,
    separator_len: u16,
    len: u32,
    at: u64,
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockAt {
    pub(super) at: u64,
    /// Bytes of the whole frame; 0 if there should be a block, but it is damaged.
    pub(super) len: u32,
}

impl Index {
    pub(super) fn push(&mut self, separator: &[u8], block: BlockAt) {
        let start = self.separators.len() as u32;
        self.separators.extend_from_slice(separator);
        self.items.push(Item { separator: start, separator_len: separator.len() as u16, len: block.len, at: block.at });
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn block(&self, number: usize) -> Option<BlockAt> {
        self.items.get(number).map(|item| BlockAt { at: item.at, len: item.len })
    }

    /// The number of the block that has `key` if any has; the first one for what is before all.
    pub(super) fn find(&self, key: &[u8]) -> usize {
        self.items.partition_point(|item| self.separator(item) <= key).saturating_sub(1)
    }

    fn separator(&self, item: &Item) -> &[u8] {
        &self.separators[item.separator as usize..][..usize::from(item.separator_len)]
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.items.len() as u32).to_le_bytes());
        for item in &self.items {
            out.extend_from_slice(&item.at.to_le_bytes());
            out.extend_from_slice(&item.len.to_le_bytes());
            out.extend_from_slice(&item.separator_len.to_le_bytes());
            out.extend_from_slice(self.separator(item));
        }
    }

    /// `None` if this is no index.
    pub(super) fn parse(payload: &Bytes) -> Option<Self> {
        let (count, mut rest) = payload.split_at_checked(4)?;
        let mut index = Self::default();
        for _ in 0..u32_at(count, 0) {
            let (item, more) = rest.split_at_checked(ITEM)?;
            let (separator, more) = more.split_at_checked(usize::from(u16_at(item, 12)))?;
            index.push(separator, BlockAt { at: u64_at(item, 0), len: u32_at(item, 8) });
            rest = more;
        }
        rest.is_empty().then_some(index)
    }
}

/// The shortest beginning of `key` that is not before it and that `before` is before. `before` must be before `key`.
pub(super) fn separator<'a>(before: &[u8], key: &'a [u8]) -> &'a [u8] {
    let same = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    &key[..key.len().min(same + 1)]
}
