//! A journal's directory: the open batch, the rotated ones and the acknowledgements. Everything
//! here blocks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use storehouse_formats::Cid;

use super::names;
use super::open_batch::{OpenBatch, write_small};
use super::options::{JournalOptions, Retention};
use super::recovery::LatestRecovery;
use super::reserve::Reserve;
use super::types::{BatchInfo, Status};
use crate::error::{Error, IoContext, Result};
use crate::files::{create_dirs, lock_dir, remove_if_there, sync_dir};

/// The directory, locked.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    acknowledged: PathBuf,
    options: JournalOptions,
    /// `None` if it could not be opened or begun; the next use tries again.
    open: Option<OpenBatch>,
    /// A batch was renamed or removed, and that is not known to be durable.
    unsynced_names: bool,
    /// An acknowledgement was written or removed, and that is not known to be durable.
    unsynced_acknowledgements: bool,
    /// Rotations so far.
    rotations: u64,
    background_error: Option<Error>,
    recovery: LatestRecovery,
    reserve: Reserve,
    lock: File,
}

impl Directory {
    /// On a full disk this succeeds without an open batch: what has rotated can be read and
    /// removed.
    pub(super) fn open(
        path: &Path,
        options: JournalOptions,
        recovery: LatestRecovery,
    ) -> Result<Self> {
        create_dirs(path)?;
        let lock = lock_dir(path)?;
        let mut directory = Self {
            path: path.to_owned(),
            acknowledged: path.join(names::ACKNOWLEDGED),
            options,
            open: None,
            // A rename or an acknowledgement may have been the last thing before a crash of the
            // process alone.
            unsynced_names: true,
            unsynced_acknowledgements: true,
            rotations: 0,
            background_error: None,
            recovery,
            reserve: Reserve::new(&path.join(names::RESERVE)),
            lock,
        };
        match create_dirs(&directory.acknowledged) {
            // The first acknowledgement tries again.
            Err(error) if error.is_full() => {}
            made => made?,
        }
        directory.forget_acknowledgements_of_removed()?;
        match directory.batch() {
            Ok(_) => directory.reserve.refill(),
            Err(error) if error.is_full() => directory.note(error),
            Err(error) => return Err(error),
        }
        Ok(directory)
    }

    /// The open batch; opened or begun now if there is none.
    pub(super) fn batch(&mut self) -> Result<&mut OpenBatch> {
        if self.open.is_none() {
            let (batch, recovery) = self.reserve.spend(|| OpenBatch::open(&self.path))?;
            if !recovery.is_clean() {
                self.recovery.set(recovery);
            }
            self.open = Some(batch);
        }
        self.open.as_mut().ok_or(Error::Invalid {
            reason: "the journal has no open batch",
        })
    }

