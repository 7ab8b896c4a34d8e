//! Verifying what is stored.

use std::future::ready;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use storehouse_objectstore::{Body, GetOptions, ObjectStore};

use crate::hasher::StreamHasher;
use crate::verifying_body::compare;
use crate::{
    BlobInfo, BlobOperation, BlobStore, Digest, Error, GetBlob, KeyEncoder, Result, Scrub,
};

/// A blob that a scrub looked at.
#[derive(Debug)]
pub struct Scrubbed {
    /// The blob, as it was listed.
    pub blob: BlobInfo,
    /// How it is.
    pub outcome: ScrubOutcome,
}

/// How a scrub found a blob.
#[derive(Debug)]
pub enum ScrubOutcome {
    /// Its bytes have its digest.
    Intact,
    /// Its bytes have another digest.
    Damaged {
        /// The digest that they have, by the same function.
        actual: Digest,
    },
    /// Its bytes could not be read to the end, or its hash function is unknown.
    Unreadable(Error),
}

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Reads the whole blob and hashes it.
    ///
    /// # Errors
    /// [`DataInconsistent`](Error::DataInconsistent) if it is damaged,
    /// [`NotFound`](Error::NotFound), [`UnknownHash`](Error::UnknownHash) and
    /// [`HashLength`](Error::HashLength) before anything is read, [`Store`](Error::Store).
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::{Memory, ObjectStoreExt};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// blobs.put(&digest, "hello").await?;
    /// blobs.verify(&digest).await?;
    ///
    /// blobs.store().put(&blobs.key(&digest)?, "hallo").await?; // a disk that forgets
    /// assert!(blobs.verify(&digest).await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn verify(&self, digest: &Digest) -> Result<()> {
        digest.function()?;
        let opened = self.open(BlobOperation::Verify, digest, GetBlob::default(), false);
        let (_, object) = opened.await?;
        check(digest, object.body).await
    }

    /// Verifies every blob and reports on each, in the order of [`BlobStore::list`]. One bad blob
    /// does not end it; one that was deleted meanwhile is passed over. An error is one of the
    /// listing, and ends the scrub, which can be resumed after the last blob it reported.
    ///
    /// Memory: a few megabytes for each blob that is read at once.
    ///
    /// ```
    /// # use futures_util::TryStreamExt;
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, Scrub, ScrubOutcome};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// blobs.put(&Digest::of(HashFunction::Sha2_256, b"hello"), "hello").await?;
    /// let mut found = blobs.scrub(Scrub::default());
    /// while let Some(scrubbed) = found.try_next().await? {
    ///     assert!(matches!(scrubbed.outcome, ScrubOutcome::Intact));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn scrub(&self, options: Scrub) -> BoxStream<'static, Result<Scrubbed>> {
        let this = self.clone();
        self.list(options.blobs)
            .map(move |blob| {
                let this = this.clone();
                async move {
                    let blob = blob?;
                    let outcome = match this.verify_at(&blob).await {
                        Ok(()) => ScrubOutcome::Intact,
                        Err(Error::DataInconsistent {
                            actual: Some(actual),
                            ..
                        }) => ScrubOutcome::Damaged { actual },
                        Err(e) if e.is_not_found() => return Ok(None),
                        Err(e) => ScrubOutcome::Unreadable(e),
                    };
                    Ok(Some(Scrubbed { blob, outcome }))
                }
            })
            .buffered(options.concurrency.get())
            .try_filter_map(|scrubbed| ready(Ok(scrubbed)))
            .boxed()
    }

    async fn verify_at(&self, blob: &BlobInfo) -> Result<()> {
        blob.digest.function()?;
        let object = self
            .store()
            .get_opts(&blob.key, GetOptions::default())
            .await;
        let object =
            object.map_err(|e| Error::store(BlobOperation::Verify, Some(&blob.digest), e))?;
        check(&blob.digest, object.body).await
    }
}

async fn check(digest: &Digest, body: Body) -> Result<()> {
    let drained = StreamHasher::new(digest.function()?).drain(body).await;
    let (actual, _) = drained.map_err(|e| Error::store(BlobOperation::Verify, Some(digest), e))?;
    compare(BlobOperation::Verify, digest, actual)
}
