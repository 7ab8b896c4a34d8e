//! Adding bytes whose digest is not known yet.

use std::io;

use futures_util::StreamExt;
use storehouse_objectstore::{self as objectstore, Body, ObjectStore, Spool, SpoolOptions};

use crate::hasher::StreamHasher;
use crate::{
    AddBlob, BlobOperation, BlobStore, Digest, Error, KeyEncoder, PutBlob, PutOutcome, Result,
};

/// What an add did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Added {
    /// The blob's name.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// Whether it was there already.
    pub outcome: PutOutcome,
}

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Stores what `body` gives under its SHA-256: bytes, a file or a stream of unknown size.
    ///
    /// # Errors
    /// As [`BlobStore::add_opts`].
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::{Body, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let added = blobs.add(Body::from_reader(&b"hello"[..])).await?;
    /// assert_eq!(added.digest, Digest::of(HashFunction::Sha2_256, b"hello"));
    /// assert!(blobs.exists(&added.digest).await?);
    /// # Ok(()) }
    /// ```
    pub async fn add(&self, body: impl Into<Body>) -> Result<Added> {
        self.add_opts(body, AddBlob::default()).await
    }

    /// Stores what `body` gives under its digest, which is found on the way.
    ///
    /// The body is read once. It is hashed while it goes to memory or, what is longer than
    /// [`AddBlob::memory`], to a file without a name ([`AddBlob::spool`]); from there it is put as
    /// [`BlobStore::put_opts`] does, verified once more. No object is visible before its name is
    /// known. A spool is what every store can do: a server would have to keep parts and copy them
    /// under the final key, which takes the upload, a copy and a delete instead of one request, and
    /// uploads what is there already.
    ///
    /// # Errors
    /// [`TooLarge`](Error::TooLarge) with the first piece past [`AddBlob::limit`], under the digest
    /// of what came until then; [`Store`](Error::Store) if the body or the spool fails, with the
    /// operation [`Add`](BlobOperation::Add); those of [`BlobStore::put_opts`]. After any of them
    /// the store holds what it held before.
    ///
    /// ```
    /// # use storehouse_blobstore::{AddBlob, BlobStore, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::{Body, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let blake3 = AddBlob::default().function(HashFunction::Blake3).limit(1 << 20);
    /// let added = blobs.add_opts("hello", blake3).await?;
    /// assert_eq!((added.digest.code(), added.size), (0x1e, 5));
    /// # Ok(()) }
    /// ```
    pub async fn add_opts(&self, body: impl Into<Body>, options: AddBlob) -> Result<Added> {
        let failed = |e| Error::store(BlobOperation::Add, None, e);
        let mut body = body.into();
        let hasher = StreamHasher::new(options.function);
        let whole = body.as_bytes().cloned();
        let mut spool = SpoolOptions::default().memory(options.memory);
        spool.dir = options.spool;
        let mut spool = Spool::new(spool);
        let limit = options.limit.unwrap_or(u64::MAX);
        let mut size: u64 = 0;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(failed)?;
            size = size.saturating_add(piece.len() as u64);
            if size > limit {
                let digest = hasher.finish().await.map_err(|e| failed(from_io(e)))?;
                return Err(Error::TooLarge { digest, limit });
            }
            hasher.push(piece.clone());
            if whole.is_none() {
                spool.push(piece).await.map_err(failed)?;
            }
            hasher.room().await.map_err(|e| failed(from_io(e)))?;
        }
        let digest = hasher.finish().await.map_err(|e| failed(from_io(e)))?;
        let body = match whole {
            Some(bytes) => bytes.into(),
            None => spool.finish().await.map_err(failed)?,
        };
        let put = PutBlob::default().size(size).durability(options.durability);
        let outcome = self.put_opts(&digest, body, put).await?;
        Ok(Added {
            digest,
            size,
            outcome,
        })
    }
}

fn from_io(error: io::Error) -> objectstore::Error {
    objectstore::Error::Body {
        key: None,
        source: error.into(),
    }
}
