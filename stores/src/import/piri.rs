//! The import: every database, record by record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_formats::leveldb::{Database, LevelDbError};
use storehouse_objectstore::ObjectStore;

use super::database::{RecordKind, SourceDatabase};
use super::options::ImportOptions;
use super::report::{DatabaseReport, ImportReport};
use super::{consolidations, receipts, record};
use crate::{Error, RecordStores, Result};

const DATABASES: [(&str, RecordKind); 6] = [
    ("allocation", RecordKind::Allocation),
    ("acceptance", RecordKind::Acceptance),
    ("claim", RecordKind::Delegation),
    ("receipt", RecordKind::Receipt),
    ("consolidation", RecordKind::Consolidation),
    (
        "egress_tracker/journal/consolidation",
        RecordKind::Consolidation,
    ),
];

/// What lies in a data directory and is opened, or imported, by others.
const IN_PLACE: [&str; 3] = ["pdp/datastore", "egress_tracker/journal", "wallet"];

/// Imports the records of the Piri node whose data directory is `data_dir`.
///
/// All its databases are opened, and closed to Piri, before the first record is written. Records
/// that cannot be decoded, and those whose place is taken by others, are named in the report and do
/// not stop it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::import::{self, ImportOptions};
/// use storehouse_stores::{Layout, RecordStores};
///
/// # let data_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/data_dir");
/// let stores = RecordStores::in_one(Memory::new(), &Layout::database())?;
/// let report = import::piri(data_dir, &stores, &ImportOptions::default()).await?;
/// assert!(report.databases.iter().any(|database| database.imported > 0));
///
/// // Once more: all of it is there.
/// let report = import::piri(data_dir, &stores, &ImportOptions::default()).await?;
/// assert!(report.databases.iter().all(|database| database.imported == 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`Error::NothingToImport`]; [`Error::LevelDb`], with in use if Piri is running; [`Error::Store`]
/// if the stores fail; [`Error::Compare`]. What was imported until then stays: repeat it.
pub async fn piri<S: ObjectStore>(
    data_dir: impl Into<PathBuf>,
    stores: &RecordStores<S>,
    options: &ImportOptions,
) -> Result<ImportReport> {
    let data_dir = data_dir.into();
    let (sources, mut report) = off_thread(move || look(&data_dir)).await?;
    report.dry_run = options.dry_run;
    for source in sources {
        let mut database = DatabaseReport::new(source.directory);
        match source.kind {
            RecordKind::Allocation => {
                record::import(
                    &source,
                    stores.allocations.records(),
                    options,
                    &mut database,
                )
                .await?
            }
            RecordKind::Acceptance => {
                record::import(
                    &source,
                    stores.acceptances.records(),
                    options,
                    &mut database,
                )
                .await?
            }
            RecordKind::Delegation => {
                record::import(
                    &source,
                    stores.delegations.records(),
                    options,
                    &mut database,
                )
                .await?
            }
            RecordKind::Receipt => {
                receipts::import(&source, &stores.receipts, options, &mut database).await?
            }
            RecordKind::Consolidation => {
                consolidations::import(&source, &stores.consolidations, options, &mut database)
                    .await?
            }
        }
        report.databases.push(database);
    }
    Ok(report)
}

/// Opens all databases there are, and names what else lies there.
fn look(data_dir: &Path) -> Result<(Vec<SourceDatabase>, ImportReport)> {
    let mut report = ImportReport::default();
    let mut sources = Vec::new();
    for (directory, kind) in DATABASES {
        match Database::open(data_dir.join(directory)) {
            Ok(database) => sources.push(SourceDatabase {
                directory,
                kind,
                database: Arc::new(database),
            }),
            Err(LevelDbError::NotADatabase { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    if sources.is_empty() {
        return Err(Error::NothingToImport {
            path: data_dir.to_owned(),
        });
    }
    report.in_place = IN_PLACE
        .iter()
        .filter(|directory| data_dir.join(directory).is_dir())
        .map(|directory| (*directory).to_owned())
        .collect();
    let entries = std::fs::read_dir(data_dir).map_err(|source| LevelDbError::Io {
        operation: "list",
        path: data_dir.to_owned(),
        source,
    })?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = DATABASES
            .iter()
            .map(|(directory, _)| *directory)
            .chain(IN_PLACE);
        if !known
            .into_iter()
            .any(|directory| directory.split('/').next() == Some(name.as_str()))
        {
            report.others.push(name);
        }
    }
    report.others.sort_unstable();
    Ok((sources, report))
}

/// Runs what blocks on a thread that may.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}
