//! The blob store: reading and deleting.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, ByteRange, GetOptions, Key, ObjectStore};

use crate::{Digest, Error, GetBlob, KeyEncoder, Operation, Result};

/// Blobs in an object store, named by their digests. Clones share the store.
#[derive(Debug)]
pub struct BlobStore<S = Arc<dyn ObjectStore>, E = Arc<dyn KeyEncoder>> {
    shared: Arc<Shared<S, E>>,
}

#[derive(Debug)]
struct Shared<S, E> {
    store: S,
    keys: E,
}

impl<S, E> Clone for BlobStore<S, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// What is known of a blob without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob.
    pub digest: Digest,
    /// The key that it was found under: the encoder's, or its legacy one.
    pub key: Key,
    /// Its size, in bytes.
    pub size: u64,
    /// When it was written, by the backend's clock, if it keeps that.
    pub last_modified: Option<SystemTime>,
}

/// A blob, or the range of it that was asked for, open for reading.
#[derive(Debug)]
pub struct Blob {
    /// The blob.
    pub digest: Digest,
    /// The size of the *whole* blob, in bytes, whatever range was asked for.
    pub size: u64,
    /// The bytes that the body gives, half open: `0..size` for the whole blob.
    pub range: Range<u64>,
    /// When it was written, by the backend's clock, if it keeps that.
    pub last_modified: Option<SystemTime>,
    /// The bytes themselves, as they are stored: not verified. Its [`Body::size`] is the length of
    /// `range`.
    pub body: Body,
}

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Blobs in `store` under keys that `keys` makes. Other objects in the store are left alone.
    pub fn new(store: S, keys: E) -> Self {
        Self {
            shared: Arc::new(Shared { store, keys }),
        }
    }

    /// The object store underneath.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.shared.store
    }

    pub(crate) fn keys(&self) -> &E {
        &self.shared.keys
    }

    /// The key that the blob is written under, whether or not it is there.
    ///
    /// # Errors
    /// [`Error::Store`] if the encoder has no key for this digest, which those of this crate always
    /// have.
    pub fn key(&self, digest: &Digest) -> Result<Key> {
        self.keys()
            .encode(digest)
            .map_err(|e| Error::store(Operation::Key, Some(digest), e))
    }

    fn legacy_key(&self, digest: &Digest) -> Result<Option<Key>> {
        self.keys()
            .encode_legacy(digest)
            .map_err(|e| Error::store(Operation::Key, Some(digest), e))
    }

    /// Opens the whole blob for reading.
    ///
    /// # Errors
    /// As [`BlobStore::get_opts`].
    pub async fn get(&self, digest: &Digest) -> Result<Blob> {
        self.get_opts(digest, GetBlob::default()).await
    }

    /// Opens an exact range of the blob for reading.
    ///
    /// # Errors
    /// As [`BlobStore::get_opts`].
    pub async fn get_range(&self, digest: &Digest, range: impl Into<ByteRange>) -> Result<Blob> {
        self.get_opts(digest, GetBlob::default().range(range)).await
    }

    /// Opens the blob, or an exact range of it, for reading. One request of the store; a second one
    /// only if the blob is not found where it should be and the encoder knows a legacy key.
    ///
    /// # Errors
    /// [`NotFound`](Error::NotFound), [`RangeNotSatisfiable`](Error::RangeNotSatisfiable),
    /// [`Store`](Error::Store). The body may fail later.
    pub async fn get_opts(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let options = {
            let mut get = GetOptions::default();
            get.range = options.range;
            get
        };
        let found = match self
            .store()
            .get_opts(&self.key(digest)?, options.clone())
            .await
        {
            Err(e) if e.is_not_found() => match self.legacy_key(digest)? {
                Some(legacy) => self.store().get_opts(&legacy, options).await,
                None => Err(e),
            },
            found => found,
        };
        let object = found.map_err(|e| Error::store(Operation::Get, Some(digest), e))?;
        Ok(Blob {
            digest: digest.clone(),
            size: object.size(),
            range: object.range,
            last_modified: object.metadata.last_modified,
            body: object.body,
        })
    }

    /// What is known of the blob without reading it. Requests as [`BlobStore::get_opts`].
    ///
    /// # Errors
    /// [`NotFound`](Error::NotFound), [`Store`](Error::Store).
    pub async fn head(&self, digest: &Digest) -> Result<BlobInfo> {
        let key = self.key(digest)?;
        let (key, found) = match self.store().head(&key).await {
            Err(e) if e.is_not_found() => match self.legacy_key(digest)? {
                Some(legacy) => {
                    let found = self.store().head(&legacy).await;
                    (legacy, found)
                }
                None => (key, Err(e)),
            },
            found => (key, found),
        };
        let metadata = found.map_err(|e| Error::store(Operation::Head, Some(digest), e))?;
        Ok(BlobInfo {
            digest: digest.clone(),
            key,
            size: metadata.size,
            last_modified: metadata.last_modified,
        })
    }

    /// Whether the blob is there. Requests as [`BlobStore::get_opts`].
    ///
    /// # Errors
    /// [`Store`](Error::Store).
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        match self.head(digest).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes the blob from under its key and its legacy key, durably when it returns. A missing
    /// one is ok. One request where the store has bulk deletes.
    ///
    /// # Errors
    /// [`Store`](Error::Store); the blob may then still be there.
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let failed = |e| Error::store(Operation::Delete, Some(digest), e);
        let key = self.key(digest)?;
        let Some(legacy) = self.legacy_key(digest)? else {
            return self.store().delete(&key).await.map_err(failed);
        };
        let mut deleted = self
            .store()
            .delete_many(stream::iter([key, legacy]).boxed());
        let mut outcome = Ok(());
        // To the end, also after an error: what is not read may not be done.
        while let Some(one) = deleted.next().await {
            outcome = outcome.and(one.map(|_| ()));
        }
        outcome.map_err(failed)
    }
}
