//! Objects whose content is checked when it is put and when it is read.
//!
//! Each object's content is followed by its BLAKE3 hash, and with
//! [`outboards`](VerifyOptions::outboards) also by the hash tree of its groups of 16 KiB. Both are
//! part of the same object of the inner store: one put writes all of it or nothing, and no crash
//! separates them.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put, with the body streamed through; a [`sha256`](storehouse_objectstore::PutOptions::sha256) that is declared is checked | 2 MiB for each GiB |
//! | get of the whole | one get; the last piece is held back until the hash is right | a piece |
//! | get of a range, with `outboards` | one get of the last 16 KiB, which hold the tree of objects of up to 4 MiB; for a larger one a get of the few missing nodes; one get of the groups that hold the range. Each piece is verified before it is returned | 64 bytes for each group of the range, 256 KiB |
//! | get of a range, without | a head and a get; **not verified** | as the inner store's |
//! | head | one head | |
//! | delete, delete_many, copy | the same of the inner store | |
//! | get of ranges | a head, then as gets of ranges | the ranges |
//! | list | one listing; a value that comes with it is verified | as the inner store's |
//! | batch | one batch | all of it |
//! | events | those of the inner store | |
//!
//! A crash loses nothing acknowledged. A damaged byte in content, tree or hash is an error of every
//! verified read that covers it, never wrong bytes. This does not protect against forgery: a
//! program that can write to the inner store can put another whole object there. Against that,
//! compare with a digest from elsewhere, as a blob store does, or encrypt.
//!
//! Sizes are computed from those of the inner objects, so listings cost nothing extra. Because of
//! this, `outboards` cannot be changed for a store that holds objects. If it was, a get reports it.
//!
//! # Format
//!
//! The content; with `outboards` the nodes of the tree; 64 bytes: `89 53 48 56 0D 0A 1A 01`, the
//! size of the content (8, little-endian), 1 if there is a tree or else 0 (8, little-endian), the
//! BLAKE3 hash of the content (32), the first 8 bytes of the BLAKE3 hash of the 56 before.
//!
//! The nodes are 32-byte chaining values: those of all groups of 16 KiB, then those of all pairs of
//! groups, and so on up to the two below the root, which is the hash. A last one without a
//! neighbour counts as its own parent. A content of at most one group has no nodes.

mod options;
mod read;
mod store;
mod tree;
mod write;

pub use options::{Verified, VerifyOptions};
pub use store::VerifyStore;
