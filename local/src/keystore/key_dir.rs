//! A directory of key files. Everything here blocks.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::contract::{PutKey, check_size};
use super::format::{self, MAX_FILE};
use super::name::KeyName;
use super::options::FileKeyStoreOptions;
use super::private::{self, Access, DIR_MODE};
use crate::error::{Error, IoContext, Result};
use crate::files::{create_dirs, random, remove_if_there, sync_dir};
use crate::secret::Secret;

const SUFFIX: &str = ".key";
/// A name cannot begin with a dot, so no key is taken for a temporary file.
const TEMPORARY: &str = ".new-";

#[derive(Debug)]
pub(super) struct KeyDir {
    path: PathBuf,
    options: FileKeyStoreOptions,
}

impl KeyDir {
    pub(super) fn new(path: PathBuf, options: FileKeyStoreOptions) -> Self {
        Self { path, options }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the directory if it does not exist, and removes what a crash left in it.
    pub(super) fn prepare(&self) -> Result<()> {
        let parent = self
            .path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        create_dirs(parent)?;
        match DirBuilder::new().mode(DIR_MODE).create(&self.path) {
            // A umask can only have taken bits away; the owner needs them all.
            Ok(()) => {
                let made = fs::set_permissions(&self.path, Permissions::from_mode(DIR_MODE))
                    .context("set the mode of", &self.path)
                    .and_then(|()| sync_dir(parent));
                if made.is_err() {
                    // So that the next opening does not take it for durable.
                    let _ = fs::remove_dir(&self.path);
                }
                made?;
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            // A read-only or full file system says so even if the directory exists.
            Err(_) if self.path.is_dir() => {}
            Err(e) => return Err(e).context("create directory", &self.path),
        }
        let _lock = self.lock()?;
        for entry in fs::read_dir(&self.path).context("list", &self.path)? {
            let entry = entry.context("list", &self.path)?;
            let name = entry.file_name();
            let temporary = name
                .to_str()
                .is_some_and(|name| name.starts_with(TEMPORARY));
            if temporary && !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove_if_there(&entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn put(&self, name: &KeyName, key: &Secret, mode: PutKey) -> Result<()> {
        check_size(key)?;
        let contents = self.encode(name, key)?;
        let _lock = self.lock()?;
        if mode == PutKey::Create && self.has(name)? {
            // It may be the key of a put whose sync failed.
            sync_dir(&self.path)?;
            return Err(Error::KeyExists {
                name: name.to_string(),
            });
        }
        self.write(name, &contents, mode)
    }

    /// Writes the file of a key. The caller holds the lock.
    fn write(&self, name: &KeyName, contents: &Secret, mode: PutKey) -> Result<()> {
        let path = self.file(name);
        let random = u64::from_le_bytes(random()?);
        let temporary = self.path.join(format!("{TEMPORARY}{random:016x}"));
        let written = private::write(&temporary, contents.expose()).and_then(|()| match mode {
            PutKey::Replace => fs::rename(&temporary, &path),
            // Unlike a rename, a link never replaces.
            PutKey::Create => fs::hard_link(&temporary, &path),
        });
        if written.is_err() || mode == PutKey::Create {
            // What cannot be removed now goes at the next opening.
            let _ = fs::remove_file(&temporary);
        }
        match written {
            Err(e) if mode == PutKey::Create && e.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::KeyExists {
                    name: name.to_string(),
                })
            }
            written => written.context("write", &path),
        }?;
        sync_dir(&self.path)
    }

    fn encode(&self, name: &KeyName, key: &Secret) -> Result<Secret> {
        match &self.options.passphrase {
            None => Ok(format::plain(key)),
            Some(passphrase) => format::seal(name, key, passphrase, self.options.cost),
        }
    }

    pub(super) fn get(&self, name: &KeyName) -> Result<Secret> {
        let file = self.read(name)?.ok_or_else(|| Error::KeyNotFound {
            name: name.to_string(),
        })?;
        let passphrase = self.options.passphrase.as_ref();
        let allow_plain = passphrase.is_none() || self.options.allow_unsealed;
        format::open(name, &file, passphrase, allow_plain, &self.file(name))
    }

    fn read(&self, name: &KeyName) -> Result<Option<Secret>> {
        self.access().check_dir(&self.path)?;
        self.access().read(&self.file(name), MAX_FILE)
    }

    pub(super) fn has(&self, name: &KeyName) -> Result<bool> {
        self.access().check_dir(&self.path)?;
        let path = self.file(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e).context("read", &path),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<KeyName>> {
        self.access().check_dir(&self.path)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).context("list", &self.path)? {
            let name = entry.context("list", &self.path)?.file_name();
            // What the store cannot have written is not a key.
            names.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok()),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn delete(&self, name: &KeyName) -> Result<()> {
        let _lock = self.lock()?;
        remove_if_there(&self.file(name))?;
        // Also if it was gone: an earlier sync may have failed.
        sync_dir(&self.path)
    }

    /// The keys that are stored unsealed. Files that cannot be read are left out: their own reads
    /// say what is wrong.
    pub(super) fn unsealed(&self) -> Result<Vec<KeyName>> {
        let mut names = self.list()?;
        names.retain(|name| {
            let file = self.access().read(&self.file(name), MAX_FILE);
            file.is_ok_and(|file| file.is_some_and(|file| format::is_plain(&file)))
        });
        Ok(names)
    }

    /// Seals the keys that are stored unsealed.
    pub(super) fn seal_unsealed(&self) -> Result<Vec<KeyName>> {
        if self.options.passphrase.is_none() {
            return Err(Error::Invalid {
                reason: "keys cannot be sealed without a passphrase",
            });
        }
        let mut sealed = Vec::new();
        for name in self.unsealed()? {
            // Under the lock, so that no other key of that name is replaced.
            let _lock = self.lock()?;
            if let Some(file) = self.read(&name)?
                && format::is_plain(&file)
            {
                let key = format::open(&name, &file, None, true, &self.file(&name))?;
                self.write(&name, &self.encode(&name, &key)?, PutKey::Replace)?;
                sealed.push(name);
            }
        }
        Ok(sealed)
    }

    fn file(&self, name: &KeyName) -> PathBuf {
        self.path.join(format!("{name}{SUFFIX}"))
    }

    /// Waits until no other handle changes the directory, which must be private.
    fn lock(&self) -> Result<File> {
        let dir = self.access().open_dir(&self.path)?;
        dir.lock().context("lock directory", &self.path)?;
        Ok(dir)
    }

    fn access(&self) -> Access {
        Access {
            group: self.options.allow_group_access,
        }
    }
}
