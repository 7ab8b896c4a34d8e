//! The batch that is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ipld_core::cid::Cid;
use sha2::{Digest, Sha256};

use super::names::{self, HEADER};
use super::scan::{Recovery, Scan, SetAside, scan};
use crate::error::{IoContext, Result};
use crate::files::sync_dir;

/// How much of the batch there is, in frames.
#[derive(Clone, Debug)]
struct Extent {
    len: u64,
    frames: u64,
    /// The running hash over `len` bytes.
    hash: Sha256,
}

/// The open batch. Its invariant: the file's first `extent.len` bytes are its header and whole
/// frames, and `extent.hash` is over just these; what lies behind them, if anything does, is the
/// rest of a failed write, and is cut off before the next one.
#[derive(Debug)]
pub(super) struct OpenBatch {
    file: File,
    path: PathBuf,
    extent: Extent,
    synced: Extent,
    since: SystemTime,
    /// A write failed and what it left could not be cut off yet.
    ragged: bool,
    /// A sync failed: the kernel may hold the unsynced bytes for clean, so they have to be written
    /// again.
    rewrite: bool,
}

impl OpenBatch {
    /// Opens the batch in `dir`, or creates it, mending what a crash left of it.
    pub(super) fn open(dir: &Path) -> Result<(Self, Recovery)> {
        let path = dir.join(names::OPEN);
        let mut recovery = Recovery::default();
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Ok((Self::create(dir, path)?, recovery));
            }
            Err(e) => return Err(e).context("open", &path),
        };
        match scan(&file, &path)? {
            Scan::Whole {
                len,
                frames,
                hash,
                file_len,
            } => {
                let metadata = file.metadata().context("read", &path)?;
                let since = metadata
                    .created()
                    .or_else(|_| metadata.modified())
                    .unwrap_or_else(|_| SystemTime::now());
                let extent = Extent { len, frames, hash };
                let mut batch = Self {
                    file,
                    path,
                    synced: extent.clone(),
                    extent,
                    since,
                    ragged: file_len > len,
                    rewrite: false,
                };
                recovery.torn = file_len - len;
                batch.cut_off()?;
                if len == 0 {
                    batch.write_whole(&HEADER)?;
                }
                batch.file.sync_all().context("sync", &batch.path)?;
                sync_dir(dir)?;
                batch.synced = batch.extent.clone();
                Ok((batch, recovery))
            }
            Scan::Damaged {
                offset,
                frames,
                reason,
            } => {
                let aside = set_aside(dir, &path)?;
                recovery.set_aside = Some(SetAside {
                    path: aside,
                    frames,
                    offset,
                    reason,
                });
                Ok((Self::create(dir, path)?, recovery))
            }
        }
    }

    fn create(dir: &Path, path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .context("create", &path)?;
        let extent = Extent {
            len: 0,
            frames: 0,
            hash: Sha256::new(),
        };
        let mut batch = Self {
            file,
            path,
            synced: extent.clone(),
            extent,
            since: SystemTime::now(),
            ragged: false,
            rewrite: false,
        };
        batch.write_whole(&HEADER)?;
        batch.file.sync_all().context("sync", &batch.path)?;
        sync_dir(dir)?;
        batch.synced = batch.extent.clone();
        Ok(batch)
    }

    /// Writes a frame, with one call. After an error the batch is as it was before. Returns where
    /// the frame begins.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<u64> {
        let offset = self.extent.len;
        self.write_whole(frame)?;
        self.extent.frames += 1;
        Ok(offset)
    }

    fn write_whole(&mut self, bytes: &[u8]) -> Result<()> {
        self.cut_off()?;
        match self.file.write_all_at(bytes, self.extent.len) {
            Ok(()) => {
                self.extent.len += bytes.len() as u64;
                self.extent.hash.update(bytes);
                Ok(())
            }
            Err(e) => {
                self.ragged = true;
                // If this fails too, the next write tries again before it writes anything.
                let _ = self.cut_off();
                Err(e).context("append to", &self.path)
            }
        }
    }

    fn cut_off(&mut self) -> Result<()> {
        if self.ragged {
            self.file
                .set_len(self.extent.len)
                .context("truncate", &self.path)?;
            self.ragged = false;
        }
        Ok(())
    }

    /// Makes all frames durable. After an error none of the unsynced ones can be relied on; they
    /// are still there, and the next sync writes them again.
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.unsynced() == 0 {
            return Ok(());
        }
        self.cut_off()?;
        if self.rewrite {
            self.write_unsynced_again()
                .context("write again", &self.path)?;
        }
        self.rewrite = true;
        self.file.sync_data().context("sync", &self.path)?;
        self.rewrite = false;
        self.synced = self.extent.clone();
        Ok(())
    }

    fn write_unsynced_again(&self) -> io::Result<()> {
        let mut piece = vec![0; 1 << 20];
        let mut offset = self.synced.len;
        while offset < self.extent.len {
            let size = piece.len().min((self.extent.len - offset) as usize);
            self.file.read_exact_at(&mut piece[..size], offset)?;
            self.file.write_all_at(&piece[..size], offset)?;
            offset += size as u64;
        }
        Ok(())
    }

    /// Takes back every frame that is not synced.
    pub(super) fn forget_unsynced(&mut self) {
        if self.unsynced() > 0 {
            self.extent = self.synced.clone();
            self.ragged = true;
            self.rewrite = false;
            let _ = self.cut_off();
        }
    }

    /// Gives the file the present as its time of modification, in full precision: by itself it gets
    /// that of the kernel's last tick, and batches that rotate within one would have no order.
    /// Without it nothing is wrong but that.
    pub(super) fn stamp(&self) {
        let _ = self.file.set_modified(SystemTime::now());
    }

    /// The CID of the batch as it is now.
    pub(super) fn cid(&self) -> Cid {
        names::cid(self.extent.hash.clone().finalize().into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn len(&self) -> u64 {
        self.extent.len
    }

    pub(super) fn frames(&self) -> u64 {
        self.extent.frames
    }

    pub(super) fn unsynced(&self) -> u64 {
        self.extent.len - self.synced.len
    }

    pub(super) fn since(&self) -> SystemTime {
        self.since
    }
}

/// Renames a damaged batch, replacing nothing.
fn set_aside(dir: &Path, path: &Path) -> Result<PathBuf> {
    let mut n = 1;
    loop {
        let aside = dir.join(names::set_aside(n));
        // A link fails where a rename would replace. A crash between the two calls leaves both
        // names; the next opening makes one more link, so that nothing is lost.
        match fs::hard_link(path, &aside) {
            Ok(()) => {
                fs::remove_file(path).context("set aside", path)?;
                sync_dir(dir)?;
                return Ok(aside);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            Err(e) => return Err(e).context("set aside", path),
        }
    }
}

/// Writes a small file that is durable when this returns, replacing what was there.
pub(super) fn write_durably(dir: &Path, name: &str, contents: &[u8]) -> Result<()> {
    let temporary = dir.join(format!(".{name}.tmp"));
    let target = dir.join(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.context("write", &target)?;
    sync_dir(dir)
}
