//! The batch that is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use storehouse_formats::Cid;

use super::names::{self, HEADER};
use super::recovery::{Recovery, SetAside};
use super::scan::{Damage, Piece, Scan, scan};
use crate::error::{IoContext, Result};
use crate::files::{remove_if_there, sync_dir};

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
    /// Unsynced frames are no longer in the file. Opening it again finds out what is left.
    lost: bool,
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
        match scan(&file).context("read", &path)? {
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
                    lost: false,
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
            Scan::Damaged(damage) => {
                let (batch, aside) = Self::salvage(dir, &path, &file, damage)?;
                recovery.set_aside = Some(aside);
                Ok((batch, recovery))
            }
        }
    }

    /// Writes a new batch of what can be kept of a damaged one, which is set aside. The damaged
    /// file keeps its name until the new batch is durable, so a crash or an error leaves no less
    /// than there was.
    fn salvage(
        dir: &Path,
        path: &Path,
        damaged: &File,
        damage: Damage,
    ) -> Result<(Self, SetAside)> {
        let temporary = dir.join(names::SALVAGED);
        remove_if_there(&temporary)?;
        let salvaged = Self::create(dir, temporary.clone()).and_then(|mut batch| {
            for piece in &damage.pieces {
                batch.copy(damaged, path, piece)?;
            }
            batch.file.sync_all().context("sync", &temporary)?;
            let aside = keep_aside(dir, path, damaged)?;
            fs::rename(&temporary, path).context("replace", path)?;
            sync_dir(dir)?;
            batch.path = path.to_owned();
            batch.synced = batch.extent.clone();
            Ok((batch, aside))
        });
        let (batch, aside) = match salvaged {
            Ok(salvaged) => salvaged,
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return Err(error);
            }
        };
        let aside = SetAside {
            path: aside,
            frames: damage.frames(),
            lost: damage.lost,
            offset: damage.offset,
            reason: damage.reason.into(),
            complete: damage.searched,
        };
        Ok((batch, aside))
    }

    /// Appends what can be kept of a damaged batch.
    fn copy(&mut self, damaged: &File, path: &Path, piece: &Piece) -> Result<()> {
        match piece {
            Piece::Frames { range, frames } => {
                let mut at = range.start;
                while at < range.end {
                    let size = (range.end - at).min(1 << 20);
                    self.write_whole(&read(damaged, path, at..at + size)?)?;
                    at += size;
                }
                self.extent.frames += frames;
                Ok(())
            }
            Piece::Archive { data, sha256 } => {
                let archive = read(damaged, path, data.clone())?;
                self.append(&names::frame(*sha256, &archive)).map(|_| ())
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
            lost: false,
        };
        let made = batch
            .write_whole(&HEADER)
            .and_then(|()| batch.file.sync_all().context("sync", &batch.path))
            .and_then(|()| sync_dir(dir));
        if let Err(error) = made {
            // A batch without its header is none: on a full disk it would be all that readers find.
            let _ = fs::remove_file(&batch.path);
            return Err(error);
        }
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
        if self.rewrite
            && !self
                .write_unsynced_again()
                .context("write again", &self.path)?
        {
            self.lost = true;
            let lost = io::Error::other("unsynced frames are no longer in the file");
            return Err(lost).context("sync", &self.path);
        }
        self.rewrite = true;
        self.file.sync_data().context("sync", &self.path)?;
        self.rewrite = false;
        self.synced = self.extent.clone();
        Ok(())
    }

    /// Whether the bytes still are those that were appended: after a failed sync, what the kernel
    /// held may be gone.
    fn write_unsynced_again(&self) -> io::Result<bool> {
        let mut piece = vec![0; 1 << 20];
        let mut offset = self.synced.len;
        let mut hash = self.synced.hash.clone();
        while offset < self.extent.len {
            let size = piece.len().min((self.extent.len - offset) as usize);
            self.file.read_exact_at(&mut piece[..size], offset)?;
            hash.update(&piece[..size]);
            self.file.write_all_at(&piece[..size], offset)?;
            offset += size as u64;
        }
        Ok(hash.finalize() == self.extent.hash.clone().finalize())
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

    /// Whether the batch has to be opened again, because frames vanished from its file.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
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

/// Gives a damaged batch a second name, which none had before.
fn keep_aside(dir: &Path, path: &Path, damaged: &File) -> Result<PathBuf> {
    let file = damaged.metadata().context("read", path)?;
    let mut n = 1;
    loop {
        let aside = dir.join(names::set_aside(n));
        match fs::hard_link(path, &aside) {
            Ok(()) => {
                sync_dir(dir)?;
                return Ok(aside);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                // An opening that did not come to its end may have linked the file already.
                let other = fs::symlink_metadata(&aside).context("read", &aside)?;
                if (other.dev(), other.ino()) == (file.dev(), file.ino()) {
                    return Ok(aside);
                }
                n += 1;
            }
            Err(e) => return Err(e).context("set aside", path),
        }
    }
}

fn read(file: &File, path: &Path, range: Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; (range.end - range.start) as usize];
    file.read_exact_at(&mut bytes, range.start)
        .context("read", path)?;
    Ok(bytes)
}

/// Writes a small file, replacing what was there. Its name is not synced.
pub(super) fn write_small(dir: &Path, name: &str, contents: &[u8]) -> Result<()> {
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
    written.context("write", &target)
}
