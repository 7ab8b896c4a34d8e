//! Sizes of blobs that are known from elsewhere.

use std::fmt::Debug;

use futures_core::future::BoxFuture;

use crate::Digest;

/// What is known of the sizes of blobs beside their digests: from records about them, for example.
pub trait KnownSizes: Debug + Send + Sync + 'static {
    /// Whether an object of `size` bytes is certainly not the blob. Asked at each get and head, and
    /// for each blob of a listing.
    fn rule_out<'a>(&'a self, digest: &'a Digest, size: u64) -> BoxFuture<'a, bool>;
}
