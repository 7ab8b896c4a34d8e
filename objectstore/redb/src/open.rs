//! Opening and making the file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};
use storehouse_engine::Fault;

use crate::RedbOptions;
use crate::disk::Disk;
use crate::error::guarded;
use crate::tree;

/// An open database.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// `None` while it is dropped.
    database: Option<Database>,
    pub(crate) disk: Disk,
}

impl OpenFile {
    pub(crate) fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::DatabaseClosed)
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let database = self.database.take();
        // Closing reads pages, and redb panics on some that are damaged. The file is then as after
        // a crash.
        let _ = guarded("the database cannot be closed", || {
            drop(database);
            Ok(())
        });
    }
}

/// The one table.
pub(crate) const RECORDS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

const MAGIC: &[u8; 9] = b"redb\x1A\x0A\xA9\x0D\x0A";

/// The database's file.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("records.redb")
}

/// The file that a compaction writes.
pub(crate) fn new_file(dir: &Path) -> PathBuf {
    dir.join("records.redb.new")
}

/// Opens the database in `dir`, or makes one. On a full disk one that is there may be open to be
/// read alone.
pub(crate) fn open(dir: &Path, options: &RedbOptions, unused: bool) -> Result<OpenFile, Fault> {
    let path = file(dir);
    remove(&new_file(dir))?;
    let begun =
        starts_with_magic(&path).map_err(|e| Fault::io("records.redb cannot be read", e))?;
    match begun {
        // A crash came before the file was whole.
        Some(false) if unused => remove(&path)?,
        Some(false) => return Err(Fault::damaged("records.redb is no redb database")),
        None if !unused => return Err(Fault::damaged("records.redb is missing")),
        _ => {}
    }
    tree::verify(&path)?;
    let opened = open_file(&path, options, begun == Some(true))?;
    sync_dir(dir)?;
    Ok(opened)
}

/// Makes the database `path`, with the table in it.
pub(crate) fn create(path: &Path, options: &RedbOptions) -> Result<OpenFile, Fault> {
    open_file(path, options, false)
}

fn open_file(path: &Path, options: &RedbOptions, lenient: bool) -> Result<OpenFile, Fault> {
    guarded("the database cannot be opened", || {
        let mut how = File::options();
        how.read(true).write(true).create(true).truncate(false);
        let disk = Disk::new(how.open(path)?, lenient)?;
        let database = Database::builder()
            .set_cache_size(options.cache)
            .create_with_backend(disk.clone())?;
        let writing = database.begin_write()?;
        let missing = writing.list_tables()?.next().is_none();
        if missing {
            writing.open_table(RECORDS)?;
            writing.commit()?;
        } else {
            writing.abort()?;
        }
        disk.opened();
        let database = Some(database);
        Ok(OpenFile { database, disk })
    })
}

/// Makes names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Fault> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| Fault::io("the directory cannot be synced", e))
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Fault::io(
            format!("{} cannot be removed", path.display()),
            e,
        )),
        _ => Ok(()),
    }
}

/// Whether the file starts as a database does; `None` if there is no file.
fn starts_with_magic(path: &Path) -> io::Result<Option<bool>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut start = Vec::new();
    file.by_ref()
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    Ok(Some(start == MAGIC))
}
