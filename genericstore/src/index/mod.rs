//! Secondary indexes: records found by what is in them.
//!
//! An index is declared with a function from a record to its keys in the index, and kept by put,
//! replace and delete. A [`UniqueIndex`] leads from a key to at most one record, a [`MultiIndex`]
//! to any number. Index keys are typed and must have text forms ([`ToString`]) that differ.
//!
//! Entries are objects of their own: for a unique index one for each index key, which holds the
//! record's key; for a multi index one for each index key and record, which is empty. They lie
//! beside the records, or where `in_namespace` says.
//!
//! # What a crash leaves
//!
//! Where the object store has [batches](storehouse_objectstore::Batches), a record and its entries
//! change together: a crash leaves all or nothing. Elsewhere they are written one after the other,
//! in this order:
//!
//! 1. new entries, except those that may be taken over from another record;
//! 2. the record (or its removal);
//! 3. new entries of a unique index whose [last put wins](UniqueIndex::last_wins);
//! 4. the removal of entries that the record no longer has.
//!
//! A crash in between leaves at worst a stale entry (after 1 and before 4), which reads find out
//! and ignore, because they look at the record too, or a missing one (before 3), so that the old
//! record is still found under the key. [`GenericStore::repair`](crate::GenericStore::repair)
//! removes the former and adds the latter; so does repeating the put or delete that was cut off,
//! for the keys of that record.
//!
//! Without batches, writers of one record, or of one key of a unique index, wait for each other
//! within a store and its clones; writers in different processes, or through stores that were put
//! together separately, can leave entries that need a repair, but never a wrong answer.

mod define;
mod entry;
mod locks;
mod query;
mod repair;
mod write;

pub use define::{IndexedBy, MultiIndex, UniqueIndex};
pub use entry::{Pointer, TextPointer};
pub use repair::RepairReport;

pub(crate) use define::Indexes;
