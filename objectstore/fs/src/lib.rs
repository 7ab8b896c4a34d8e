//! An object store in a plain directory: any key, bodies of any size, one file an object at a path
//! that a person recognises. Unix only.
//!
//! | | |
//! |---|---|
//! | `store`, `options`, `open`, `running` | the store, its options, how a directory is opened, what a write holds |
//! | `escape` | paths of keys, and back |
//! | `get`, `put`, `copy`, `delete`, `list` | the operations |
//! | `write/` | group commit, publishing, directories that are made, removed and synced |
//! | `walk`, `folder` | directories in the order of keys |
//! | `directory` | the open directory that all of these work in |
//!
//! Reading files, temporary files, tags and system calls are `storehouse_engine::files`.
//!
//! ```
//! use futures_util::TryStreamExt;
//! use storehouse_fs::{Fs, FsOptions};
//! use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(async {
//! let dir = tempfile::tempdir()?;
//! let store = Fs::open(dir.path(), FsOptions::default()).await?;
//! for name in ["a", "a/b", "a-b", "Photos/Cat.jpg"] {
//!     store.put(&Key::new(name)?, name).await?;
//! }
//! let listing = store.list_prefix("a").map_ok(|entry| entry.key.to_string());
//! assert_eq!(listing.try_collect::<Vec<_>>().await?, ["a", "a-b", "a/b"]);
//! assert!(dir.path().join("Photos/Cat.jpg").is_file());
//! store.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg(unix)]

mod copy;
mod delete;
mod directory;
mod escape;
mod folder;
mod get;
mod list;
mod open;
mod options;
mod put;
mod running;
mod store;
mod walk;
mod write;

pub use options::FsOptions;
pub use store::Fs;
pub use storehouse_engine::files::SystemCalls;
