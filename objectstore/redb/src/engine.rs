//! Reading and writing the database.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use redb::{Database, ReadableDatabase, ReadableTableMetadata};
use storehouse_engine::{Engine, EngineStats, Fault, Limits, Span, Visit};
use storehouse_objectstore::{Operation, Result};

use crate::RedbOptions;
use crate::error::{fault, guarded};
use crate::open::{self, OpenFile, RECORDS};
use crate::{reads, salvage};

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
    file: RwLock<OpenFile>,
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
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        let done = guarded(what, || work(file.database()?));
        // After a failed system call redb does nothing more, not even reads.
        if matches!(done, Err(Fault::Io { .. } | Fault::Stopped { .. })) {
            self.stopped.store(true, Ordering::Release);
        }
        done
    }

    /// Whether the disk was full when the file was opened, so that it can only be read.
    fn is_in_memory(&self) -> bool {
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        file.disk.is_in_memory()
    }

    /// Copies all records to another database. None may be hidden by a damaged page.
    fn copy_to(&self, new: &OpenFile) -> Result<(), Fault> {
        self.with(COMPACT, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            let stored = table.len()?;
            let mut records = table.range::<&[u8]>(..)?.peekable();
            while records.peek().is_some() {
                let writing = new.database()?.begin_write()?;
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
            let copied = new.database()?.begin_read()?.open_table(RECORDS)?.len()?;
            if copied != stored {
                let what = format!("{copied} of {stored} records are found");
                return Err(redb::Error::Corrupted(what));
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
        let mut file = open::open(dir, options, unused);
        if options.salvage && file.as_ref().is_err_and(salvage::is_damage) {
            file = salvage::rebuild(dir, options).and_then(|()| open::open(dir, options, false));
        }
        let file = file.map_err(|fault| fault.into_error(Operation::Open, None))?;
        let engine = Self {
            dir: dir.to_owned(),
            options: *options,
            file: RwLock::new(file),
            writing: Mutex::new(()),
            stopped: AtomicBool::new(false),
        };
        accept(&engine)?;
        Ok(engine)
    }

    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault> {
        self.with(READ, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            Ok(reads::get(&table, key)?.map(|value| read(value.value())))
        })
    }

    fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault> {
        self.with(READ, |database| {
            let table = database.begin_read()?.open_table(RECORDS)?;
            reads::scan(&table, span, visit)
        })
    }

    fn write(&self, changes: &[(&[u8], Option<&[u8]>)], _: bool) -> Result<(), Fault> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_in_memory() {
            return Err(Fault::io(WRITE, io::ErrorKind::StorageFull.into()));
        }
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
            let mut file = self.file.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *file, new)
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
        let damaged = salvage::damaged_files(&self.dir);
        let damaged = damaged.map_err(|e| Fault::io("the directory cannot be read", e))?;
        let salvaged = damaged.iter().map(|file| {
            format!(
                "{}: the records were taken from this damaged file; some may be missing, older, or \
                 have been deleted. Remove it once that is dealt with",
                file.display()
            )
        });
        let mut found: Vec<String> = salvaged.collect();
        match counts {
            Ok((expected, counted)) if expected != counted => {
                found.push(format!(
                    "records.redb: {counted} of {expected} records are found"
                ));
            }
            Err(Fault::Damaged { what }) => found.push(format!("records.redb: {what}")),
            counts => drop(counts?),
        }
        Ok(found)
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
        self.stopped.load(Ordering::Acquire) || self.is_in_memory()
    }

    fn room_to_reopen(&self) -> u64 {
        // A database that has stopped does not even read, so nothing is lost by trying.
        if self.stopped.load(Ordering::Acquire) {
            0
        } else {
            ROOM_TO_WRITE
        }
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
