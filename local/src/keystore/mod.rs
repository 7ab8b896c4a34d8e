//! Keys under names.
//!
//! [`FileKeyStore`] keeps one file a key, which its owner alone may read, and which a
//! passphrase may seal; [`MemoryKeyStore`] keeps them in memory. A key is bytes; [`Ed25519Key`] is
//! what most of them are.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("keystore");
//! use storehouse_local::keystore::{Ed25519Key, FileKeyStore, FileKeyStoreOptions, KeyStore, PutKey};
//!
//! let keys = FileKeyStore::open(&dir, FileKeyStoreOptions::default()).await?;
//! let name = "node".parse()?;
//! let key = Ed25519Key::generate()?;
//! keys.put(&name, &key.to_secret(), PutKey::Create).await?;
//!
//! let again = Ed25519Key::from_secret(&keys.get(&name).await?)?;
//! assert_eq!(again.did(), key.did());
//! assert!(again.public().verify(b"message", &key.sign(b"message")));
//! # Ok(())
//! # }
//! ```

mod contract;
mod cost;
mod ed25519;
mod file;
mod format;
mod import;
mod key_dir;
mod memory;
mod name;
#[cfg(feature = "observe")]
mod observed;
mod options;
mod private;

pub use contract::{KeyStore, MAX_KEY, PutKey};
pub use cost::SealCost;
pub use ed25519::{Ed25519Key, Ed25519Public};
pub use file::FileKeyStore;
pub use import::{ImportOptions, ImportReport, import_piri_wallet};
pub use memory::MemoryKeyStore;
pub use name::KeyName;
#[cfg(feature = "observe")]
pub use observed::ObservedKeyStore;
pub use options::FileKeyStoreOptions;
