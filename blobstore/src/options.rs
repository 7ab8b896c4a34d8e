//! Options of the operations: public fields with defaults, and a setter for each.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use storehouse_objectstore::{ByteRange, Durability, Key};

use crate::HashFunction;

/// Options of [`BlobStore::put_opts`](crate::BlobStore::put_opts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutBlob {
    /// The blob's size, in bytes. Needed unless the body knows its own (bytes and files do); if
    /// both are there, they must agree.
    pub size: Option<u64>,
    /// When the put may return.
    pub durability: Durability,
    /// Write the blob even if it is there already.
    pub replace: bool,
}

/// Options of [`BlobStore::add_opts`](crate::BlobStore::add_opts).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddBlob {
    /// The function that names the blob. SHA-256 by default.
    pub function: HashFunction,
    /// When the add may return.
    pub durability: Durability,
    /// How much of a stream is held in memory before it goes to a file, in bytes. 1 MiB by default.
    pub memory: usize,
    /// The directory for that file; the system's one for temporary files if `None`. The file has no
    /// name there, so that nothing of it is left, whatever happens.
    pub spool: Option<PathBuf>,
    /// The most bytes (inclusive) that are taken from the body. No limit if `None`.
    pub limit: Option<u64>,
}

impl Default for AddBlob {
    fn default() -> Self {
        Self {
            function: HashFunction::Sha2_256,
            durability: Durability::default(),
            memory: 1024 * 1024,
            spool: None,
            limit: None,
        }
    }
}

/// Options of [`BlobStore::get_opts`](crate::BlobStore::get_opts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetBlob {
    /// Which bytes; all of them if `None`.
    pub range: Option<ByteRange>,
}

/// Options of [`BlobStore::list`](crate::BlobStore::list).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListBlobs {
    /// Only blobs whose key starts with this text, byte for byte. All blobs if empty.
    pub prefix: String,
    /// Only blobs after this key (exclusive) in the store's order; it need not exist. To resume a
    /// listing, the [`BlobInfo::key`](crate::BlobInfo::key) of the last blob that it gave.
    pub start_after: Option<Key>,
    /// At most this many blobs. All of them if `None`; none if `Some(0)`.
    pub limit: Option<usize>,
}

/// Options of [`BlobStore::scrub`](crate::BlobStore::scrub).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scrub {
    /// Which blobs.
    pub blobs: ListBlobs,
    /// How many blobs are read and hashed at once. 4 by default.
    pub concurrency: NonZeroUsize,
}

impl Default for Scrub {
    fn default() -> Self {
        Self {
            blobs: ListBlobs::default(),
            concurrency: NonZeroUsize::MIN.saturating_add(3),
        }
    }
}

macro_rules! setters {
    ($type:ty: $($(#[$doc:meta])* $name:ident($arg:ty) => |$value:ident| $set:expr;)*) => {
        impl $type {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $value: $arg) -> Self {
                self.$name = $set;
                self
            }
        )*}
    };
}

setters! { PutBlob:
    /// With this declared size, in bytes.
    size(impl Into<Option<u64>>) => |size| size.into();
    /// With this durability.
    durability(Durability) => |durability| durability;
    /// Whether to write the blob even if it is there already.
    replace(bool) => |replace| replace;
}

setters! { AddBlob:
    /// With this hash function.
    function(HashFunction) => |function| function;
    /// With this durability.
    durability(Durability) => |durability| durability;
    /// With this much of a stream in memory, in bytes.
    memory(usize) => |memory| memory;
    /// With its temporary file in this directory.
    spool(impl Into<PathBuf>) => |dir| Some(dir.into());
    /// With at most this many bytes (inclusive).
    limit(u64) => |limit| Some(limit);
}

setters! { GetBlob:
    /// With this range.
    range(impl Into<ByteRange>) => |range| Some(range.into());
}

setters! { ListBlobs:
    /// Under keys that start with this text.
    prefix(impl Into<String>) => |prefix| prefix.into();
    /// After this key (exclusive).
    start_after(impl Into<Option<Key>>) => |key| key.into();
    /// At most this many.
    limit(impl Into<Option<usize>>) => |limit| limit.into();
}

setters! { Scrub:
    /// These blobs.
    blobs(ListBlobs) => |blobs| blobs;
    /// This many at once.
    concurrency(NonZeroUsize) => |concurrency| concurrency;
}
