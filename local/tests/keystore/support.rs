//! What the keystore's tests share.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use storehouse_local::Secret;
use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyName, SealCost};
use tempfile::TempDir;

/// Every secret of the tests holds this text, so that it can be searched for: here by `secrets`, in
/// the output of all tests by `.ci/no-secrets`.
pub(crate) const MARK: &str = "mArKoFaSeCrEt";

/// A 32-byte key that no other `n` gives.
pub(crate) fn key(n: u8) -> Secret {
    let mut bytes = MARK.as_bytes().to_vec();
    bytes.resize(32, n);
    bytes.into()
}

pub(crate) fn passphrase(n: u8) -> Secret {
    format!("{MARK} passphrase {n}").into()
}

pub(crate) fn name(name: &str) -> KeyName {
    name.parse().unwrap()
}

pub(crate) fn cheap() -> SealCost {
    SealCost::default().memory(64).passes(1).lanes(1)
}

pub(crate) fn sealing(passphrase: Secret) -> FileKeyStoreOptions {
    FileKeyStoreOptions::default()
        .passphrase(passphrase)
        .cost(cheap())
}

pub(crate) async fn store() -> (TempDir, FileKeyStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FileKeyStore::open(dir.path().join("keystore"), Default::default())
        .await
        .unwrap();
    (dir, store)
}

pub(crate) fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Prints an error in every way that there is, for the search of `secrets`.
pub(crate) fn show(error: &storehouse_local::Error) {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        println!("{error} | {error:?} | {error:#?}");
        cause = error.source();
    }
}
