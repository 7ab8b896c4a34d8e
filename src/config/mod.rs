//! Configuration: which backend, where, with whose credentials.

mod env;
mod flatfs;
mod local;
mod message;
mod parse;
mod s3;
mod settings;
mod stores;
#[cfg(test)]
mod tests;
pub(crate) mod units;

pub use flatfs::FlatfsConfig;
pub use local::{JournalConfig, KeystoreConfig, SyncConfig};
pub(crate) use message::without_value;
pub use s3::{AddressingConfig, CredentialsConfig, S3Config, SseConfig, SweepConfig};
pub use settings::{Config, RepoConfig};
pub use stores::{BackendKind, KeysConfig, StoreConfig, StoresConfig};
