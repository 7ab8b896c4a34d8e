//! The flatfs backend: one file per object, in a directory that Go's flatfs (Piri) reads and writes
//! too. Unix only.
//!
//! | | |
//! |---|---|
//! | `store`, `options`, `open`, `lock`, `store_lock` | the store, its options, how a directory is opened and locked |
//! | `get` | reads |
//! | `put`, `delete`, `write/` | writes: group commit, publishing, dirty directories |
//! | `wal/` | the optional log of small puts |
//! | `list` | listings |
//! | `directory`, `shard` | what these stand on: paths |
//!
//! Reading files, temporary files, tags and system calls are `storehouse_engine::files`, which
//! other stores of files share.
//!
//! ```
//! use storehouse_flatfs::{FlatFs, FlatFsOptions};
//! use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let dir = tempfile::tempdir()?;
//! let store = FlatFs::open(dir.path(), FlatFsOptions::default()).await?;
//! let key = Key::new("ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja")?;
//! store.put(&key, "hello").await?;
//! assert_eq!(store.get_bytes(&key, 100).await?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod delete;
mod directory;
mod get;
mod list;
mod lock;
mod open;
mod options;
mod put;
mod shard;
mod store;
mod store_lock;
#[cfg(test)]
mod tests;
mod wal;
mod write;

pub use options::FlatFsOptions;
pub use shard::ShardFunction;
pub use store::FlatFs;
pub use storehouse_engine::files::SystemCalls;
