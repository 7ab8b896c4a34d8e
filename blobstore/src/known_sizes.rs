//! Sizes of blobs that are known from elsewhere.

use std::fmt::Debug;

use futures_core::future::BoxFuture;

use crate::Digest;

/// What is known of the sizes of blobs beside their digests: from records about them, for example.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::collections::HashMap;
/// use std::sync::Arc;
/// use futures_core::future::BoxFuture;
/// use storehouse_blobstore::{BlobStore, Digest, HashFunction, KnownSizes, PlainKeys};
/// use storehouse_objectstore::{Memory, ObjectStoreExt};
///
/// #[derive(Debug)]
/// struct Records(HashMap<Digest, u64>);
///
/// impl KnownSizes for Records {
///     fn rule_out<'a>(&'a self, digest: &'a Digest, size: u64) -> BoxFuture<'a, bool> {
///         Box::pin(async move { self.0.get(digest).is_some_and(|known| *known != size) })
///     }
/// }
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let records = Records(HashMap::from([(digest.clone(), 5)]));
/// assert!(records.rule_out(&digest, 4).await);
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys).with_known_sizes(Arc::new(records));
/// blobs.store().put(&blobs.key(&digest)?, "hell").await?; // cut short
/// assert!(blobs.get(&digest).await.unwrap_err().is_damaged());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait KnownSizes: Debug + Send + Sync + 'static {
    /// Whether an object of `size` bytes is certainly not the blob. Asked at each get and head, and
    /// for each blob of a listing.
    fn rule_out<'a>(&'a self, digest: &'a Digest, size: u64) -> BoxFuture<'a, bool>;
}
