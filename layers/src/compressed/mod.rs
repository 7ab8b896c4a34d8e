//! Objects compressed with Zstandard that can still be read by ranges.
//!
//! Each object is cut into frames that are compressed separately. A frame that does not shrink is
//! stored uncompressed. A header and a table of the frames' lengths precede the frames.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put. Its size has to be known beforehand, so the compressed body is gathered first: in memory, and above [`CompressedOptions::memory`] in an unlinked temporary file | 2 MiB, and the gathered bytes in memory |
//! | put under a condition | a head before, if the body is a stream | |
//! | get of the whole | one get | the table (4 bytes a frame), two frames |
//! | get of a range | one get of the first [`CompressedOptions::read_first`] bytes, which contain the header and table of objects of up to 512 MiB; for a larger one a get of the rest of the table; one get of the frames that hold the range, unless the first get had them | the same |
//! | head | one get of 32 bytes, in place of a head | |
//! | get of ranges | a head, then as gets of ranges, those that lie close as one | the ranges |
//! | delete, delete_many, copy | the same of the inner store | |
//! | events | those of the inner store | |
//! | list | one listing; for each entry one get of 32 bytes, some at once, unless the inner store inlines it | 16 entries |
//! | batch | one batch | all of it, compressed |
//!
//! A crash loses nothing acknowledged, and leaves nothing: an object is one object of the inner
//! store, and a temporary file has no name.
//!
//! The size of the content is in the header, so the inner store needs no attributes for it, and one
//! small read returns it. If an object is replaced between the reads of a range, the range is read
//! again: metadata and body come from one version.
//!
//! # Format
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `89 53 48 5A 0D 0A 1A 01` |
//! | 8 | 8 | the size of the content |
//! | 16 | 1 | the base-2 logarithm of the content of a frame (the last one may have less): 12 to 20 |
//! | 17 | 3 | 0 |
//! | 20 | 8 | XXH3 of the table, 64 bits, seed 0 |
//! | 28 | 4 | the low 32 bits of the XXH3 of the 28 bytes before |
//! | 32 | 4 for each frame | its stored length; the highest bit is set if it is stored uncompressed |
//! | | | the frames, each a Zstandard frame (RFC 8878) or the content |
//!
//! Numbers are little-endian. An object that breaks these rules, or does not match its size in the
//! inner store, is refused before memory is allocated for it.

mod decode;
mod encode;
mod format;
mod options;
mod spool;
mod store;

pub use options::CompressedOptions;
pub use store::CompressedStore;
