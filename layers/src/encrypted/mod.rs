//! Encrypted objects that can still be read by ranges, for a disk or a server that others can read.
//!
//! Each object is encrypted under a key of its own in frames of 64 KiB, by ChaCha20-Poly1305 (RFC
//! 8439). Every frame is authenticated before a byte of it is returned.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put, with the body streamed through | a frame |
//! | get of the whole | one get | a frame |
//! | get of a range | one get of the first 56 bytes; one get of the frames that hold the range | a frame |
//! | head | one head | |
//! | delete, delete_many | the same of the inner store | |
//! | copy | a get and a put: a copy is encrypted anew | a frame |
//! | get of ranges | a head, then as gets of ranges | the ranges |
//! | list | one listing; a value that comes with it is decrypted | as the inner store's |
//! | batch | one batch | all of it |
//! | events | those of the inner store | |
//! | [`EncryptedStore::rotate`] | one listing; for each object a get of 56 bytes, and if it is under an older key a get and a put | a frame |
//!
//! A crash loses nothing acknowledged: an object is one object of the inner store.
//!
//! # What is protected
//!
//! A reader of the inner store learns keys (names), sizes, times and attributes, and nothing of the
//! content. A writer of the inner store can remove objects, and can restore an older version of an
//! object under its own key. Any other change there is an error when the object is read: a changed
//! byte, frames that are swapped, left out or taken from another object, or an object moved to
//! another key. Heads and listings compute sizes from those of the inner store; only a get verifies
//! them.
//!
//! # Format
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `89 53 48 45 0D 0A 1A 01` |
//! | 8 | 16 | the id of the store's key, filled up with 0 |
//! | 24 | 32 | a random salt |
//! | 56 | | frames of 64 KiB, the last one of the rest (and at least one), each with its tag of 16 bytes behind it |
//!
//! The object's key is the BLAKE3 hash, keyed with the store's key, of `storehouse encrypted object
//! 1`, the salt, the id as it stands in the header, the size of the content (8 bytes,
//! little-endian) and the object's name. A frame's nonce is its number (8 bytes, little-endian), 3
//! zero bytes, and 1 for the last frame or else 0. There is no additional data.

mod format;
mod frames;
mod keys;
mod store;

pub use keys::EncryptionKeys;
pub use store::{EncryptedStore, Rotated};
