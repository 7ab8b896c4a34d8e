//! What stores of files stand on: unix only.
//!
//! | | |
//! |---|---|
//! | `sys/`, `system_calls` | what they ask of the operating system, and which of it |
//! | `reader`, `stream`, `buffers`, `handle_cache` | reading: ranges, streamed bodies, open files |
//! | `body`, `temp`, `cancel` | writing: bodies into temporary files, until they have their names |
//! | `attributes`, `copy` | attributes of an object, copies within the kernel |
//! | `sync`, `names`, `version`, `error` | syncs of many files, names, tags, errors |
//!
//! A file gets its name once it is whole and durable:
//!
//! ```
//! use std::fs::File;
//! use std::sync::Arc;
//! use storehouse_engine::files::{SystemCalls, Temp, TempDir, pick, write_at};
//!
//! let dir = tempfile::tempdir()?;
//! let root = Arc::new(File::open(dir.path())?);
//! let home = Arc::new(TempDir::new(Arc::clone(&root), "temp", pick(SystemCalls::Native)));
//! let mut temp = Temp::create(&home, Arc::new(()))?;
//! write_at(temp.file(), &["hello".into()], 0)?;
//! temp.sync()?;
//! temp.rename_new(&root, "greeting")?;
//! assert_eq!(std::fs::read(dir.path().join("greeting"))?, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod attributes;
mod body;
mod buffers;
mod cancel;
mod copy;
mod error;
mod handle_cache;
mod names;
mod put_queue;
mod read_ahead;
mod reader;
mod stream;
mod sync;
mod sys;
mod system_calls;
mod temp;
mod version;

pub use attributes::{
    MAX_ATTRIBUTES, keeps_attributes, read_attributes, remove_attributes, write_attributes,
};
pub use body::{receive_all, unwritten, write_body};
pub use cancel::{CancelGuard, Cancellation};
pub use copy::copy_file;
pub use error::{duplicate, failed, put_failed};
pub use handle_cache::{HandleCache, Vacancy};
pub use names::{any_name, check_in_place, each_name, hold, make_empty, open_dir, unlink};
pub use put_queue::{PutCommitter, PutGroup, PutQueue, put_queue};
pub use read_ahead::{BatchWalk, read_ahead};
pub use reader::{Blocking, FileReader, describe, not_a_file};
pub use sync::sync_all;
pub use sys::{Sys, pick};
pub use system_calls::SystemCalls;
pub use temp::{Keep, Temp, TempDir, write_at};
pub use version::{Clock, etag, is_object, metadata};
