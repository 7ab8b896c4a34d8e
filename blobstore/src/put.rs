//! Putting blobs.

use storehouse_objectstore::{
    self as objectstore, Body, Key, ObjectStore, PutMode, PutOptions, SizedBody,
};

use crate::damage::is_impossible;
use crate::hasher::StreamHasher;
use crate::verifying_body::{compare, verified};
use crate::{BlobOperation, BlobStore, Digest, Error, HashFunction, KeyEncoder, PutBlob, Result};

/// The largest blob, in bytes (inclusive), that is worth sending to a server only to hear that it
/// is there already, and that is held in memory for that.
const SMALL: u64 = 1024 * 1024;

/// What a put did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutOutcome {
    /// The blob was verified and written.
    Stored,
    /// The blob was there already, and nothing was written. The body need not have been read, nor,
    /// if it was, to be that blob.
    AlreadyExists,
}

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Stores the blob with this digest, if `body` is that blob and knows its size (bytes, a
    /// file): hashed while it streams, and committed only if length and digest match.
    ///
    /// # Errors
    /// As [`BlobStore::put_opts`].
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, PutOutcome};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// assert_eq!(blobs.put(&digest, "hello").await?, PutOutcome::Stored);
    /// assert_eq!(blobs.put(&digest, "hello").await?, PutOutcome::AlreadyExists);
    /// # Ok(()) }
    /// ```
    pub async fn put(&self, digest: &Digest, body: impl Into<Body>) -> Result<PutOutcome> {
        self.put_opts(digest, body, PutBlob::default()).await
    }

    /// Stores the blob with this digest, if `body` is that blob: hashed while it streams, and
    /// committed only if length and digest match.
    ///
    /// A blob that is there already is not uploaded again unless [`PutBlob::replace`] says so. On a
    /// server ([`remote`](storehouse_objectstore::Capabilities::remote)) that honours conditional
    /// puts, a blob of up to 1 MiB is put on condition that none is there: one request, and a head
    /// if one is. Otherwise one head comes first. A blob that this finds with another size than the
    /// declared one is damaged: the put goes on, and replaces it if `body` turns out to be the
    /// blob. Only [`BlobStore::verify`] finds other damage. An earlier put may have been a
    /// [relaxed](storehouse_objectstore::Durability::Relaxed) one; a durable put that finds its
    /// blob there does not sync it.
    ///
    /// # Errors
    /// [`UnknownHash`](Error::UnknownHash), [`HashLength`](Error::HashLength),
    /// [`DataInconsistent`](Error::DataInconsistent) if the declared size alone rules the digest
    /// out, and, in [`Store`](Error::Store), a key that the store does not accept or a size not
    /// declared: all before anything is read from `body`. [`TooLarge`](Error::TooLarge) with the
    /// first piece past the declared size, [`TooSmall`](Error::TooSmall),
    /// [`DataInconsistent`](Error::DataInconsistent), [`Store`](Error::Store). After any of them
    /// the store holds what it held before, but for what
    /// [`ObjectStore::put_opts`](storehouse_objectstore::ObjectStore::put_opts) says of `Backend`
    /// errors and for [`Unverified`](Error::Unverified), which faults the store.
    ///
    /// ```
    /// # use futures_util::stream;
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, PutBlob};
    /// # use storehouse_objectstore::{Body, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// let pieces = stream::iter(["hel", "lo"].map(|piece| std::io::Result::Ok(piece.into())));
    /// blobs.put_opts(&digest, Body::from_stream(pieces), PutBlob::default().size(5)).await?;
    /// assert_eq!(blobs.get(&digest).await?.size, 5);
    /// # Ok(()) }
    /// ```
    pub async fn put_opts(
        &self,
        digest: &Digest,
        body: impl Into<Body>,
        options: PutBlob,
    ) -> Result<PutOutcome> {
        let failed = |e| Error::store(BlobOperation::Put, Some(digest), e);
        let function = digest.function()?;
        let key = self.key(digest)?;
        let store = self.store().capabilities();
        if let Some(reason) = store.keys.flaw(key.as_str()) {
            let operation = objectstore::Operation::Put;
            let error = objectstore::Error::invalid_key(operation, key.as_str(), reason);
            return Err(failed(error));
        }
        let body = body.into();
        let mut put = PutOptions::default()
            .size(options.size)
            .durability(options.durability)
            .sha256(sha256(digest, function))
            .content_addressed(true);
        let declared = SizedBody::declared_size(&key, &body, &put, store.max_size);
        let declared = declared.map_err(failed)?;
        put.size = Some(declared);
        if is_impossible(digest, declared) {
            return Err(Error::DataInconsistent {
                operation: BlobOperation::Put,
                digest: digest.clone(),
                actual: None,
            });
        }
        // Looking first is cheap on this machine, and tells a blob that lost its end in a crash
        // from a whole one.
        let at_once = store.remote && store.create && declared <= SMALL && !options.replace;
        if !options.replace && !at_once && self.has_size(&key, declared).await.map_err(failed)? {
            return Ok(PutOutcome::AlreadyExists);
        }
        if !at_once && !is_small(&body, declared) {
            return self.put_stream(&key, digest, function, body, put).await;
        }
        // Small: verified beforehand, and the store gets it in one piece.
        let mut body = SizedBody::new(&key, body, &put, store.max_size).map_err(failed)?;
        let bytes = body.gather().await.map_err(failed)?;
        let hashed = StreamHasher::new(function).drain(bytes.clone().into());
        let (actual, _) = hashed.await.map_err(failed)?;
        compare(BlobOperation::Put, digest, actual)?;
        if at_once {
            let create = put.clone().mode(PutMode::Create);
            match self
                .store()
                .put_opts(&key, bytes.clone().into(), create)
                .await
            {
                Ok(_) => return Ok(PutOutcome::Stored),
                Err(e) if !e.is_already_exists() => return Err(failed(e)),
                Err(_) if self.has_size(&key, declared).await.map_err(failed)? => {
                    return Ok(PutOutcome::AlreadyExists);
                }
                // What is there is damaged, or was deleted just now.
                Err(_) => {}
            }
        }
        let put = self.store().put_opts(&key, bytes.into(), put).await;
        put.map(|_| PutOutcome::Stored).map_err(failed)
    }

    /// Verifies the body while the store reads it.
    async fn put_stream(
        &self,
        key: &Key,
        digest: &Digest,
        function: HashFunction,
        body: Body,
        options: PutOptions,
    ) -> Result<PutOutcome> {
        let (body, verdict) = verified(body, options.size.unwrap_or(0), digest, function);
        let put = self.store().put_opts(key, body, options).await;
        match (put, verdict.take()) {
            (Ok(_), Some(Ok(()))) => Ok(PutOutcome::Stored),
            (Ok(_), _) => Err(Error::Unverified {
                digest: digest.clone(),
                key: key.clone(),
            }),
            (Err(_), Some(Err(verdict))) => Err(verdict),
            (Err(e), _) => Err(Error::store(BlobOperation::Put, Some(digest), e)),
        }
    }

    async fn has_size(&self, key: &Key, size: u64) -> objectstore::Result<bool> {
        match self.store().head(key).await {
            Ok(there) => Ok(there.size == size),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }
}

fn is_small(body: &Body, declared: u64) -> bool {
    declared <= SMALL && body.as_bytes().is_some()
}

fn sha256(digest: &Digest, function: HashFunction) -> Option<[u8; 32]> {
    if function == HashFunction::Sha2_256 {
        digest.hash().try_into().ok()
    } else {
        None
    }
}
