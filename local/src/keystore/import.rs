//! Keys from a Piri node's `wallet` database.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_engine::blocking;
use storehouse_formats::leveldb::{Database, LevelDbError};

use super::contract::{KeyStore, PutKey, check_size};
use super::name::KeyName;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Where Piri keeps its keys in the database.
const PREFIX: &str = "/keystore/";

/// How keys are imported.
///
/// ```
/// use storehouse_local::keystore::ImportOptions;
///
/// assert!(ImportOptions::default().dry_run(true).dry_run);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Only look: report what an import would do. Default: `false`.
    pub dry_run: bool,
}

impl ImportOptions {
    /// Only looking, or not.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Keys imported now.
    pub imported: Vec<KeyName>,
    /// Keys that the store held already, byte for byte.
    pub present: Vec<KeyName>,
    /// Records of the database that are no keys.
    pub others: usize,
}

/// Imports the keys of the LevelDB database in `wallet` (`/keystore/{name}` → bytes), which is only
/// read: no file of it is changed or created, and no copy of it is made.
///
/// All of it is checked before the first key is put, and an import can be repeated: what is there
/// already, byte for byte, stays.
///
/// # Errors
/// [`Error::InUse`] if Piri has the database open, [`Error::Damaged`] or [`Error::Io`] if it cannot
/// be read, [`Error::InvalidName`] or [`Error::InvalidKey`] if a key does not fit the store,
/// [`Error::ImportConflict`] if the store has another key of the same name; those of
/// [`KeyStore::put`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let wallet = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/wallet");
/// use storehouse_local::keystore::{ImportOptions, KeyStore, MemoryKeyStore, import_piri_wallet};
///
/// let keys = MemoryKeyStore::new();
/// let report = import_piri_wallet(&wallet, &keys, ImportOptions::default()).await?;
/// assert_eq!(report.imported.len(), keys.list().await?.len());
/// # Ok::<(), storehouse_local::Error>(())
/// # }).unwrap();
/// ```
pub async fn import_piri_wallet(
    wallet: impl Into<PathBuf>,
    store: &dyn KeyStore,
    options: ImportOptions,
) -> Result<ImportReport> {
    let wallet = wallet.into();
    let records = blocking(move || read(&wallet)).await??;
    let mut report = ImportReport::default();
    let mut new: Vec<(KeyName, Secret)> = Vec::new();
    for (key, value) in records {
        let Some(name) = key.strip_prefix(PREFIX.as_bytes()) else {
            report.others += 1;
            continue;
        };
        let name: KeyName = String::from_utf8_lossy(name).parse()?;
        check_size(&value)?;
        if !store.has(&name).await? {
            new.push((name, value));
        } else if store.get(&name).await?.expose() == value.expose() {
            report.present.push(name);
        } else {
            return Err(Error::ImportConflict {
                name: name.to_string(),
            });
        }
    }
    for (name, key) in new {
        if !options.dry_run {
            store.put(&name, &key, PutKey::Create).await?;
        }
        report.imported.push(name);
    }
    Ok(report)
}

/// All live records of the database. Values stay secret on their way: the reader wipes what it held
/// of them.
fn read(wallet: &Path) -> Result<BTreeMap<Vec<u8>, Secret>> {
    let database = Database::open(wallet)?;
    let mut records = BTreeMap::new();
    for record in database.records()? {
        let (key, value) = record?;
        records.insert(key, Secret::from(value));
    }
    Ok(records)
}

impl From<LevelDbError> for Error {
    fn from(error: LevelDbError) -> Self {
        match error {
            LevelDbError::InUse { path } => Self::InUse { path },
            LevelDbError::Damaged { path, reason } => Self::damaged(&path, reason),
            LevelDbError::Io {
                operation,
                path,
                source,
            } => Self::Io {
                operation,
                path,
                source: Arc::new(source),
            },
            LevelDbError::NotADatabase { path } => Self::Io {
                operation: "open",
                path: path.join("CURRENT"),
                source: Arc::new(io::ErrorKind::NotFound.into()),
            },
            // Kinds that are yet to come name their files in their texts.
            other => Self::damaged(Path::new("wallet"), other.to_string()),
        }
    }
}
