//! Reading and writing the database.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use storehouse_engine::{Engine, EngineStats, Fault, Limits, Span, Visit};
use storehouse_objectstore::{Operation, Result};

use crate::RedbOptions;
use crate::error::{fault, guarded};
use crate::open::{self, RECORDS};

const READ: &str = "the database cannot be read";
const WRITE: &str = "the database cannot be written";
const COMPACT: &str = "the database cannot be compacted";

/// The free space that writes leave for removals and for a repair, and that removals leave.
const ROOM_TO_WRITE: u64 = 16 << 20;
const ROOM_TO_REMOVE: u64 = 4 << 20;
/// The pages that an operation writes, in bytes.
const PAGES: u64 = 16 << 10;

/// Bytes of records that a compaction copies in one transaction.
const COPIED_AT_ONCE: usize = 32 << 20;

/// A redb database as an [`Engine`]. Used through [`Redb`](crate::Redb).
pub struct RedbEngine {
    dir: PathBuf,
    options: RedbOptions,
    /// Replaced by a compaction.
    database: RwLock<Database>,
    /// Held while the database is written or replaced.
    writing: Mutex<()>,
    stopped: AtomicBool,
}

impl fmt::Debug for RedbEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbEngine")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl RedbEngine {
    fn with<T>(
        &self,
        what: &str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let done = guarded(what, || work(&database));
        // After a failed system call redb does nothing more, not even reads.
        if matches!(done, Err(Fault::Io { .. } | Fault::Stopped { .. })) {
            self.stopped.store(true, Ordering::Release);
        }
        done
    }

    /// Copies all records to another database.
    fn copy_to(&self, new: &Database) -> Result<(), Fault> {
        self.with(COMPACT, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let mut records = table.range::<&[u8]>(..)?.peekable();
            while records.peek().is_some() {
                let writing = new.begin_write()?;
                {
                    let (mut table, mut bytes) = (writing.open_table(RECORDS)?, 0);
                    while bytes < COPIED_AT_ONCE
                        && let Some(record) = records.next()
                    {
                        let (key, value) = record?;
                        bytes += key.value().len() + value.value().len();
                        table.insert(key.value(), value.value())?;
                    }
                }
                writing.commit()?;
            }
            Ok(())
        })
    }
}

impl Engine for RedbEngine {
    const NAME: &'static str = "redb";
    const UNSYNCED_SURVIVES_PROCESS: bool = false;
    const KEEPS_DELETIONS: bool = false;

    type Options = RedbOptions;

    fn limits(options: &RedbOptions) -> Limits {
        options.limits()
    }

    fn open(
        dir: &Path,
        options: &RedbOptions,
        unused: bool,
        accept: &dyn Fn(&Self) -> Result<()>,
    ) -> Result<Self> {
        let database = open::open(dir, options, unused);
        let database = database.map_err(|fault| fault.into_error(Operation::Open, None))?;
        let engine = Self {
            dir: dir.to_owned(),
            options: *options,
            database: RwLock::new(database),
            writing: Mutex::new(()),
            stopped: AtomicBool::new(false),
        };
        accept(&engine)?;
        Ok(engine)
    }

    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault> {
        self.with(READ, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            Ok(table.get(key)?.map(|value| read(value.value())))
        })
    }

    fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault> {
        self.with(READ, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let mut range = table.range::<&[u8]>(span.bounds())?;
            let mut next = || {
                if span.reverse {
                    range.next_back()
                } else {
                    range.next()
                }
            };
            while let Some(record) = next() {
                let (key, value) = record?;
                if visit(key.value(), value.value()).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write(&self, changes: &[(&[u8], Option<&[u8]>)], _: bool) -> Result<(), Fault> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_stopped() {
            return Err(fault(WRITE)(redb::Error::PreviousIo));
        }
        let written = self.with(WRITE, |database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(RECORDS)?;
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(table.insert(*key, *value)?),
                        None => drop(table.remove(*key)?),
                    }
                }
            }
            Ok(writing.commit()?)
        });
        if written.is_err() {
            self.stopped.store(true, Ordering::Release);
        }
        written
    }

    fn compact(&self) -> Result<(), Fault> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = open::new_file(&self.dir);
        // One that failed may have left its file, with records that are deleted by now.
        open::remove(&path)?;
        let new = open::create(&path, &self.options)?;
        if let Err(fault) = self.copy_to(&new) {
            drop(new);
            let _ = fs::remove_file(path);
            return Err(fault);
        }
        let renamed = fs::rename(&path, open::file(&self.dir));
        renamed.map_err(|e| Fault::io("the compacted database cannot be renamed", e))?;
        let old = {
            let mut database = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *database, new)
        };
        drop(old);
        // Until its name is durable, a power cut would bring the old file back.
        open::sync_dir(&self.dir).inspect_err(|_| self.stopped.store(true, Ordering::Release))
    }

    fn verify(&self) -> Result<Vec<String>, Fault> {
        // A damaged branch of the tree hides what is below it, but not from the count.
        let counts = self.with(READ, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let mut found = 0;
            for record in table.range::<&[u8]>(..)? {
                record?;
                found += 1;
            }
            Ok((table.len()?, found))
        });
        Ok(match counts {
            Ok((expected, found)) if expected != found => {
                vec![format!(
                    "records.redb: {found} of {expected} records are found"
                )]
            }
            Err(Fault::Damaged { what }) => vec![format!("records.redb: {what}")],
            counts => counts.map(|_| Vec::new())?,
        })
    }

    fn stats(&self) -> Result<EngineStats, Fault> {
        let metadata = fs::metadata(open::file(&self.dir));
        let disk = metadata
            .map_err(|e| Fault::io("records.redb cannot be read", e))?
            .len();
        self.with(READ, |database| {
            let records = database.begin_read()?.open_table(RECORDS)?.len()?;
            let memory = database.cache_stats().used_bytes() as u64;
            Ok(EngineStats {
                disk,
                records,
                memory,
            })
        })
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    fn room_to_reopen(&self) -> u64 {
        // A database that has stopped does not even read, so nothing is lost by trying.
        0
    }

    fn room_to_write(&self, operations: u64, bytes: u64, only_removes: bool) -> u64 {
        let room = if only_removes {
            ROOM_TO_REMOVE
        } else {
            ROOM_TO_WRITE
        };
        // Pages on the way to the root are written anew.
        room + operations * PAGES + 2 * bytes
    }
}
