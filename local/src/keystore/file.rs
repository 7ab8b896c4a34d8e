//! Keys in files.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::contract::{KeyStore, PutKey, check_size};
use super::format::{self, MAX_FILE, SealCost};
use super::name::KeyName;
use crate::error::{Error, IoContext, Result};
use crate::files::{create_dirs, off_thread, random, sync_dir};
use crate::secret::Secret;

const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;
/// What nobody but the owner may have.
const OTHERS: u32 = 0o077;
const SUFFIX: &str = ".key";
/// A name cannot begin with a dot, so no key is taken for a temporary file.
const TEMPORARY: &str = ".new-";

/// How a store of key files is opened.
#[derive(Clone, Debug, Default)]
pub struct FileKeyStoreOptions {
    /// Seals what is put and opens what is sealed. Without one, keys are put as they are, and
    /// sealed ones cannot be read. Keys that lie there unsealed are read either way.
    pub passphrase: Option<Secret>,
    /// What sealing costs. Opening costs what the file says.
    pub cost: SealCost,
}

/// A [`KeyStore`] in a directory: one file a key, `{name}.key`, mode 0600 in a directory of mode
/// 0700.
///
/// A directory or file that others than its owner may use is refused, with the command that mends
/// it. Clones are handles on the same store. Several processes may share a directory: every change
/// is atomic, and changes are made one at a time, under a lock on the directory.
#[derive(Clone, Debug)]
pub struct FileKeyStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    options: FileKeyStoreOptions,
}

impl FileKeyStore {
    /// Opens the store in `dir`; creates the directory if it is not there. Temporary files that a
    /// crash left are removed.
    ///
    /// # Errors
    /// [`Error::Exposed`], [`Error::Invalid`] (the cost is out of its bounds, the passphrase is
    /// empty), [`Error::Io`], [`Error::Stopped`].
    pub async fn open(dir: impl Into<PathBuf>, options: FileKeyStoreOptions) -> Result<Self> {
        options.cost.check()?;
        if options.passphrase.as_ref().is_some_and(Secret::is_empty) {
            return Err(Error::Invalid {
                reason: "the passphrase is empty",
            });
        }
        let inner = Arc::new(Inner {
            dir: dir.into(),
            options,
        });
        let store = Self(inner.clone());
        off_thread(move || inner.prepare()).await?;
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.dir
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        off_thread(move || work(&inner)).await
    }
}

