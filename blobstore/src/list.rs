//! Listing blobs.

use std::future::ready;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use storehouse_objectstore::{
    self as objectstore, Entry, ListOptions, ObjectStore, ObjectStoreExt,
};

use crate::{BlobInfo, BlobOperation, BlobStore, Error, KeyEncoder, ListBlobs, Result};

/// How many blobs under legacy keys are looked up at once.
const LOOKUPS: usize = 16;

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Lists the blobs in the store's order of keys, in bounded memory. Objects whose keys are no
    /// blob's are passed over.
    ///
    /// A blob under a legacy key is listed where that key stands, unless it is under its own key
    /// too; finding that out takes one head for each such blob. After an error the listing ends; it
    /// can be resumed after the key of the last blob it gave.
    ///
    /// ```
    /// # use futures_util::TryStreamExt;
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, ListBlobs, PlainKeys};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// for text in ["one", "two", "three"] {
    ///     blobs.put(&Digest::of(HashFunction::Sha2_256, text.as_bytes()), text).await?;
    /// }
    /// let two: Vec<_> = blobs.list(ListBlobs::default().limit(2)).try_collect().await?;
    /// let rest = ListBlobs::default().start_after(two[1].key.clone());
    /// assert_eq!(blobs.list(rest).try_collect::<Vec<_>>().await?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn list(&self, options: ListBlobs) -> BoxStream<'static, Result<BlobInfo>> {
        let entries = self.store().list(
            ListOptions::default()
                .prefix(options.prefix)
                .start_after(options.start_after),
        );
        let this = self.clone();
        let blobs = entries
            .map(move |entry| {
                let this = this.clone();
                async move { this.blob_of(entry?).await }
            })
            .buffered(LOOKUPS)
            .map_err(|e| Error::store(BlobOperation::List, None, e))
            .try_filter_map(|blob| ready(Ok(blob)));
        until_error(blobs)
            .take(options.limit.unwrap_or(usize::MAX))
            .boxed()
    }

    /// The blob of an entry, unless it is none, or one that is listed elsewhere.
    async fn blob_of(
        &self,
        Entry { key, metadata, .. }: Entry,
    ) -> objectstore::Result<Option<BlobInfo>> {
        let Some(digest) = self.keys().decode(&key) else {
            return Ok(None);
        };
        let legacy = self.keys().encode_legacy(&digest)?;
        if legacy.as_ref() == Some(&key)
            && self.store().exists(&self.keys().encode(&digest)?).await?
        {
            return Ok(None);
        }
        Ok(Some(BlobInfo {
            damaged: self.cannot_be(&digest, metadata.size).await,
            digest,
            key,
            size: metadata.size,
            last_modified: metadata.last_modified,
        }))
    }
}

fn until_error<T>(items: impl Stream<Item = Result<T>>) -> impl Stream<Item = Result<T>> {
    items.scan(false, |failed, item| {
        let ended = std::mem::replace(failed, item.is_err());
        ready((!ended).then_some(item))
    })
}
