#![doc = include_str!("../README.md")]

mod backend;
mod builder;
mod config;
mod error;
mod free_space;
mod handles;
mod open;
#[cfg(feature = "schema")]
mod schema;
mod stores;
mod tree;

pub use backend::{Backend, StoreName};
pub use builder::StoresBuilder;
pub use config::{
    AddressingConfig, BackendKind, Config, CredentialsConfig, FlatfsConfig, JournalConfig,
    KeysConfig, KeystoreConfig, RepoConfig, S3Config, SseConfig, StoreConfig, StoresConfig,
    SweepConfig, SyncConfig,
};
pub use error::{Error, Result};
pub use free_space::FreeSpace;
pub use handles::{Blobs, Records};
pub use open::LocalStores;
#[cfg(feature = "schema")]
pub use schema::config_schema;
pub use stores::Stores;
pub use tree::{
    Description, NamedStores, StorePlan, StoreRef, StoreSettings, StoreTypes, describe,
};

pub use storehouse_blobstore as blobstore;
#[cfg(feature = "conformance")]
pub use storehouse_conformance as conformance;
#[cfg(feature = "engine")]
pub use storehouse_engine as engine;
#[cfg(all(unix, feature = "flatfs"))]
pub use storehouse_flatfs as flatfs;
pub use storehouse_formats as formats;
#[cfg(all(unix, feature = "fs"))]
pub use storehouse_fs as fs;
pub use storehouse_genericstore as genericstore;
pub use storehouse_layers as layers;
pub use storehouse_local as local;
pub use storehouse_objectstore as objectstore;
#[cfg(feature = "redb")]
pub use storehouse_redb as redb;
#[cfg(feature = "s3")]
pub use storehouse_s3 as s3;
pub use storehouse_stores as records;
