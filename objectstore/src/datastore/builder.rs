//! Writing a table: sequentially, from entries in order.

use std::io;
use std::sync::Arc;

use super::block::BlockBuilder;
use super::disk::{Disk, DiskFile};
use super::entry::EntryRef;
use super::filter::{self, Filter};
use super::frame::{self, Kind, Origin};
use super::index::{self, BlockAt, IndexBuilder};
use super::table::{TableId, file_name};

/// How much is written at once, in bytes.
const WRITE: usize = 256 * 1024;

/// How much may be written before it is synced, in bytes: less than would hold up the log's own
/// syncs for long.
const SYNC: u64 = 8 * 1024 * 1024;

/// A table that is being written.
#[derive(Debug)]
pub(super) struct TableBuilder {
    file: Arc<dyn DiskFile>,
    origin: Origin,
    block: BlockBuilder,
    first: Vec<u8>,
    last: Vec<u8>,
    index: IndexBuilder,
    hashes: Vec<u32>,
    buffer: Vec<u8>,
    /// Bytes written, those in the buffer not among them.
    written: u64,
    synced: u64,
}

impl TableBuilder {
    pub(super) fn create(disk: &dyn Disk, store: u64, number: u64) -> io::Result<Self> {
        Ok(Self {
            file: disk.create(&file_name(number))?,
            origin: Origin {
                store,
                file: number,
            },
            block: BlockBuilder::default(),
            first: Vec::new(),
            last: Vec::new(),
            index: IndexBuilder::default(),
            hashes: Vec::new(),
            buffer: Vec::with_capacity(WRITE),
            written: 0,
            synced: 0,
        })
    }

    /// Adds an entry, whose key must be behind all others.
    pub(super) fn push(&mut self, entry: EntryRef<'_>) -> io::Result<()> {
        if !self.block.fits(entry) {
            self.finish_block()?;
        }
        if self.block.is_empty() {
            self.first = index::separator(&self.last, entry.key()).to_vec();
        }
        self.block.push(entry);
        self.hashes.push(filter::hash(entry.key()));
        self.last.clear();
        self.last.extend_from_slice(entry.key());
        Ok(())
    }

    /// Writes what is left and syncs all of it. The table's name is yet to be synced.
    pub(super) fn finish(mut self) -> io::Result<TableId> {
        if !self.block.is_empty() {
            self.finish_block()?;
        }
        let mut payload = Vec::new();
        self.index.encode(&mut payload);
        let index_at = self.frame(Kind::Index, &payload)?.0;
        let filter_at = self.frame(Kind::Filter, &Filter::build(&self.hashes))?.0;
        let entries = self.hashes.len() as u64;
        let footer = [index_at, filter_at, entries]
            .map(u64::to_le_bytes)
            .concat();
        self.frame(Kind::Footer, &footer)?;
        self.write()?;
        self.file.sync()?;
        Ok(TableId {
            number: self.origin.file,
            len: self.written,
            entries,
        })
    }

    fn finish_block(&mut self) -> io::Result<()> {
        let mut payload = Vec::new();
        self.block.finish(&mut payload);
        let (at, len) = self.frame(Kind::Block, &payload)?;
        // The first block also has what is before its first key.
        let separator = if self.index.is_empty() {
            &[]
        } else {
            &self.first[..]
        };
        self.index.push(separator, BlockAt { at, len });
        Ok(())
    }

    /// Appends a frame; gives its place and its bytes.
    fn frame(&mut self, kind: Kind, payload: &[u8]) -> io::Result<(u64, u32)> {
        let at = self.written + self.buffer.len() as u64;
        let mut frame = frame::start();
        frame.extend_from_slice(payload);
        frame::seal(&mut frame, kind, self.origin, at);
        self.buffer.extend_from_slice(&frame);
        if self.buffer.len() >= WRITE {
            self.write()?;
        }
        Ok((at, frame.len() as u32))
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write(&self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        if self.written - self.synced >= SYNC {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }
}
