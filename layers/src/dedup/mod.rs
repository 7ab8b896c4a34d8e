//! Objects cut into chunks at places that their content determines, each chunk stored once.
//!
//! An object is a manifest in the *index*, under its own key and with its attributes, that names
//! chunks in the *chunk store* by their BLAKE3 hash. A change in the middle of an object changes
//! only the one or two chunks around it, so versions, copies and objects with common parts share
//! the rest.
//!
//! | operation | requests of the inner stores | memory |
//! |---|---|---|
//! | put | for each chunk a head, and a put if it is missing, four at a time; then one put of the manifest. With a [grace](DedupOptions::grace) a copy to itself for each existing chunk that is old; once more a head, and a copy of the old ones, if more than a quarter of the grace has passed | 48 chunks of [`chunk_size`](DedupOptions::chunk_size), 300 bytes for each chunk |
//! | put under a condition | a head of the manifest before | |
//! | get of the whole | one get of the manifest; one get for each chunk, four at a time, each verified before it is given | four chunks, 200 bytes for each chunk |
//! | get of a range | one get of the first 32 KiB of the manifest, which is all of it for objects of up to 200 MiB; for a larger one two more gets, of its lengths (4 bytes a chunk) and of the digests in the range; one get for each chunk in the range | the same |
//! | head | one get of 56 bytes | |
//! | get of ranges | a head, then as gets of ranges, those that lie close as one | the ranges |
//! | delete, delete_many | the same of the index; the chunks stay until a collection | |
//! | copy | one get of the manifest, one copy in the index: no chunk is read. With a [grace](DedupOptions::grace) a head for each chunk, and a copy to itself if it is old | 200 bytes for each chunk |
//! | list | one listing of the index; for each entry one get of 56 bytes, some at once, unless the index inlines it | 16 entries |
//! | events | those of the index | |
//! | batch | as puts for its chunks, then one batch in the index | as a put, and its manifests |
//! | [`DedupStore::collect`] | a listing of each store, a get for each manifest that is not inlined, deletes in bulk | 40 bytes for each chunk that an object has, 80 for each that is used meanwhile |
//!
//! A crash loses nothing acknowledged: chunks are durable before the manifest that names them, and
//! the manifest appears in one step. A put that fails, is dropped or dies leaves at most chunks
//! that no object has, which the next collection removes; so does a delete or a replacement. A
//! damaged byte in a chunk is an error of each read that covers it, never wrong bytes. A damaged
//! manifest is an error of its reads, and of collections, which then remove nothing.
//!
//! The inner stores are not told all that a put asks for. Every write is [durable][d]: after a
//! power cut a [relaxed][r] one could leave the manifest from before it, whose chunks a collection
//! has removed. No key [names the content][c] of a manifest, which depends on the options.
//!
//! Both stores must hold nothing else. Equal bytes make equal chunks, so a client that can put, and
//! can measure the time or see the chunk store, can find out whether a chunk exists already.
//!
//! [`DedupStore`] says what a collection removes and what it leaves, with one process and with
//! several.
//!
//! # Format
//!
//! A chunk is stored as it is, under its hash in lower-case hexadecimal. A manifest is:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `89 53 48 44 0D 0A 1A 01` |
//! | 8 | 8 | the size of the content |
//! | 16 | 4 | the number of chunks, n |
//! | 20 | 4 | the number of bytes at the end of the content that stand in the manifest, t: at most 16 KiB |
//! | 24 | 8 | XXH3 of these bytes, 64 bits, seed 0 |
//! | 32 | 8 | XXH3 of the lengths |
//! | 40 | 8 | XXH3 of the digests |
//! | 48 | 8 | XXH3 of the 48 bytes before |
//! | 56 | t | the end of the content |
//! | | 4 n | the lengths of the chunks: 1 KiB (1 byte for the last one) to 4 MiB |
//! | | 32 n | their BLAKE3 hashes |
//!
//! Numbers are little-endian. A manifest that breaks these rules, or does not match its size in the
//! index, is refused before memory is allocated for it. Cut points are those of FastCDC (Xia and
//! others, 2020); no reader depends on them.
//!
//! [c]: storehouse_objectstore::PutOptions::content_addressed
//! [d]: storehouse_objectstore::Durability::Durable
//! [r]: storehouse_objectstore::Durability::Relaxed

mod chunker;
mod collect;
mod failure;
mod format;
mod options;
mod pins;
mod read;
mod shared;
mod store;
mod write;

pub use options::{Collected, DedupOptions};
pub use store::DedupStore;
