//! Opening and making the database.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use storehouse_engine::Fault;

use crate::FjallOptions;
use crate::error::guarded;

const KEYSPACE: &str = "records";

/// Threads that write tables and merge them. Of two, one writes while the other merges.
const WORKERS: usize = 2;

/// The size of a table on the disk. The first level that is merged holds four of them, so what was
/// replaced and not merged yet takes up little.
const TABLE: u64 = 16 << 20;

/// The most tables whose files are kept open.
const OPEN_FILES: usize = 128;

/// The most bytes of logs: fjall writes a table early if there would be more.
const MAX_LOG: u64 = 192 << 20;

/// The directory of the database.
pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("fjall")
}

/// Removes what a crash left of making a database, if nothing in it was ever acknowledged.
pub(crate) fn remove_unfinished(dir: &Path, unused: bool) -> Result<(), Fault> {
    let path = directory(dir);
    let exists = |path: &Path| {
        path.try_exists()
            .map_err(|e| Fault::io(format!("{} cannot be read", path.display()), e))
    };
    // fjall writes this file last.
    if exists(&path.join("version"))? {
        return Ok(());
    }
    if !unused {
        return Err(Fault::damaged(format!(
            "{}: the database is missing",
            path.display()
        )));
    }
    match fs::remove_dir_all(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Fault::io(
            format!("{} cannot be removed", path.display()),
            e,
        )),
        _ => Ok(()),
    }
}

/// Opens the database in `dir`, or makes one.
pub(crate) fn open(dir: &Path, options: &FjallOptions) -> Result<(Database, Keyspace), Fault> {
    let opened = guarded("the database cannot be opened", || {
        let database = Database::builder(directory(dir))
            .cache_size(options.cache)
            .max_journaling_size(MAX_LOG)
            .worker_threads(WORKERS)
            .max_cached_files(Some(OPEN_FILES))
            .manual_journal_persist(true)
            .open()?;
        let records = database.keyspace(KEYSPACE, || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.write_buffer)
                .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(TABLE)))
                .manual_journal_persist(true)
        })?;
        database.persist(PersistMode::SyncAll)?;
        Ok((database, records))
    })?;
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| Fault::io("the directory cannot be synced", e))?;
    Ok(opened)
}
