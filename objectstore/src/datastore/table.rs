//! Tables: sorted records in a file that never changes once it is written.
//!
//! A table is frames alone, one behind the other: blocks in the order of their keys, the index, the
//! filter, and a footer of fixed size that says where those two are. Should index, filter or footer
//! be damaged, they are made anew from the blocks.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::cache::{Cache, Known};
use super::disk::{Disk, DiskFile};
use super::entry::{Entry, EntryRef, u64_at};
use super::fault::{Damage, Fault};
use super::filter::Filter;
use super::frame::{self, Found, Kind, Origin};
use super::index::{self, BlockAt, Index, IndexBuilder};

/// Bytes of the footer's payload: places of index and filter, number of records.
pub(super) const FOOTER: usize = 24;

/// Whether a read may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Refused,
    Allowed,
}

/// Which table, as the manifest says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TableId {
    pub(super) number: u64,
    /// Bytes of the file.
    pub(super) len: u64,
    /// Records and deletions in it.
    pub(super) entries: u64,
}

/// An open table.
pub(super) struct Table {
    pub(super) id: TableId,
    file: Arc<dyn DiskFile>,
    origin: Origin,
    index: Index,
    /// Of each block.
    known: Box<[Known]>,
    /// `None` if it was damaged: then every key may be there.
    filter: Option<Filter>,
    /// What was found when the table was opened.
    pub(super) damage: Option<Damage>,
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.table")
}

