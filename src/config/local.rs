//! What never leaves the machine: how keys are sealed, and how the journal is kept.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use storehouse_local::Secret;
use storehouse_local::journal::{JournalOptions, Retention, RotatorOptions, SyncPolicy};
use storehouse_local::keystore::FileKeyStoreOptions;

use crate::{Error, Result};

/// The most bytes that a file with a passphrase may have.
const LONGEST_PASSPHRASE: u64 = 64 << 10;

const DAY: u64 = 24 * 3600;

const PASSPHRASE: &str = "repo.keystore.passphrase";
const PASSPHRASE_FILE: &str = "repo.keystore.passphrase_file";

/// The section `[repo.keystore]`. `Debug` shows no secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct KeystoreConfig {
    /// The passphrase that keys are sealed under. Better in its variable,
    /// `STOREHOUSE_REPO_KEYSTORE_PASSPHRASE`, than in a file of settings.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub passphrase: Option<SecretString>,
    /// A file that holds the passphrase and nothing else; one line end after it does not count.
    pub passphrase_file: Option<PathBuf>,
    /// With a passphrase: read keys that are stored unsealed, too. Default: they are refused.
    #[serde(default)]
    pub allow_unsealed: bool,
    /// Accept a keystore that its group may use, or that root owns: Kubernetes makes volumes so
    /// with `fsGroup`. Default: refused.
    #[serde(default)]
    pub allow_group_access: bool,
}

/// The section `[repo.journal]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JournalConfig {
    /// An append that brings the open batch to this size or past it rotates it, in bytes, at least
    /// 1. Default: 100 MiB.
    pub rotate_bytes: Option<u64>,
    /// A [`Rotator`](crate::local::journal::Rotator) rotates this often, in seconds, 1 to a year.
    /// Default: an hour.
    pub rotate_seconds: Option<u64>,
    /// When appended frames are made durable. Default: before every append returns.
    pub sync: Option<SyncConfig>,
    /// With `sync = "interval"`: at the latest when this many bytes are not synced, at least 1.
    pub sync_bytes: Option<u64>,
    /// With `sync = "interval"`: at the latest when the oldest frame is not synced for this long,
    /// in milliseconds, 1 to a day.
    pub sync_millis: Option<u64>,
    /// A rotator removes batches that were acknowledged this long ago, in seconds, at most ten
    /// years. Default: none.
    pub retain_seconds: Option<u64>,
    /// A rotator removes the oldest acknowledged batches while all rotated ones come to more than
    /// this, in bytes. Default: none.
    pub retain_bytes: Option<u64>,
}

/// When appended frames are made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SyncConfig {
    /// Before `append` returns.
    #[default]
    EveryAppend,
    /// After a number of bytes or a time: `sync_bytes` and `sync_millis`.
    Interval,
    /// Before a batch is renamed.
    OnRotation,
}

impl KeystoreConfig {
    /// Checks the section by itself.
    pub(super) fn check(&self) -> Result<()> {
        let (name, empty) = match (&self.passphrase, &self.passphrase_file) {
            (Some(_), Some(_)) => {
                return Err(Error::setting(
                    "repo.keystore.passphrase",
                    "and repo.keystore.passphrase_file are both set; leave one out",
                ));
            }
            (None, None) => return Ok(()),
            (Some(passphrase), None) => (PASSPHRASE, passphrase.expose_secret().is_empty()),
            (None, Some(file)) => (PASSPHRASE_FILE, file.as_os_str().is_empty()),
        };
        if empty {
            return Err(Error::setting(name, "is empty"));
        }
        Ok(())
    }

    /// Checks that there is a directory for what is to be sealed.
    pub(super) fn check_place(&self, data_dir: bool) -> Result<()> {
        let name = match (&self.passphrase, &self.passphrase_file) {
            (Some(_), _) => PASSPHRASE,
            (None, Some(_)) => PASSPHRASE_FILE,
            (None, None) => return Ok(()),
        };
        if data_dir {
            return Ok(());
        }
        Err(Error::setting(
            name,
            "is set, but without repo.data_dir keys are in memory, where nothing is sealed",
        ))
    }

    /// How the keystore is opened.
    pub(crate) fn options(&self, passphrase: Option<Secret>) -> FileKeyStoreOptions {
        let options = FileKeyStoreOptions::default()
            .allow_unsealed(self.allow_unsealed)
            .allow_group_access(self.allow_group_access);
        match passphrase {
            Some(passphrase) => options.passphrase(passphrase),
            None => options,
        }
    }

