//! Caching what passes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use storehouse_objectstore::{Key, Metadata};

use super::disk::{DiskBlock, Reserved};
use super::levels::Levels;

/// Caches the whole blocks of what passes: in memory at once, on disk when the source has ended
/// well.
pub(super) struct Filler {
    levels: Arc<Levels>,
    key: Key,
    metadata: Metadata,
    /// Where it began, the offset in the object of the next byte, and where the source ends.
    start: u64,
    at: u64,
    end: u64,
    /// The block that is being gathered, from its start; `None` until one starts.
    block: Option<BytesMut>,
    /// Whole blocks for the disk.
    for_disk: Vec<(DiskBlock, Bytes, Reserved)>,
}

impl Filler {
    /// For a source that gives the bytes of the object from `start` to `end`.
    pub(super) fn new(
        levels: &Arc<Levels>,
        key: &Key,
        metadata: &Metadata,
        (start, end): (u64, u64),
    ) -> Self {
        Self {
            levels: Arc::clone(levels),
            key: key.clone(),
            metadata: metadata.clone(),
            start,
            at: start,
            end,
            block: None,
            for_disk: Vec::new(),
        }
    }

    /// The offset in the object of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether all bytes of the source have passed.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.end
    }

    pub(super) fn pass(&mut self, mut piece: &[u8]) {
        let size = self.levels.block_size();
        while !piece.is_empty() && self.at < self.metadata.size {
            let start = self.at - self.at % size;
            if self.at == start {
                self.block = Some(BytesMut::new());
            }
            let end = self.metadata.size.min(start + size);
            let len = (end - self.at).min(piece.len() as u64);
            // At most the length of the piece.
            let (part, rest) = piece.split_at(len as usize);
            if let Some(block) = &mut self.block {
                block.extend_from_slice(part);
            }
            (piece, self.at) = (rest, self.at + len);
            if self.at == end
                && let Some(block) = self.block.take()
            {
                self.whole(start / size, block.freeze());
            }
        }
    }

    fn whole(&mut self, index: u64, bytes: Bytes) {
        if let Some(disk) = &self.levels.disk {
            let block = DiskBlock::new(&self.key, &self.metadata, index, self.levels.block_size());
            if let Some(reserved) = disk.reserve(&block) {
                self.for_disk.push((block, bytes.clone(), reserved));
            }
        }
        let (key, metadata) = (&self.key, &self.metadata);
        self.levels.remember(key, metadata, index, bytes);
    }

    /// The source has ended well: what passed is what the object has.
    pub(super) fn finish(&mut self) {
        if let Some(disk) = &self.levels.disk {
            for (block, bytes, reserved) in self.for_disk.drain(..) {
                disk.put(block, bytes, reserved);
            }
        }
    }

    /// Takes back what it cached: a source that failed may have given wrong bytes before.
    pub(super) fn take_back(&mut self) {
        self.for_disk.clear();
        let size = self.levels.block_size();
        for index in self.start / size..self.at.div_ceil(size) {
            self.levels.forget(&self.key, &self.metadata, index);
        }
    }
}
