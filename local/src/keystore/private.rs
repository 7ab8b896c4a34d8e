//! Directories and files that their owner alone may use.

use std::fs::{self, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

use crate::error::{Error, IoContext, Result};
use crate::secret::Secret;

/// The mode of a file of a key.
pub(super) const FILE_MODE: u32 = 0o600;
/// The mode of the directory.
pub(super) const DIR_MODE: u32 = 0o700;

/// Who may have access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The group, and root as the owner.
    pub(super) group: bool,
}

impl Access {
    /// Opens the directory. A symbolic link to one is refused.
    pub(super) fn open_dir(self, path: &Path) -> Result<File> {
        self.check_dir(path)?;
        let dir = open(path, OFlags::DIRECTORY).context("open directory", path)?;
        self.check(path, &dir.metadata().context("read", path)?, DIR_MODE)?;
        Ok(dir)
    }

    /// Checks the directory's kind, owner and mode.
    pub(super) fn check_dir(self, path: &Path) -> Result<()> {
        let metadata = fs::symlink_metadata(path).context("read", path)?;
        if !metadata.is_dir() {
            return Err(wrong_kind(path, metadata.file_type(), "a directory"));
        }
        self.check(path, &metadata, DIR_MODE)
    }

    /// The bytes of a regular file of at most `limit` bytes. `None` if there is none. Nothing else
    /// than a regular file is opened: a FIFO would block, and a device could do anything.
    pub(super) fn read(self, path: &Path, limit: usize) -> Result<Option<Secret>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context("read", path),
        };
        if !found.is_file() {
            return Err(wrong_kind(path, found.file_type(), "a regular file"));
        }
        // The flags are for something else that takes the file's place right now.
        let mut file = match open(path, OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context("open", path),
        };
        let metadata = file.metadata().context("read", path)?;
        if !metadata.is_file() {
            return Err(wrong_kind(path, metadata.file_type(), "a regular file"));
        }
        self.check(path, &metadata, FILE_MODE)?;
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if size > limit {
            return Err(Error::damaged(
                path,
                "it is larger than the file of any key",
            ));
        }
        // Filled in place: a buffer that grows would leave copies behind.
        let mut contents = Zeroizing::new(vec![0; size]);
        file.read_exact(&mut contents).context("read", path)?;
        Ok(Some(contents.into()))
    }

    fn check(self, path: &Path, metadata: &Metadata, mode: u32) -> Result<()> {
        let (owner, user) = (metadata.uid(), geteuid().as_raw());
        if owner != user && !(self.group && owner == 0) {
            return Err(Error::ForeignOwner {
                path: path.to_owned(),
                owner,
                user,
                fix: format!("chown {user} {}", quoted(path)),
            });
        }
        let refused = if self.group { 0o007 } else { 0o077 };
        let found = metadata.permissions().mode();
        if found & refused == 0 {
            return Ok(());
        }
        Err(Error::Exposed {
            path: path.to_owned(),
            mode: found & 0o7777,
            fix: format!("chmod {mode:o} {}", quoted(path)),
        })
    }
}

/// Opens for reading. A symbolic link is not followed.
fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = (flags | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn wrong_kind(path: &Path, found: FileType, wanted: &'static str) -> Error {
    let found = if found.is_symlink() {
        "a symbolic link"
    } else if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a FIFO"
    } else if found.is_socket() {
        "a socket"
    } else if found.is_file() {
        "a regular file"
    } else {
        "a device"
    };
    Error::FileKind {
        path: path.to_owned(),
        found,
        wanted,
    }
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// Creates the file with its final mode: there is no moment at which others may open it, whatever
/// the umask.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Creates a file with these contents, durably.
pub(super) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    // A umask can only have taken bits away; the owner needs these.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(contents)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run under umask 0 by `tests/keystore`, where nothing but the mode given at creation keeps
    /// others out.
    #[test]
    fn files_are_created_private() {
        let dir = tempfile::tempdir().unwrap();
        let file = create(&dir.path().join("key")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0);
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
