use serde::Serialize;

/// How far an import is.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// The database, by its directory.
    pub directory: &'static str,
    /// Its records that were read so far.
    pub read: u64,
}

/// What an import did, or would do.
///
/// ```
/// use storehouse_stores::import::ImportReport;
///
/// let report = ImportReport::default();
/// assert!(report.is_complete(), "no record failed");
/// ```
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// The databases that were there.
    pub databases: Vec<DatabaseReport>,
    /// Directories that are used where they lie, or have an import of their own.
    pub in_place: Vec<String>,
    /// What else lies there, and was left alone: databases that are none of ours (`publisher`,
    /// `aggregator`, `state`), and other files.
    pub others: Vec<String>,
}

/// What an import did with one database, or would do.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DatabaseReport {
    /// The database, by its directory.
    pub directory: &'static str,
    /// What was read of it: every record is counted in exactly one of the fields below.
    pub read: u64,
    /// Records imported, read back and compared; in a dry run those that would be. Both halves of
    /// an old consolidation count.
    pub imported: u64,
    /// Records that were there already, byte for byte, or are superseded by a newer form that is.
    pub present: u64,
    /// Index entries, which follow from records.
    pub index: u64,
    /// Records that could not be imported, and why: each has a line in `problems`.
    pub failed: u64,
    /// What is wrong with single records; of very many the first thousand.
    pub problems: Vec<Problem>,
}

/// What is wrong with one record.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// Its key in the database.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

const MAX_PROBLEMS: usize = 1000;

/// What became of a record.
#[derive(Debug)]
pub(super) enum ImportOutcome {
    Imported,
    Present,
    Failed(Problem),
}

impl DatabaseReport {
    pub(super) fn new(directory: &'static str) -> Self {
        Self {
            directory,
            read: 0,
            imported: 0,
            present: 0,
            index: 0,
            failed: 0,
            problems: Vec::new(),
        }
    }

    pub(super) fn count(&mut self, outcome: ImportOutcome) {
        match outcome {
            ImportOutcome::Imported => self.imported += 1,
            ImportOutcome::Present => self.present += 1,
            ImportOutcome::Failed(problem) => {
                self.failed += 1;
                if self.problems.len() < MAX_PROBLEMS {
                    self.problems.push(problem);
                }
            }
        }
    }
}

impl ImportReport {
    /// Whether every record was imported, or there already.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.databases.iter().all(|database| database.failed == 0)
    }
}

impl Problem {
    pub(super) fn because(key: &[u8], reason: impl Into<String>) -> ImportOutcome {
        ImportOutcome::Failed(Self {
            key: key.escape_ascii().to_string(),
            reason: reason.into(),
        })
    }

    /// With the causes of an error.
    pub(super) fn of(key: &[u8], error: &dyn std::error::Error) -> ImportOutcome {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Self::because(key, reason)
    }
}
