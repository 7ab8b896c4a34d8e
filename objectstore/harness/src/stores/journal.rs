//! The journal: a key is a frame, and a batch that was handed over is removed with all its frames.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use storehouse_local::journal::{BatchReader, FsJournal, Journal, JournalOptions};

use super::op::{Read, tell};
use super::{Mode, Op, OpOutcome, Store, Traits};
use crate::content::key_of;

/// The open batch, by its name on the disk.
const OPEN_BATCH: &str = "egress.car.wip";

/// The largest batch that is read, in bytes.
const LIMIT: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct JournalStore {
    journal: FsJournal,
    dir: PathBuf,
    /// The batch that goes next.
    removable: Mutex<Option<Vec<u8>>>,
}

impl JournalStore {
    pub(super) async fn open(dir: &Path, options: JournalOptions) -> Result<Self, String> {
        let journal = FsJournal::open(dir, options).await.map_err(|e| tell(&e))?;
        Ok(Self {
            journal,
            dir: dir.to_owned(),
            removable: Mutex::default(),
        })
    }

    async fn oldest(&self) -> Option<Vec<String>> {
        let oldest = self.journal.pending().await.ok()?.into_iter().next()?.cid;
        let bytes = self
            .journal
            .get_batch(&oldest)
            .await
            .ok()?
            .collect(LIMIT)
            .await
            .ok()?;
        let frames = frames(&bytes[..]).ok()?;
        *self
            .removable
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(oldest.as_bytes().to_vec());
        Some(frames.into_iter().map(|(key, _)| key).collect())
    }

    async fn write(&self, op: &Op) -> Result<(), String> {
        if op.mode == Mode::Delete {
            let cid = self
                .removable
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let cid = cid.ok_or("no batch to remove")?;
            let cid = cid.as_slice().try_into().map_err(|_| "no CID")?;
            self.journal.acknowledge(&cid).await.map_err(|e| tell(&e))?;
            return self.journal.remove(&cid).await.map_err(|e| tell(&e));
        }
        let (key, size) = op.single();
        let appended = self
            .journal
            .append(op.object(key, size.unwrap_or(0)))
            .await
            .map_err(|e| tell(&e))?;
        // The frame is in the journal, whatever became of the rotation.
        drop(appended);
        Ok(())
    }
}

/// The frames of a batch. One that is damaged is an error of a key without a name.
fn frames(batch: impl std::io::Read) -> Result<Vec<Read>, String> {
    let reader = BatchReader::new(batch).map_err(|e| tell(&e))?;
    Ok(reader
        .map(|frame| match frame {
            Ok(frame) => (
                key_of(&frame.archive).unwrap_or("?").to_owned(),
                Ok(frame.archive),
            ),
            Err(e) => ("?".to_owned(), Err(tell(&e))),
        })
        .collect())
}

impl Store for JournalStore {
    fn traits(&self) -> Traits {
        Traits {
            appends: true,
            ..Traits::default()
        }
    }

    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, OpOutcome> {
        self.write(op)
            .map(|written| written.map_or_else(OpOutcome::Failed, |()| OpOutcome::Done))
            .boxed()
    }

    fn read<'a>(&'a self, _key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, String>> {
        async { Ok(None) }.boxed()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Read>, String>> {
        async {
            let mut all = Vec::new();
            for batch in self.journal.list().await.map_err(|e| tell(&e))? {
                let bytes = self
                    .journal
                    .get_batch(&batch.cid)
                    .await
                    .map_err(|e| tell(&e))?;
                all.extend(frames(
                    &bytes.collect(LIMIT).await.map_err(|e| tell(&e))?[..],
                )?);
            }
            match std::fs::read(self.dir.join(OPEN_BATCH)) {
                // Of a batch that could be made and not written, and not removed either.
                Ok(open) if open.is_empty() => {}
                Ok(open) => all.extend(frames(&open[..])?),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(format!("{OPEN_BATCH}: {e}")),
            }
            Ok(all)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        async {
            Ok(self
                .journal
                .recovery()
                .set_aside
                .iter()
                .map(|found| format!("{found:?}"))
                .collect())
        }
        .boxed()
    }

    fn removable(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        self.oldest().boxed()
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        async { self.journal.sync().await.map_err(|e| tell(&e)) }.boxed()
    }
}
