//! Layers that change or spread what they store: the conformance suite over each, and what each
//! promises besides.

mod backends;
mod compressed;
mod dedup;
mod dedup_collect;
mod dedup_grace;
mod dedup_inner;
mod dedup_kills;
#[cfg(unix)]
mod dedup_process;
mod encrypted;
mod mirror;
mod shard;
mod size;
mod stacks;
mod verify;
