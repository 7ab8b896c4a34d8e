//! Digests of bytes and of bodies.

use storehouse_objectstore::Body;

use crate::digest::Digest;
use crate::error::{BlobOperation, Error, Result};
use crate::function::HashFunction;
use crate::hasher::StreamHasher;

impl Digest {
    /// The digest of `bytes`. Hashes on this thread.
    ///
    /// ```
    /// use storehouse_blobstore::{Digest, HashFunction};
    ///
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// assert_eq!(digest.to_string(), "zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5");
    /// ```
    #[must_use]
    pub fn of(function: HashFunction, bytes: &[u8]) -> Self {
        let mut state = function.hasher();
        state.update(bytes);
        let (function, hash) = state.finish();
        Self::wrap(function, &hash)
    }

    /// The digest of all that `body` gives: of a file, with [`Body::from_path`]. Streams, and
    /// hashes off the async threads.
    ///
    /// # Errors
    /// [`Error::Store`] with what the body failed with.
    ///
    /// ```
    /// use storehouse_blobstore::{Digest, HashFunction};
    /// use storehouse_objectstore::Body;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let digest = Digest::of_body(HashFunction::Blake3, Body::from("hello")).await?;
    /// assert_eq!(digest, Digest::of(HashFunction::Blake3, b"hello"));
    /// # Ok(()) }
    /// ```
    pub async fn of_body(function: HashFunction, body: impl Into<Body>) -> Result<Self> {
        StreamHasher::new(function)
            .drain(body.into())
            .await
            .map_err(|e| Error::store(BlobOperation::Hash, None, e))
            .map(|(digest, _)| digest)
    }
}
