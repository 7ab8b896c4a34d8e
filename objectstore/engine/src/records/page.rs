//! A page of a listing on its way to the caller.
//!
//! It is read on another thread while the caller works on the page before. So what can be done on
//! the caller's thread is done there: entries are made one by one as they are taken. Until then a
//! page is a few blocks of bytes.

use bytes::Bytes;
use storehouse_objectstore::{Entry, Error, Key, Operation, Result};

use super::fault::Fault;
use super::record::{Record, Version, metadata};

/// The most bytes of small values that share memory: what a value that is kept keeps in memory.
const SHARED: usize = 32 << 10;

#[derive(Default)]
pub(super) struct Page {
    rows: Vec<Row>,
    blocks: Vec<Bytes>,
    /// The block that is being filled.
    block: Vec<u8>,
    /// The bytes of all keys and values.
    bytes: usize,
    /// What ended it, behind the rows.
    failure: Option<Error>,
}

/// An entry's key and, if it is inline, value, one behind the other in a block.
struct Row {
    block: usize,
    start: usize,
    key: usize,
    /// The length of what is inline.
    value: Option<usize>,
    size: usize,
    version: Version,
    modified: u64,
}

impl Page {
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    /// A page of nothing but a failure.
    pub(super) fn failed(fault: Fault) -> Self {
        let mut page = Self::default();
        page.fail(fault.into_error(Operation::List, None));
        page
    }

    pub(super) fn push(&mut self, key: &[u8], record: &Record<'_>, inline: bool) {
        let value = if inline { record.value } else { &[] };
        let len = key.len() + value.len();
        // A large one has a block of its own.
        if self.block.len() + len > SHARED && !self.block.is_empty() || len > SHARED / 8 {
            self.end_block();
        }
        if self.block.capacity() == 0 {
            self.block
                .reserve_exact(if len > SHARED / 8 { len } else { SHARED });
        }
        self.rows.push(Row {
            block: self.blocks.len(),
            start: self.block.len(),
            key: key.len(),
            value: inline.then_some(value.len()),
            size: record.value.len(),
            version: record.version(),
            modified: record.modified(),
        });
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.bytes += len;
        if len > SHARED / 8 {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if !self.block.is_empty() {
            let block = std::mem::take(&mut self.block);
            self.blocks.push(block.into());
        }
    }

    /// Nothing comes behind this.
    pub(super) fn fail(&mut self, error: Error) {
        self.failure = Some(error);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entries, and what ended them.
    pub(super) fn into_entries(mut self) -> impl Iterator<Item = Result<Entry>> + Send {
        self.end_block();
        let Self {
            rows,
            blocks,
            failure,
            ..
        } = self;
        let entries = rows.into_iter().map(move |row| row.entry(&blocks));
        entries.chain(failure.map(Err))
    }
}

impl Row {
    fn entry(&self, blocks: &[Bytes]) -> Result<Entry> {
        let block = &blocks[self.block];
        let end = self.start + self.key;
        Ok(Entry {
            key: key(&block[self.start..end])?,
            metadata: metadata(self.version, self.modified, self.size),
            value: self.value.map(|len| block.slice(end..end + len)),
        })
    }
}

/// The key that a record lies under.
pub(super) fn key(bytes: &[u8]) -> Result<Key> {
    let text = str::from_utf8(bytes).ok();
    text.and_then(|text| Key::new(text).ok())
        .ok_or_else(|| Fault::damaged("a key is damaged").into_error(Operation::List, None))
}