impl KeyStore for FileKeyStore {
    fn put<'a>(
        &'a self,
        name: &'a KeyName,
        key: &'a Secret,
        mode: PutKey,
    ) -> BoxFuture<'a, Result<()>> {
        let (name, key) = (name.clone(), key.clone());
        Box::pin(self.blocking(move |inner| inner.put(&name, &key, mode)))
    }

    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>> {
        let name = name.clone();
        Box::pin(self.blocking(move |inner| inner.get(&name)))
    }

    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>> {
        let name = name.clone();
        Box::pin(self.blocking(move |inner| inner.has(&name)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>> {
        Box::pin(self.blocking(Inner::list))
    }

    fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>> {
        let name = name.clone();
        Box::pin(self.blocking(move |inner| inner.delete(&name)))
    }
}

impl Inner {
    fn prepare(&self) -> Result<()> {
        let parent = self
            .dir
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        create_dirs(parent)?;
        match DirBuilder::new().mode(DIR_MODE).create(&self.dir) {
            // A umask can only have taken bits away; the owner needs them all.
            Ok(()) => {
                fs::set_permissions(&self.dir, Permissions::from_mode(DIR_MODE))
                    .context("set the mode of", &self.dir)?;
                sync_dir(parent)?;
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).context("create directory", &self.dir),
        }
        let _lock = self.lock()?;
        for entry in fs::read_dir(&self.dir).context("list", &self.dir)? {
            let entry = entry.context("list", &self.dir)?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(TEMPORARY))
            {
                fs::remove_file(entry.path()).context("remove", &entry.path())?;
            }
        }
        Ok(())
    }

    fn put(&self, name: &KeyName, key: &Secret, mode: PutKey) -> Result<()> {
        check_size(key)?;
        let contents = match &self.options.passphrase {
            None => format::plain(key),
            Some(passphrase) => format::seal(name, key, passphrase, self.options.cost)?,
        };
        let _lock = self.lock()?;
        let path = self.path(name);
        if mode == PutKey::Create && self.has(name)? {
            return Err(Error::KeyExists {
                name: name.to_string(),
            });
        }
        let temporary = self
            .dir
            .join(format!("{TEMPORARY}{:016x}", u64::from_le_bytes(random()?)));
        let placed = write_private(&temporary, contents.expose()).and_then(|()| match mode {
            PutKey::Replace => fs::rename(&temporary, &path),
            // Unlike a rename, a link never replaces.
            PutKey::Create => {
                fs::hard_link(&temporary, &path).and_then(|()| fs::remove_file(&temporary))
            }
        });
        match placed {
            Ok(()) => sync_dir(&self.dir),
            Err(e) => {
                let _ = fs::remove_file(&temporary);
                if mode == PutKey::Create && e.kind() == io::ErrorKind::AlreadyExists {
                    return Err(Error::KeyExists {
                        name: name.to_string(),
                    });
                }
                Err(e).context("write", &path)
            }
        }
    }

    fn get(&self, name: &KeyName) -> Result<Secret> {
        self.check_dir()?;
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(Error::KeyNotFound {
                    name: name.to_string(),
                });
            }
            Err(e) => return Err(e).context("open", &path),
        };
        let metadata = file.metadata().context("read", &path)?;
        if !metadata.is_file() {
            return Err(Error::damaged(&path, "it is not a regular file"));
        }
        check_mode(&path, metadata.permissions().mode(), FILE_MODE)?;
        let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        if size > MAX_FILE {
            return Err(Error::damaged(
                &path,
                "it is larger than the file of any key",
            ));
        }
        // Filled in place: a buffer that grows would leave copies behind.
        let mut contents = zeroize::Zeroizing::new(vec![0; size]);
        file.read_exact(&mut contents).context("read", &path)?;
        format::open(
            name,
            &contents.into(),
            self.options.passphrase.as_ref(),
            &path,
        )
    }

    fn has(&self, name: &KeyName) -> Result<bool> {
        self.check_dir()?;
        let path = self.path(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e).context("read", &path),
        }
    }

    fn list(&self) -> Result<Vec<KeyName>> {
        self.check_dir()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).context("list", &self.dir)? {
            let name = entry.context("list", &self.dir)?.file_name();
            // What the store cannot have written is not a key.
            names.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok()),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    fn delete(&self, name: &KeyName) -> Result<()> {
        let _lock = self.lock()?;
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(&self.dir),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e).context("remove", &path),
        }
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}{SUFFIX}"))
    }

    /// Waits for its turn to change the directory, which must be private.
    fn lock(&self) -> Result<File> {
        self.check_dir()?;
        let dir = File::open(&self.dir).context("open directory", &self.dir)?;
        dir.lock().context("lock directory", &self.dir)?;
        Ok(dir)
    }

    fn check_dir(&self) -> Result<()> {
        let metadata = fs::metadata(&self.dir).context("read", &self.dir)?;
        check_mode(&self.dir, metadata.permissions().mode(), DIR_MODE)
    }
}

fn check_mode(path: &Path, mode: u32, right: u32) -> Result<()> {
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let fix = format!("chmod {right:o} {}", quoted(path));
    Err(Error::Exposed {
        path: path.to_owned(),
        mode: mode & 0o7777,
        fix,
    })
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

/// Creates the file with its final mode: there is no moment at which others may open it, whatever
/// the umask.
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = create_private(path)?;
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
        let file = create_private(&dir.path().join("key")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & OTHERS, 0);
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
