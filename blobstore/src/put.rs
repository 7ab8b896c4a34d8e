//! Putting blobs.

use storehouse_objectstore::{
    self as objectstore, Body, Key, ObjectStore, PutMode, PutOptions, SizedBody,
};

use crate::pipeline::Pipeline;
use crate::verified::{compare, verified};
use crate::{BlobStore, Digest, Error, HashFunction, KeyEncoder, Operation, PutBlob, Result};

/// The largest blob, in bytes (inclusive), that is worth sending to a server only to hear that it
/// is there already.
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
    pub async fn put(&self, digest: &Digest, body: impl Into<Body>) -> Result<PutOutcome> {
        self.put_opts(digest, body, PutBlob::default()).await
    }

    /// Stores the blob with this digest, if `body` is that blob: hashed while it streams, and
    /// committed only if length and digest match.
    ///
    /// A blob that is there already is not uploaded again unless [`PutBlob::replace`] says so. On a
    /// server ([`remote`](storehouse_objectstore::Capabilities::remote)) that honours conditional
    /// puts, a blob of up to 1 MiB is put on condition that none is there: one request. Otherwise
    /// one head comes first. A blob that this finds with another size than the declared one is
    /// damaged: the put goes on, and replaces it if `body` turns out to be the blob. Only
    /// [`BlobStore::verify`] finds other damage. An earlier put may have been a
    /// [relaxed](storehouse_objectstore::Durability::Relaxed) one; a durable put that finds its
    /// blob there does not sync it.
    ///
    /// # Errors
    /// [`UnknownHash`](Error::UnknownHash), [`HashLength`](Error::HashLength) and, in
    /// [`Store`](Error::Store), a key that the store does not accept or a size not declared: all
    /// before anything is read from `body`. [`TooLarge`](Error::TooLarge) with the first piece past
    /// the declared size, [`TooSmall`](Error::TooSmall),
    /// [`DataInconsistent`](Error::DataInconsistent), [`Store`](Error::Store). After any of them
    /// the store holds what it held before, but for what [`ObjectStore::put_opts`] says of `Backend`
    /// errors and for [`Unverified`](Error::Unverified), which faults the store.
    pub async fn put_opts(
        &self,
        digest: &Digest,
        body: impl Into<Body>,
        options: PutBlob,
    ) -> Result<PutOutcome> {
        let failed = |e| Error::store(Operation::Put, Some(digest), e);
        let function = digest.function()?;
        let key = self.key(digest)?;
        let store = self.store().capabilities();
        if let Some(reason) = store.keys.flaw(key.as_str()) {
            return Err(failed(objectstore::Error::invalid_key(
                objectstore::Operation::Put,
                key.as_str(),
                reason,
            )));
        }
        let mut put = PutOptions::default()
            .size(options.size)
            .durability(options.durability)
            .sha256(sha256(digest, function))
            .content_addressed(true);
        let body = SizedBody::new(&key, body.into(), &put, store.max_size).map_err(failed)?;
        put.size = Some(body.declared());
        if !options.replace {
            // Looking first is cheap on this machine, and tells a blob that lost its end in a crash
            // from a whole one.
            if store.remote && store.create && body.declared() <= SMALL {
                put.mode = PutMode::Create;
            } else if self.has_size(&key, body.declared()).await.map_err(failed)? {
                return Ok(PutOutcome::AlreadyExists);
            }
        }

        let whole = body
            .as_bytes()
            .filter(|bytes| bytes.len() as u64 <= SMALL)
            .cloned();
        let (put, verdict) = if let Some(bytes) = whole {
            // In memory and soon hashed: verified beforehand, and the store gets it in one piece.
            let (actual, _) = Pipeline::new(function)
                .drain(bytes.clone().into())
                .await
                .map_err(failed)?;
            compare(Operation::Put, digest, actual)?;
            (
                self.store().put_opts(&key, bytes.into(), put).await,
                Some(Ok(())),
            )
        } else {
            let (body, verdict) = verified(body, digest, function);
            let put = self.store().put_opts(&key, body, put).await;
            (put, verdict.take())
        };
        match (put, verdict) {
            (Ok(_), Some(Ok(()))) => Ok(PutOutcome::Stored),
            (Ok(_), _) => Err(Error::Unverified {
                digest: digest.clone(),
                key,
            }),
            (Err(_), Some(Err(verdict))) => Err(verdict),
            (Err(e), _) if e.is_already_exists() => Ok(PutOutcome::AlreadyExists),
            (Err(e), _) => Err(failed(e)),
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

fn sha256(digest: &Digest, function: HashFunction) -> Option<[u8; 32]> {
    if function == HashFunction::Sha2_256 {
        digest.hash().try_into().ok()
    } else {
        None
    }
}
