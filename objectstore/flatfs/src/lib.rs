//! The flatfs backend: one file an object, in a directory that Go's flatfs (Piri, IPFS) reads and writes too.
//!
//! Unix alone. What each file does: `layout` opens a directory, `shard` knows where things lie; `read`, `kept`, `pieces` and `together` get; `put`, `temp`, `queue`, `commit`, `publish` and
//! `changed` put, through the `log` if they are small; `delete` and `list` do that; `stamp` tells versions apart; `sys` holds what Linux alone has, and its portable twin.

mod buffers;
mod changed;
mod commit;
mod delete;
mod files;
mod kept;
mod layout;
mod list;
mod log;
mod pieces;
mod publish;
mod put;
mod queue;
mod read;
mod shard;
mod stamp;
mod store;
mod sync;
mod sys;
mod temp;
#[cfg(test)]
mod tests;
mod together;

pub use shard::ShardFunction;
pub use store::{FlatFs, FlatFsOptions, SystemCalls};