    /// Whether the open batch has reached the size at which it rotates.
    pub(super) fn is_full(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|batch| batch.frames() > 0 && batch.len() >= self.options.rotate_at)
    }

    pub(super) fn options(&self) -> JournalOptions {
        self.options
    }

    pub(super) fn rotations(&self) -> u64 {
        self.rotations
    }

    pub(super) fn unsynced(&self) -> u64 {
        self.open.as_ref().map_or(0, OpenBatch::unsynced)
    }

    /// Makes the open batch durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        if let Some(batch) = &mut self.open
            && let Err(error) = batch.sync()
        {
            if batch.is_lost() {
                self.open = None;
            }
            return Err(error);
        }
        self.background_error = None;
        Ok(())
    }

    /// Takes back the frames that are not synced: their appends fail.
    pub(super) fn forget_unsynced(&mut self) {
        if let Some(batch) = &mut self.open {
            batch.forget_unsynced();
        }
    }

    /// Keeps an error that no caller waits for.
    pub(super) fn note(&mut self, error: Error) {
        self.background_error = Some(error);
    }

    /// Closes the open batch, if it has a frame. The crash steps are in `docs/reference/local.md`;
    /// in short, whatever a step leaves is either the open batch as it was or a rotated one that is
    /// pending.
    pub(super) fn rotate(&mut self) -> Result<Option<Cid>> {
        if self.batch()?.frames() == 0 {
            return Ok(None);
        }
        self.sync()?;
        let batch = self.batch()?;
        batch.stamp();
        let (cid, from) = (batch.cid(), batch.path().to_owned());
        let to = self.path.join(names::batch(&cid));
        // The same receipts may have rotated before, into the same file: they are to be handed over
        // again then.
        self.forget_acknowledgement(&cid)?;
        fs::rename(&from, &to).context("rotate", &from)?;
        self.open = None;
        self.unsynced_names = true;
        self.rotations += 1;
        self.background_error = None;
        self.sync_names()?;
        match self.batch() {
            Ok(_) => self.reserve.refill(),
            Err(error) => self.note(error),
        }
        Ok(Some(cid))
    }

    fn sync_names(&mut self) -> Result<()> {
        if self.unsynced_names {
            // By the handle that is open already, so that a missing descriptor is no obstacle.
            self.lock.sync_all().context("sync directory", &self.path)?;
            self.unsynced_names = false;
        }
        Ok(())
    }

    fn sync_acknowledgements(&mut self) -> Result<()> {
        if self.unsynced_acknowledgements && self.acknowledged.is_dir() {
            sync_dir(&self.acknowledged)?;
            self.unsynced_acknowledgements = false;
        }
        Ok(())
    }

    /// The rotated batches, oldest first. What it names is durable.
    pub(super) fn list(&mut self) -> Result<Vec<BatchInfo>> {
        self.sync_names()?;
        let mut batches = Vec::new();
        for entry in fs::read_dir(&self.path).context("list", &self.path)? {
            let entry = entry.context("list", &self.path)?;
            let Some(cid) = entry.file_name().to_str().and_then(names::parse_batch) else {
                continue;
            };
            let metadata = entry.metadata().context("read", &entry.path())?;
            if metadata.is_file() {
                let rotated = metadata.modified().context("read", &entry.path())?;
                batches.push(BatchInfo {
                    cid: cid.clone(),
                    size: metadata.len(),
                    rotated,
                    acknowledged: self.acknowledgement(&cid)?,
                });
            }
        }
        batches.sort_by_key(|batch| (batch.rotated, batch.cid.clone()));
        Ok(batches)
    }

    pub(super) fn acknowledge(&mut self, cid: &Cid) -> Result<()> {
        self.sync_names()?;
        let batch = self.batch_path(cid);
        if !names::is_car(cid) || !batch.is_file() {
            return Err(Error::BatchNotFound { cid: cid.clone() });
        }
        if self.acknowledgement(cid)?.is_none() {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs();
            let (name, text) = (cid.to_string(), format!("{now}\n"));
            self.unsynced_acknowledgements = true;
            self.reserve.spend(|| {
                create_dirs(&self.acknowledged)?;
                write_small(&self.acknowledged, &name, text.as_bytes())
            })?;
        }
        // Also if it was there: an earlier sync may have failed.
        self.sync_acknowledgements()
    }

    /// When the batch was acknowledged. An unreadable time counts as now: it was acknowledged, and
    /// the later it is removed the safer.
    fn acknowledgement(&self, cid: &Cid) -> Result<Option<SystemTime>> {
        let path = self.acknowledged.join(cid.to_string());
        match fs::read_to_string(&path) {
            Ok(text) => {
                let seconds = text.trim().parse().ok().map(Duration::from_secs);
                Ok(Some(
                    seconds
                        .and_then(|since| UNIX_EPOCH.checked_add(since))
                        .unwrap_or_else(SystemTime::now),
                ))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(Some(SystemTime::now())),
            Err(e) => Err(e).context("read", &path),
        }
    }

    fn forget_acknowledgement(&mut self, cid: &Cid) -> Result<()> {
        if remove_if_there(&self.acknowledged.join(cid.to_string()))? {
            self.unsynced_acknowledgements = true;
        }
        self.sync_acknowledgements()
    }

    /// A crash between the two steps of a removal leaves the acknowledgement of a batch that is
    /// gone.
    fn forget_acknowledgements_of_removed(&self) -> Result<()> {
        let entries = match fs::read_dir(&self.acknowledged) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.context("list", &self.acknowledged)?,
        };
        for entry in entries {
            let entry = entry.context("list", &self.acknowledged)?;
            let name = entry.file_name();
            let kept = name
                .to_str()
                .and_then(names::parse_cid)
                .is_some_and(|cid| self.batch_path(&cid).exists());
            if !kept && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes a batch: the file first, so that a crash in between cannot leave it there without
    /// its acknowledgement.
    pub(super) fn remove(&mut self, cid: &Cid) -> Result<()> {
        if !names::is_car(cid) {
            return Ok(());
        }
        if remove_if_there(&self.batch_path(cid))? {
            self.unsynced_names = true;
        }
        // Also if it was gone: an earlier sync may have failed.
        self.sync_names()?;
        self.forget_acknowledgement(cid)?;
        self.reserve.refill();
        Ok(())
    }

    pub(super) fn gc(&mut self, retention: Retention) -> Result<Vec<BatchInfo>> {
        let removed = retention.select(self.list()?, SystemTime::now());
        for batch in &removed {
            self.remove(&batch.cid)?;
        }
        Ok(removed)
    }

    pub(super) fn status(&mut self) -> Result<Status> {
        let background_error = self.background_error.clone();
        let recovery = self.recovery.get();
        let batch = self.batch()?;
        Ok(Status {
            size: batch.len(),
            frames: batch.frames(),
            unsynced: batch.unsynced(),
            since: batch.since(),
            background_error,
            recovery,
        })
    }

    /// Where a batch of this CID lies, if it is one.
    fn batch_path(&self, cid: &Cid) -> PathBuf {
        self.path.join(names::batch(cid))
    }
}

impl Directory {
    /// Syncs what is not synced, and gives the directory up.
    pub(super) fn close(mut self) -> Result<()> {
        self.sync()
    }
}

impl Drop for Directory {
    /// A last try, so that a clean end loses nothing under any policy. No caller can get its error:
    /// [`Directory::close`] reports it.
    fn drop(&mut self) {
        let _ = self.sync();
        // Closing the file would release the lock too, but not while a process that another thread
        // is just starting still shares it.
        let _ = self.lock.unlock();
    }
}
