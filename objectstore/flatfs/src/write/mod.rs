//! Writing: temporary files, groups of puts, and how they become visible and durable.
//!
//! `writer` holds what puts and deletes share, `put` one put and its state, `group` commits puts
//! together, `publish` gives files their names, `dirty_dirs` syncs directories.

mod dirty_dirs;
mod group;
mod publish;
mod put;
mod writer;

pub(super) use dirty_dirs::DirtyDirs;
pub(super) use publish::RECORD;
pub(super) use put::{NewFile, Put, PutState};
pub(super) use writer::{INLINE, Writer};
