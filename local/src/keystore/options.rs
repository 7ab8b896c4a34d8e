//! How a store of key files is opened.

use super::cost::SealCost;
use crate::secret::Secret;

/// Options of [`FileKeyStore::open`](super::FileKeyStore::open).
///
/// ```
/// use storehouse_local::keystore::{FileKeyStoreOptions, SealCost};
///
/// let options = FileKeyStoreOptions::default()
///     .passphrase("correct horse battery staple")
///     .cost(SealCost::default().passes(4))
///     .allow_unsealed(false)
///     .allow_group_access(true);
/// assert!(options.passphrase.is_some() && !options.allow_unsealed);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FileKeyStoreOptions {
    /// Seals what is put and opens what is sealed. Without one, keys are stored as they are, and
    /// sealed ones cannot be read. Default: none.
    pub passphrase: Option<Secret>,
    /// What sealing costs. Opening costs what the file says. Default: [`SealCost::default`].
    pub cost: SealCost,
    /// With a passphrase: read keys that are stored unsealed, too. Otherwise they are refused,
    /// since anything that may write to the directory could put one in the place of a sealed key.
    /// Default: `false`.
    pub allow_unsealed: bool,
    /// Accept a directory and files that their group may use, or that root owns. Kubernetes makes
    /// volumes so with `fsGroup`. Files are created private all the same. Default: `false`.
    pub allow_group_access: bool,
}

impl FileKeyStoreOptions {
    /// With this passphrase, which must not be empty.
    #[must_use]
    pub fn passphrase(mut self, passphrase: impl Into<Secret>) -> Self {
        self.passphrase = Some(passphrase.into());
        self
    }

    /// With this cost of sealing.
    #[must_use]
    pub fn cost(mut self, cost: SealCost) -> Self {
        self.cost = cost;
        self
    }

    /// With unsealed keys read although there is a passphrase, or not.
    #[must_use]
    pub fn allow_unsealed(mut self, allow: bool) -> Self {
        self.allow_unsealed = allow;
        self
    }

    /// With access for the group accepted, or not.
    #[must_use]
    pub fn allow_group_access(mut self, allow: bool) -> Self {
        self.allow_group_access = allow;
        self
    }
}
