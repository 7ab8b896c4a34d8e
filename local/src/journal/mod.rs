//! The retrieval journal: receipt archives appended to an open batch, which rotates into files
//! named by their hash.
//!
//! A batch is a CAR without roots, with one block (a *frame*) a receipt: the receipt's own archive
//! under its CID. [`FsJournal`] keeps batches in a directory as Piri does (`egress.car.wip`,
//! `egress.{cid}.car`), and opens what Piri left there; [`MemoryJournal`] keeps them in memory.
//! [`Rotator`] rotates, hands batches over and collects garbage by the clock; [`BatchReader`] reads
//! a batch receipt by receipt.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let archive = std::fs::read("tests/vectors/receipt-archive/000.car")?;
//! use storehouse_local::journal::{BatchReader, FsJournal, Journal, JournalOptions};
//!
//! let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
//! journal.append(archive.into()).await?;
//! let batch = journal.force_rotate().await?.expect("a frame was appended");
//!
//! assert_eq!(journal.pending().await?[0].cid, batch);
//! let bytes = journal.get_batch(&batch).await?.collect(1 << 20).await?;
//! for receipt in BatchReader::new(&bytes[..])? {
//!     println!("{}", receipt?.receipt()?);
//! }
//! journal.acknowledge(&batch).await?;
//! assert!(journal.pending().await?.is_empty());
//! # Ok(())
//! # }
//! ```

mod contract;
mod directory;
mod frames;
mod fs;
mod memory;
mod names;
#[cfg(feature = "observe")]
mod observed;
mod open_batch;
mod options;
mod queue;
mod reader;
mod recovery;
mod reserve;
mod rotator;
mod scan;
mod search;
mod types;

pub use contract::Journal;
pub use fs::FsJournal;
pub use memory::MemoryJournal;
pub use names::MAX_ARCHIVE;
#[cfg(feature = "observe")]
pub use observed::ObservedJournal;
pub use options::{JournalOptions, Retention, SyncPolicy};
pub use reader::{BatchReader, Frame};
pub use recovery::{Recovery, SetAside};
pub use rotator::{Handled, Rotator, RotatorOptions};
pub use types::{Appended, BatchInfo, Status};
