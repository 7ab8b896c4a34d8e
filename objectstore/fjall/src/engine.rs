//! Reading and writing the database.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fjall::{AbstractTree, Database, Keyspace, PersistMode, Readable};
use storehouse_engine::{Engine, EngineStats, Fault, Limits, Span, Visit};
use storehouse_objectstore::{Operation, Result};

use crate::FjallOptions;
use crate::error::{fault, guarded};
use crate::journal;
use crate::open;
use crate::tree;

const READ: &str = "the database cannot be read";
const WRITE: &str = "the database cannot be written";
const COMPACT: &str = "the database cannot be compacted";

/// Write buffers that may wait for the disk before writers do. fjall would wait at four, for ever
/// if its threads have ended.
const MAX_SEALED: usize = 2;
/// Runs of unmerged tables before writers wait. fjall would wait at 30.
const MAX_RUNS: usize = 24;
/// A key that no record has.
const NO_KEY: &[u8] = b"\x01";
const WAIT: Duration = Duration::from_millis(2);

/// A fjall database as an [`Engine`]. Used through [`Fjall`](crate::Fjall).
pub struct FjallEngine {
    dir: PathBuf,
    options: FjallOptions,
    database: Database,
    records: Keyspace,
    compacting: Mutex<()>,
    stopped: AtomicBool,
}

impl fmt::Debug for FjallEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallEngine")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl FjallEngine {
    /// Whether fjall still writes. Its threads stop it when a table cannot be written or merged.
    fn check_alive(&self, what: &str) -> Result<(), Fault> {
        let alive = guarded(what, || self.database.persist(PersistMode::Buffer));
        alive.inspect_err(|_| self.stopped.store(true, Ordering::Release))
    }

    /// Waits until the disk has kept up.
    fn wait_for_disk(&self) -> Result<(), Fault> {
        while self.records.sealed_memtable_count() > MAX_SEALED
            || self.records.tree.l0_run_count() >= MAX_RUNS
        {
            self.check_alive(WRITE)?;
            std::thread::sleep(WAIT);
        }
        Ok(())
    }

    /// Waits until everything is in tables.
    fn flush(&self) -> Result<(), Fault> {
        guarded(COMPACT, || self.records.rotate_memtable())?;
        while self.records.sealed_memtable_count() > 0 {
            self.check_alive(COMPACT)?;
            std::thread::sleep(WAIT);
        }
        Ok(())
    }
}

impl Engine for FjallEngine {
    const NAME: &'static str = "fjall";
    const UNSYNCED_SURVIVES_PROCESS: bool = true;
    const KEEPS_DELETIONS: bool = true;

    type Options = FjallOptions;

    fn limits(options: &FjallOptions) -> Limits {
        options.limits()
    }

    fn open(
        dir: &Path,
        options: &FjallOptions,
        unused: bool,
        accept: &dyn Fn(&Self) -> Result<()>,
    ) -> Result<Self> {
        let failed = |fault: Fault| fault.into_error(Operation::Open, None);
        open::remove_unfinished(dir, unused).map_err(failed)?;
        if !options.salvage {
            tree::verify(&open::directory(dir)).map_err(failed)?;
        }
        let originals = journal::set_aside(&open::directory(dir)).map_err(failed)?;
        let opened = open::open(dir, options)
            .map_err(failed)
            .and_then(|(database, records)| {
                let engine = Self {
                    dir: dir.to_owned(),
                    options: *options,
                    database,
                    records,
                    compacting: Mutex::new(()),
                    stopped: AtomicBool::new(false),
                };
                accept(&engine)?;
                Ok(engine)
            });
        match opened {
            Ok(engine) => {
                originals.accept(options.salvage).map_err(failed)?;
                Ok(engine)
            }
            Err(error) => {
                originals.put_back();
                Err(error)
            }
        }
    }

    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault> {
        // By a snapshot, so that of a write that is just being applied nothing is seen.
        let value = guarded(READ, || self.database.snapshot().get(&self.records, key))?;
        Ok(value.map(|value| read(&value)))
    }

    fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault> {
        guarded(READ, || {
            let snapshot = self.database.snapshot();
            let mut range = snapshot.range::<&[u8], _>(&self.records, span.bounds());
            let mut next = || {
                if span.reverse {
                    range.next_back()
                } else {
                    range.next()
                }
            };
            while let Some(record) = next() {
                let (key, value) = record.into_inner()?;
                if visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn write(&self, changes: &[(&[u8], Option<&[u8]>)], sync: bool) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(fault(WRITE)(fjall::Error::Poisoned));
        }
        self.wait_for_disk()?;
        let written = guarded(WRITE, || {
            let mode = if sync {
                PersistMode::SyncData
            } else {
                PersistMode::Buffer
            };
            let mut batch =
                fjall::OwnedWriteBatch::with_capacity(self.database.clone(), changes.len());
            batch = batch.durability(Some(mode));
            for (key, value) in changes {
                match value {
                    Some(value) => batch.insert(&self.records, *key, *value),
                    None => batch.remove(&self.records, *key),
                }
            }
            batch.commit()
        });
        written.inspect_err(|_| self.stopped.store(true, Ordering::Release))
    }

    fn compact(&self) -> Result<(), Fault> {
        let _compacting = self
            .compacting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.flush()?;
        guarded(COMPACT, || self.records.major_compact())?;
        // fjall removes the files of tables that were merged when it begins the next write buffer.
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        batch.remove(&self.records, NO_KEY);
        guarded(COMPACT, || batch.commit())?;
        self.flush()
    }

    fn verify(&self) -> Result<Vec<String>, Fault> {
        // Every block of a table has a checksum, which a scan checks.
        Ok(Vec::new())
    }

    fn stats(&self) -> Result<EngineStats, Fault> {
        let disk = disk_usage(&open::directory(&self.dir));
        let disk = disk.map_err(|e| Fault::io("the files cannot be measured", e))?;
        let records = self.records.approximate_len() as u64;
        let memory = self.database.cache_size() + self.database.write_buffer_size();
        Ok(EngineStats {
            disk,
            records,
            memory,
        })
    }

    fn has_stopped(&self) -> bool {
        // fjall's threads stop it too.
        self.stopped.load(Ordering::Acquire) || self.check_alive(WRITE).is_err()
    }

    fn room_to_reopen(&self) -> u64 {
        // The log is copied, and its records are written to tables.
        let log = self.database.journal_disk_space().unwrap_or(0);
        2 * log + self.options.write_buffer
    }

    fn room_to_write(&self, _: u64, bytes: u64, only_removes: bool) -> u64 {
        // What lies in write buffers is written to tables, which are merged.
        let buffers = if only_removes { 1 } else { 4 };
        buffers * self.options.write_buffer + 2 * bytes
    }
}

/// The bytes that files below `dir` take up on the disk. Files may vanish meanwhile.
fn disk_usage(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes += disk_usage(&entry.path())?,
            Ok(metadata) => bytes += on_disk(&metadata),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn on_disk(metadata: &fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    // The log's files reserve space that they do not take up.
    metadata.blocks() * 512
}

#[cfg(not(unix))]
fn on_disk(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
