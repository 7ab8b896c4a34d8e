//! Both levels of the cache, and what of a range is in them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use storehouse_objectstore::{Key, Metadata};

use super::blocks::{BlockId, Blocks};
use super::disk::{CacheDisk, DiskBlock};
use super::leases::Leases;

#[derive(Debug)]
pub(super) struct Levels {
    pub(super) memory: Blocks,
    pub(super) disk: Option<Arc<CacheDisk>>,
    pub(super) leases: Leases,
}

/// A part of a range that is cached.
pub(super) enum Part {
    /// Cut to the range.
    Memory(Bytes),
    /// The block of this number, as far as it is known.
    Disk(u64),
}

/// What is cached of a range, from its start to the first block that is missing.
pub(super) struct Cached {
    pub(super) parts: VecDeque<Part>,
    /// Where the block that is missing starts, if one is.
    pub(super) missing: Option<u64>,
}

impl Levels {
    /// The size of a block, in bytes.
    pub(super) fn block_size(&self) -> u64 {
        self.memory.size
    }

    /// This range, if it lies within one block and that is in memory.
    pub(super) fn in_one_block(
        &self,
        key: &Key,
        metadata: &Metadata,
        range: &Range<u64>,
    ) -> Option<Bytes> {
        let index = range.start / self.block_size();
        let start = index * self.block_size();
        if range.is_empty() || range.end - start > self.block_size() {
            return None;
        }
        let block = self.memory.get(&BlockId::new(key, metadata, index))?;
        let part = (range.start - start) as usize..(range.end - start) as usize;
        (part.end <= block.len()).then(|| block.slice(part))
    }

    /// What is cached of this range of a version. The first block on disk is read.
    pub(super) async fn look_up(
        &self,
        key: &Key,
        metadata: &Metadata,
        range: &Range<u64>,
    ) -> Cached {
        let (mut parts, mut at) = (VecDeque::new(), range.start);
        let mut has_disk_part = false;
        while at < range.end {
            let index = at / self.block_size();
            let start = index * self.block_size();
            let mut bytes = self.memory.get(&BlockId::new(key, metadata, index));
            if bytes.is_none() && self.may_be_on_disk(key, metadata, index) {
                if has_disk_part {
                    parts.push_back(Part::Disk(index));
                    at = range.end.min(start + self.block_size());
                    continue;
                }
                has_disk_part = true;
                bytes = self.read_disk(key, metadata, index).await;
            }
            let Some(bytes) = bytes else {
                let missing = Some(start);
                return Cached { parts, missing };
            };
            let end = range.end.min(start + bytes.len() as u64);
            // Within a block, whose length is that of a `Bytes`.
            let part = bytes.slice((at - start) as usize..(end - start) as usize);
            parts.push_back(Part::Memory(part));
            at = end;
        }
        Cached {
            parts,
            missing: None,
        }
    }

    fn may_be_on_disk(&self, key: &Key, metadata: &Metadata, index: u64) -> bool {
        self.disk.as_ref().is_some_and(|disk| {
            disk.may_have(&DiskBlock::new(key, metadata, index, self.block_size()))
        })
    }

    /// Whether any block of the object may be on disk.
    pub(super) fn has_object_on_disk(&self, key: &Key) -> bool {
        let disk = self.disk.as_ref();
        disk.is_some_and(|disk| disk.has_object(key))
    }

    /// A block, from either level.
    pub(super) async fn block(&self, key: &Key, metadata: &Metadata, index: u64) -> Option<Bytes> {
        match self.memory.get(&BlockId::new(key, metadata, index)) {
            Some(bytes) => Some(bytes),
            None => self.read_disk(key, metadata, index).await,
        }
    }

    /// A block of the disk, which is in memory from now on.
    async fn read_disk(&self, key: &Key, metadata: &Metadata, index: u64) -> Option<Bytes> {
        let block = DiskBlock::new(key, metadata, index, self.block_size());
        let bytes = self.disk.as_ref()?.get(&block).await?;
        let id = BlockId::new(key, metadata, index);
        self.memory.insert(id, bytes.clone());
        Some(bytes)
    }

    pub(super) fn remember(&self, key: &Key, metadata: &Metadata, index: u64, bytes: Bytes) {
        let id = BlockId::new(key, metadata, index);
        self.memory.insert(id, bytes);
    }

    pub(super) fn forget(&self, key: &Key, metadata: &Metadata, index: u64) {
        self.memory.remove(&BlockId::new(key, metadata, index));
    }
}
