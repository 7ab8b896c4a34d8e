//! Attributes for stores that keep none, such as flatfs, stored in front of an object's bytes.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put, with the body streamed through | a piece |
//! | get of the whole | one get | a piece |
//! | get of a range | one get of the first 4 KiB; one get of the rest, if the range ends after them | 4 KiB, a piece |
//! | head | one get of the first 4 KiB | 4 KiB |
//! | delete, delete_many | the same of the inner store | |
//! | copy | a copy, or with other attributes a get and a put; no renames | a piece |
//! | get of ranges | a head, then as gets of ranges | the ranges |
//! | list | one listing; a get of the first 4 KiB for each object that is not inlined in it, 16 at once | 64 KiB |
//! | batch | one batch | all of it |
//! | events | those of the inner store | |
//! | presigned requests | none: a client would see the header | |
//!
//! A crash loses nothing acknowledged: an object is one object of the inner store. Attributes may
//! take 512 bytes. The inner store must hold no other objects.
//!
//! # Format
//!
//! Integers are little endian.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `89 53 48 41 0D 0A 1A 01` |
//! | 8 | 4 | the CRC-32C of what follows, up to the content |
//! | 12 | 4 | the length of the attributes, at most 4080 |
//! | 16 | | the attributes, as [`Attributes::to_bytes`](storehouse_objectstore::Attributes::to_bytes) has them |
//! | | | the content |

mod header;
mod store;

pub use store::AttributeStore;
