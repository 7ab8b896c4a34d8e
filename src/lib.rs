#![doc = include_str!("../README.md")]

mod config;
mod error;
mod local_stores;
mod observed;
mod open;
mod stores;

pub use config::{Config, CredentialsConfig, RepoConfig, S3Config};
pub use error::{Error, Result};
pub use local_stores::LocalStores;
pub use stores::{Backend, Blobs, Records, Stores};

pub use storehouse_blobstore as blobstore;
pub use storehouse_genericstore as genericstore;
pub use storehouse_local as local;
pub use storehouse_objectstore as objectstore;
pub use storehouse_stores as records;