    /// The passphrase, from its file if that is where it is.
    pub(crate) fn passphrase(&self) -> Result<Option<Secret>> {
        match (&self.passphrase, &self.passphrase_file) {
            (Some(passphrase), _) => Ok(Some(passphrase.expose_secret().into())),
            (None, Some(file)) => read_passphrase(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

fn read_passphrase(path: &Path) -> Result<Secret> {
    let wrong = |reason: String| Error::setting(PASSPHRASE_FILE, reason);
    // A FIFO would block, and a device need not end. A link may be one to a mounted secret.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(wrong(format!("{} is not a regular file", path.display())));
    }
    // In one buffer that does not grow: one that does leaves copies behind.
    let mut text = zeroize::Zeroizing::new(vec![0; LONGEST_PASSPHRASE as usize + 1]);
    let mut len = 0;
    let read = std::fs::File::open(path).and_then(|mut file| {
        while len < text.len() {
            match file.read(&mut text[len..])? {
                0 => break,
                more => len += more,
            }
        }
        Ok(())
    });
    if let Err(e) = read {
        return Err(wrong(format!("{} cannot be read", path.display())).caused_by(Some(e.into())));
    }
    if len as u64 > LONGEST_PASSPHRASE {
        return Err(wrong(format!(
            "{} has more than {LONGEST_PASSPHRASE} bytes",
            path.display()
        )));
    }
    let line = text[..len]
        .strip_suffix(b"\n")
        .map_or(&text[..len], |line| {
            line.strip_suffix(b"\r").unwrap_or(line)
        });
    if line.is_empty() {
        return Err(wrong(format!("{} holds no passphrase", path.display())));
    }
    Ok(line.into())
}

impl JournalConfig {
    pub(super) fn check(&self) -> Result<()> {
        let wrong =
            |name: &str, reason: &str| Err(Error::setting(format!("repo.journal.{name}"), reason));
        if self.rotate_bytes == Some(0) {
            return wrong(
                "rotate_bytes",
                "is 0; a batch rotates at 1 byte at the earliest",
            );
        }
        if self
            .rotate_seconds
            .is_some_and(|seconds| !(1..=365 * DAY).contains(&seconds))
        {
            return wrong("rotate_seconds", "is not within 1 and 31536000, a year");
        }
        if self
            .retain_seconds
            .is_some_and(|seconds| seconds > 3650 * DAY)
        {
            return wrong("retain_seconds", "is more than 315360000, ten years");
        }
        let interval = self.sync == Some(SyncConfig::Interval);
        for (name, value) in [
            ("sync_bytes", self.sync_bytes),
            ("sync_millis", self.sync_millis),
        ] {
            match value {
                Some(_) if !interval => {
                    return wrong(
                        name,
                        "is for repo.journal.sync = \"interval\", which is not set",
                    );
                }
                None if interval => {
                    return wrong(
                        name,
                        "is missing, and repo.journal.sync = \"interval\" needs both sync_bytes and sync_millis",
                    );
                }
                _ => {}
            }
        }
        if self.sync_bytes == Some(0) {
            return wrong(
                "sync_bytes",
                "is 0; for a sync of every append leave repo.journal.sync out",
            );
        }
        if self
            .sync_millis
            .is_some_and(|millis| !(1..=DAY * 1000).contains(&millis))
        {
            return wrong("sync_millis", "is not within 1 and 86400000, a day");
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> JournalOptions {
        let sync = match self.sync.unwrap_or_default() {
            SyncConfig::EveryAppend => SyncPolicy::EveryAppend,
            SyncConfig::OnRotation => SyncPolicy::OnRotation,
            SyncConfig::Interval => SyncPolicy::Interval {
                bytes: self.sync_bytes.unwrap_or(1),
                time: Duration::from_millis(self.sync_millis.unwrap_or(1)),
            },
        };
        let options = JournalOptions::default().sync(sync);
        match self.rotate_bytes {
            Some(bytes) => options.rotate_at(bytes),
            None => options,
        }
    }

    pub(crate) fn rotator(&self) -> RotatorOptions {
        let mut retention = Retention::default();
        if let Some(seconds) = self.retain_seconds {
            retention = retention.older_than(Duration::from_secs(seconds));
        }
        if let Some(bytes) = self.retain_bytes {
            retention = retention.total_above(bytes);
        }
        let options = RotatorOptions::default().retention(retention);
        match self.rotate_seconds {
            Some(seconds) => options.rotate_every(Duration::from_secs(seconds)),
            None => options,
        }
    }
}