/// The number of a table by its file's name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".table")
        .filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Table {
    pub(super) fn open(disk: &dyn Disk, store: u64, id: TableId) -> Result<Self, Fault> {
        let name = file_name(id.number);
        let failed = || Fault::io(format!("{name} cannot be opened"));
        let file = disk.open(&name).map_err(failed())?;
        let end = file.len().map_err(failed())?;
        let origin = Origin {
            store,
            file: id.number,
        };
        if end == id.len
            && let Some((index, filter)) = read_ends(file.as_ref(), origin, id).map_err(failed())?
        {
            return Ok(Self {
                id,
                file,
                origin,
                known: known(&index),
                index,
                filter: Some(filter),
                damage: None,
            });
        }
        let what = if end == id.len {
            "index, filter or footer"
        } else {
            "the file has another length than was written"
        };
        let index = rebuild(file.as_ref(), origin, end.min(id.len)).map_err(failed())?;
        let damage = Some(Damage {
            file: name,
            at: end.min(id.len),
            what,
        });
        Ok(Self {
            id,
            file,
            origin,
            known: known(&index),
            index,
            filter: None,
            damage,
        })
    }

    pub(super) fn may_have(&self, hash: u32) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.may_have(hash))
    }

    /// The entry of `key`, checked, by itself.
    pub(super) fn get(
        &self,
        key: &[u8],
        cache: &Cache,
        wait: Wait,
    ) -> Result<Option<Entry>, Fault> {
        let number = self.index.find(key);
        let look = |block: &Block| match block.find(key) {
            (place, true) => block
                .entry(place)
                .map(|entry| Ok(self.verify(entry)?.detached(block.bytes())))
                .transpose(),
            _ => Ok(None),
        };
        match self.cached(number, cache, look) {
            Some(found) => found,
            None => self
                .read_block(number, Some(cache), wait)?
                .map_or(Ok(None), |block| look(&block)),
        }
    }

    /// The first entry whose key is not before `key`, checked, by itself.
    pub(super) fn first(
        &self,
        key: &[u8],
        cache: &Cache,
        wait: Wait,
    ) -> Result<Option<Entry>, Fault> {
        for number in self.index.find(key)..self.index.len() {
            let look = |block: &Block| {
                let entry = block.entry(block.find(key).0);
                entry
                    .map(|entry| Ok(self.verify(entry)?.detached(block.bytes())))
                    .transpose()
            };
            let found = match self.cached(number, cache, look) {
                Some(found) => found?,
                None => self
                    .read_block(number, Some(cache), wait)?
                    .map_or(Ok(None), |block| look(&block))?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// The block with this number, checked; `None` past the last one.
    pub(super) fn block(
        &self,
        number: usize,
        cache: Option<&Cache>,
        wait: Wait,
    ) -> Result<Option<Block>, Fault> {
        match cache.and_then(|cache| self.cached(number, cache, Block::clone)) {
            Some(block) => Ok(Some(block)),
            None => self.read_block(number, cache, wait),
        }
    }

    fn cached<R>(&self, number: usize, cache: &Cache, look: impl FnOnce(&Block) -> R) -> Option<R> {
        cache.with(
            self.known.get(number)?,
            (self.id.number, number as u32),
            look,
        )
    }

    fn read_block(
        &self,
        number: usize,
        cache: Option<&Cache>,
        wait: Wait,
    ) -> Result<Option<Block>, Fault> {
        let Some(BlockAt { at, len }) = self.index.block(number) else {
            return Ok(None);
        };
        if len == 0 || at.saturating_add(u64::from(len)) > self.id.len {
            return Err(self.damaged(at, "no block where one should be"));
        }
        // With room for what a block in memory has behind its payload.
        let mut bytes = Vec::with_capacity(len as usize + len as usize / 16);
        bytes.resize(len as usize, 0);
        match wait {
            Wait::Refused => self
                .file
                .read_cached(&mut bytes, at)
                .ok_or(Fault::WouldWait)?,
            Wait::Allowed => self.file.read(&mut bytes, at),
        }
        .map_err(|e| self.read_failed(at, e))?;
        let payload = frame::payload(&bytes, Kind::Block, self.origin, at)
            .ok_or_else(|| self.damaged(at, "a block of records"))?;
        bytes.truncate(payload.end);
        let block = Block::parse(bytes, payload.start)
            .ok_or_else(|| self.damaged(at, "the records of a block"))?;
        if let (Some(cache), Some(known)) = (cache, self.known.get(number)) {
            cache.insert(known, (self.id.number, number as u32), block.clone());
        }
        Ok(Some(block))
    }

    /// A cursor at the first entry whose key is not before `key`.
    pub(super) fn seek(
        self: &Arc<Self>,
        key: &[u8],
        cache: Option<&Cache>,
        wait: Wait,
    ) -> Result<Cursor, Fault> {
        let mut cursor = Cursor {
            table: Arc::clone(self),
            number: self.index.find(key),
            block: None,
            place: 0,
        };
        if let Some(block) = self.block(cursor.number, cache, wait)? {
            cursor.place = block.find(key).0;
            cursor.block = Some(block);
        }
        Ok(cursor)
    }

    /// Reads everything and says what is wrong to `report`. Gives the number of entries found.
    pub(super) fn check(&self, report: &mut dyn FnMut(Damage)) -> Result<u64, Fault> {
        if let Some(damage) = &self.damage {
            report(damage.clone());
        }
        let end = self
            .file
            .len()
            .map_err(|e| self.read_failed(0, e))?
            .min(self.id.len);
        let (mut at, mut entries, mut next) = (0, 0, None::<Vec<u8>>);
        while at < end {
            let name = file_name(self.id.number);
            match frame::read(self.file.as_ref(), self.origin, at, end)
                .map_err(|e| self.read_failed(at, e))
            {
                Ok(Found::Frame(kind, payload, behind)) => {
                    if kind == Kind::Block {
                        match Block::parse(payload.into(), 0) {
                            Some(block)
                                if next
                                    .as_deref()
                                    .is_none_or(|before| before < block.first_key()) =>
                            {
                                next = Some(block.last_key().to_vec());
                                entries += block.len() as u64;
                                let wrong = (0..block.len())
                                    .filter_map(|i| block.entry(i))
                                    .any(|entry| !entry.verified());
                                if wrong {
                                    report(Damage {
                                        file: name,
                                        at,
                                        what: "a record's checksum",
                                    });
                                }
                            }
                            _ => report(Damage {
                                file: name,
                                at,
                                what: "the records of a block",
                            }),
                        }
                    }
                    at = behind;
                }
                Ok(Found::Nothing) | Err(Fault::Io(..)) => {
                    report(Damage {
                        file: name,
                        at,
                        what: "not what was written",
                    });
                    let found = frame::search(self.file.as_ref(), self.origin, at + 1, end);
                    at = found.map_err(|e| self.read_failed(at, e))?.unwrap_or(end);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(entries)
    }

    fn verify<'a>(&self, entry: EntryRef<'a>) -> Result<EntryRef<'a>, Fault> {
        if entry.verified() {
            Ok(entry)
        } else {
            Err(self.damaged(0, "a record's checksum"))
        }
    }

    fn damaged(&self, at: u64, what: &'static str) -> Fault {
        Fault::damaged(file_name(self.id.number), at, what)
    }

    fn read_failed(&self, at: u64, e: io::Error) -> Fault {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(at, "the file ends too early"),
            _ => Fault::Io(format!("{} cannot be read", file_name(self.id.number)), e),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("id", &self.id)
            .field("blocks", &self.index.len())
            .finish_non_exhaustive()
    }
}

/// A place between two entries of a table.
#[derive(Debug)]
pub(super) struct Cursor {
    table: Arc<Table>,
    number: usize,
    block: Option<Block>,
    place: usize,
}

impl Cursor {
    /// Sees to it that the next entry is at hand, if there is one.
    pub(super) fn settle(&mut self, cache: Option<&Cache>, wait: Wait) -> Result<(), Fault> {
        while self
            .block
            .as_ref()
            .is_some_and(|block| self.place >= block.len())
        {
            self.block = self.table.block(self.number + 1, cache, wait)?;
            (self.number, self.place) = (self.number + 1, 0);
        }
        Ok(())
    }

    /// Whether no entry is at hand.
    pub(super) fn is_empty(&self) -> bool {
        self.block
            .as_ref()
            .is_none_or(|block| self.place >= block.len())
    }

    /// The key of the next entry, if one is at hand.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.block.as_ref()?.key(self.place)
    }

    /// The next entry, checked, and what it lies in.
    pub(super) fn entry(&self) -> Result<Option<(EntryRef<'_>, &Bytes)>, Fault> {
        let Some(block) = &self.block else {
            return Ok(None);
        };
        let Some(entry) = block.entry(self.place) else {
            return Ok(None);
        };
        Ok(Some((self.table.verify(entry)?, block.bytes())))
    }

    pub(super) fn pass(&mut self) {
        self.place += 1;
    }
}

/// Nothing is known of any block yet.
fn known(index: &Index) -> Box<[Known]> {
    std::iter::repeat_with(Known::default)
        .take(index.len())
        .collect()
}

/// Index and filter by way of the footer; `None` if any of them is damaged.
fn read_ends(
    file: &dyn DiskFile,
    origin: Origin,
    id: TableId,
) -> io::Result<Option<(Index, Filter)>> {
    let frame = |at: u64, kind: Kind| -> io::Result<Option<Bytes>> {
        Ok(match frame::read(file, origin, at, id.len)? {
            Found::Frame(found, payload, _) if found == kind => Some(payload),
            _ => None,
        })
    };
    let Some(at) = id
        .len
        .checked_sub(frame::padded((frame::HEADER + FOOTER) as u64))
    else {
        return Ok(None);
    };
    let Some(footer) = frame(at, Kind::Footer)?.filter(|footer| footer.len() == FOOTER) else {
        return Ok(None);
    };
    let Some(index) =
        frame(u64_at(&footer, 0), Kind::Index)?.and_then(|payload| Index::parse(&payload))
    else {
        return Ok(None);
    };
    Ok(frame(u64_at(&footer, 8), Kind::Filter)?
        .and_then(Filter::parse)
        .map(|filter| (index, filter)))
}

/// An index of the blocks that can still be found. Between them, where something is missing, it has
/// blocks that cannot be read: a key that may have been in one of them is not "not found".
fn rebuild(file: &dyn DiskFile, origin: Origin, end: u64) -> io::Result<Index> {
    let mut index = IndexBuilder::default();
    let (mut at, mut last, mut gap) = (0, Vec::new(), None);
    while at < end {
        match frame::read(file, origin, at, end)? {
            Found::Frame(Kind::Block, payload, next) => {
                if let Some(block) = Block::parse(payload.into(), 0) {
                    let separator = match gap.take() {
                        Some(missing) => {
                            index.push(
                                &last,
                                BlockAt {
                                    at: missing,
                                    len: 0,
                                },
                            );
                            block.first_key()
                        }
                        None => index::separator(&last, block.first_key()),
                    };
                    index.push(
                        separator,
                        BlockAt {
                            at,
                            len: (next - at) as u32,
                        },
                    );
                    // The least text behind the last key.
                    last = [block.last_key(), b"\0"].concat();
                } else {
                    gap = gap.or(Some(at));
                }
                at = next;
            }
            // Nothing but what can be made anew follows.
            Found::Frame(..) => break,
            Found::Nothing => {
                gap = gap.or(Some(at));
                at = frame::search(file, origin, at + 1, end)?.unwrap_or(end);
            }
        }
    }
    if gap.is_some() || at >= end {
        index.push(
            &last,
            BlockAt {
                at: gap.unwrap_or(end),
                len: 0,
            },
        );
    }
    Ok(index.finish())
}
