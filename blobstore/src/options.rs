//! Options of the operations: public fields with defaults, and a setter for each.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use storehouse_objectstore::{ByteRange, Durability, Key};

use crate::HashFunction;

/// Options of [`BlobStore::put_opts`](crate::BlobStore::put_opts).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, PutBlob, PutOutcome};
/// use storehouse_objectstore::{Body, Durability, Memory};
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let options = PutBlob::default().size(5).durability(Durability::Relaxed).replace(true);
/// let stream = Body::from_reader(&b"hello"[..]); // does not know its size
/// let outcome = blobs.put_opts(&digest, stream, options).await?;
/// assert_eq!(outcome, PutOutcome::Stored);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{AddBlob, BlobStore, Error, HashFunction, PlainKeys};
/// use storehouse_objectstore::{Durability, Memory};
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// let options = AddBlob::default()
///     .function(HashFunction::Blake3)
///     .durability(Durability::Relaxed)
///     .memory(64 << 10)
///     .spool(std::env::temp_dir())
///     .limit(5);
/// let added = blobs.add_opts("hello", options.clone()).await?;
/// assert_eq!((added.size, added.digest.code()), (5, 0x1e));
/// let error = blobs.add_opts("hello!", options).await.unwrap_err();
/// assert!(matches!(error, Error::TooLarge { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{BlobStore, GetBlob, PlainKeys};
/// use storehouse_objectstore::Memory;
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// let digest = blobs.add("0123456789").await?.digest;
/// let part = blobs.get_opts(&digest, GetBlob::default().range(7..)).await?;
/// assert_eq!(part.body.collect(3).await?, "789");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetBlob {
    /// Which bytes; all of them if `None`.
    pub range: Option<ByteRange>,
}

/// Options of [`BlobStore::list`](crate::BlobStore::list).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_blobstore::{BlobStore, ListBlobs, PlainKeys};
/// use storehouse_objectstore::Memory;
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// for body in ["one", "two", "three"] {
///     blobs.add(body).await?;
/// }
/// let page = ListBlobs::default().prefix("z").limit(2);
/// let first: Vec<_> = blobs.list(page.clone()).try_collect().await?;
/// let next = page.start_after(first[1].key.clone());
/// let rest: Vec<_> = blobs.list(next).try_collect().await?;
/// assert_eq!((first.len(), rest.len()), (2, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
/// use futures_util::TryStreamExt;
/// use storehouse_blobstore::{BlobStore, ListBlobs, PlainKeys, Scrub, ScrubOutcome};
/// use storehouse_objectstore::Memory;
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// blobs.add("hello").await?;
/// let one = Scrub::default().blobs(ListBlobs::default().limit(1)).concurrency(NonZeroUsize::MIN);
/// let scrubbed: Vec<_> = blobs.scrub(one).try_collect().await?;
/// assert!(matches!(scrubbed[0].outcome, ScrubOutcome::Intact));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
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
