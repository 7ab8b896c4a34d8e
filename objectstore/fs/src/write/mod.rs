//! Writing: groups of puts, and how they become visible and durable.
//!
//! `writer` holds what puts and deletes share, `put` one put and its state, `group` commits puts
//! together, `publish` gives files their names, `rename` gives them others, `places` makes and
//! removes directories, `dirty_dirs` and `durable_dirs` sync them, `teller` tells events.

mod dirty_dirs;
mod durable_dirs;
mod group;
mod places;
mod publish;
mod put;
mod rename;
mod teller;
mod writer;

pub(super) use dirty_dirs::DirtyDirs;
pub(super) use put::{NewFile, Put, PutState};
pub(super) use teller::{Change, Due};
pub(super) use writer::{INLINE, Writer};
