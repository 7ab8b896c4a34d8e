//! Records: one [`ObjectStore`](storehouse_objectstore::ObjectStore) over any sorted key-value
//! engine.
//!
//! A writer of a backend implements [`Engine`], and [`RecordStore`] does the rest: put modes,
//! conditions and batches, groups that share a sync, a checksum in each record, ordered listings,
//! checks and salvage.
//!
//! `engine` is the trait, `record` the bytes of a record, `mark` the file that says what was
//! acknowledged, `core` the open engine and its failures, `writer` commits groups, `gaps` steps
//! over deletions, `heat` decides which thread reads, `store` is the public type, `listing`
//! with its `page`s, `inspect` and `space` what it does beyond single records.

mod core;
mod engine;
mod fault;
mod gaps;
mod handle;
mod heat;
mod inspect;
mod listing;
mod mark;
mod page;
mod reads;
mod record;
mod space;
mod store;
mod writer;

pub use engine::{Engine, EngineStats, Limits, Span, Visit};
pub use fault::Fault;
pub use inspect::{CheckReport, KeyRange, SalvageReport};
pub use record::proven_version;
pub use store::{RecordStats, RecordStore};
