//! Objects that cannot be the blob that they stand for, by their size alone.
//!
//! A program that does not sync its files before a power cut leaves some of them empty.

use std::sync::LazyLock;

use crate::digest::Digest;
use crate::function::HashFunction;

/// The digests of no bytes.
static OF_NOTHING: LazyLock<[Digest; HashFunction::ALL.len()]> =
    LazyLock::new(|| HashFunction::ALL.map(|function| Digest::of(function, b"")));

/// Whether no blob of `size` bytes can have the digest: only the empty blob is empty. Of a function
/// that this crate does not know, nothing is certain.
pub(crate) fn is_impossible(digest: &Digest, size: u64) -> bool {
    let of_nothing = OF_NOTHING.contains(digest);
    if size == 0 {
        !of_nothing && digest.function().is_ok()
    } else {
        of_nothing
    }
}
