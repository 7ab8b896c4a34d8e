//! Verified blobs: bytes that are found by what they are.
//!
//! A blob is named by its [`Digest`], a multihash. [`BlobStore`] keeps blobs in any
//! [`ObjectStore`](storehouse_objectstore::ObjectStore), under keys that a [`KeyEncoder`] makes,
//! and promises:
//!
//! - A put streams. It hashes while the store writes, and the store commits only if length and
//!   digest match; otherwise nothing is stored. Memory does not grow with the blob.
//! - A get is one request, of the whole blob or of an exact range. It does not hash:
//!   [`BlobStore::verify`] and [`BlobStore::scrub`] do.
//! - Everything else (durability, atomicity, cancelling) is as the object store promises.
//!
//! ```
//! use storehouse_blobstore::{BlobStore, Digest, GetBlob, HashFunction, PlainKeys, PutBlob};
//! use storehouse_objectstore::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let blobs = BlobStore::new(Memory::new(), PlainKeys);
//!
//! let digest = Digest::of(HashFunction::Sha2_256, b"hello");
//! assert_eq!(digest.to_string(), "zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5");
//! blobs.put(&digest, "hello").await?;
//!
//! let blob = blobs.get_range(&digest, 1..3).await?;
//! assert_eq!((blob.size, blob.range.clone()), (5, 1..3));
//! assert_eq!(blob.body.collect(1024).await?, "el");
//!
//! // Bytes that are not that blob are refused, and nothing is stored.
//! let other = Digest::of(HashFunction::Blake3, b"other");
//! assert!(blobs.put(&other, "hello").await.is_err());
//! assert!(!blobs.exists(&other).await?);
//! # Ok(()) }
//! ```
//!
//! Architecture invariants: nothing here names a backend, buffers a blob, or hashes a large piece
//! on an async thread.

mod add;
mod damage;
mod digest;
mod digest_of;
mod error;
mod function;
mod hasher;
#[cfg(feature = "http")]
pub mod http;
mod keys;
mod known_sizes;
mod list;
mod options;
mod put;
mod scrub;
#[cfg(feature = "serde")]
mod serde;
mod store;
mod verifying_body;

pub use add::Added;
pub use digest::Digest;
pub use error::{BlobOperation, Error, Result};
pub use function::HashFunction;
pub use keys::{FlatfsKeys, KeyEncoder, PlainKeys, S3Keys};
pub use known_sizes::KnownSizes;
pub use options::{AddBlob, GetBlob, ListBlobs, PutBlob, Scrub};
pub use put::PutOutcome;
pub use scrub::{ScrubOutcome, Scrubbed};
pub use store::{Blob, BlobInfo, BlobStore};
