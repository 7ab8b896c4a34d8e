//! Reading a database on a thread of its own.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_formats::leveldb::Database;
use tokio::sync::mpsc;

use super::options::ImportOptions;
use super::report::Progress;
use crate::Result;

/// Which records a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Allocation,
    Acceptance,
    Delegation,
    Receipt,
    Consolidation,
}

/// How many records are read ahead.
const READ_AHEAD: usize = 256;
/// The number of records between two reports of progress.
const PROGRESS: u64 = 10_000;

/// A database to import.
#[derive(Debug)]
pub(super) struct SourceDatabase {
    pub(super) directory: &'static str,
    pub(super) kind: RecordKind,
    pub(super) database: Arc<Database>,
}

/// A record of a database: key and value.
pub(super) struct Found {
    pub(super) key: Vec<u8>,
    pub(super) value: Bytes,
}

impl Found {
    /// The key in a record store, if it is text.
    pub(super) fn name(&self) -> Option<&str> {
        std::str::from_utf8(&self.key).ok()?.strip_prefix('/')
    }
}

impl SourceDatabase {
    /// All records, in key order.
    pub(super) fn records(&self, options: &ImportOptions) -> BoxStream<'static, Result<Found>> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let (database, directory, progress) = (
            Arc::clone(&self.database),
            self.directory,
            options.progress.clone(),
        );
        tokio::task::spawn_blocking(move || {
            let tell = |read| {
                if let Some(progress) = &progress {
                    progress(&Progress { directory, read });
                }
            };
            let mut read = 0;
            let records = match database.records() {
                Ok(records) => records,
                Err(e) => return drop(sender.blocking_send(Err(e.into()))),
            };
            for record in records {
                let record = record.map(|(key, value)| Found {
                    key,
                    value: Bytes::copy_from_slice(&value),
                });
                if sender.blocking_send(record.map_err(Into::into)).is_err() {
                    // The receiver is gone.
                    return;
                }
                read += 1;
                if read % PROGRESS == 0 {
                    tell(read);
                }
            }
            tell(read);
        });
        stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        })
        .boxed()
    }
}
