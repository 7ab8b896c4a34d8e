//! Opening and making the file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};
use storehouse_engine::Fault;

use crate::RedbOptions;
use crate::error::guarded;

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

/// Opens the database in `dir`, or makes one.
pub(crate) fn open(dir: &Path, options: &RedbOptions, unused: bool) -> Result<Database, Fault> {
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
    let database = create(&path, options)?;
    sync_dir(dir)?;
    Ok(database)
}

/// Opens the database `path`, or makes one with the table in it.
pub(crate) fn create(path: &Path, options: &RedbOptions) -> Result<Database, Fault> {
    guarded("the database cannot be opened", || {
        let database = Database::builder()
            .set_cache_size(options.cache)
            .create(path)?;
        let writing = database.begin_write()?;
        let missing = writing.list_tables()?.next().is_none();
        if missing {
            writing.open_table(RECORDS)?;
            writing.commit()?;
        } else {
            writing.abort()?;
        }
        Ok(database)
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
