//! The hash functions that blobs are verified with.

use std::fmt;

use sha2::{Digest as _, Sha256, Sha512};
use storehouse_objectstore::SmallBytes;

/// A hash function that blobs can be put and verified with. Its code is the one in the table of
/// multicodecs.
///
/// ```
/// use storehouse_blobstore::{Digest, HashFunction};
///
/// assert_eq!(HashFunction::from_code(0x12), Some(HashFunction::Sha2_256));
/// assert_eq!(HashFunction::Sha2_512.hash_len(), 64);
///
/// let digest = Digest::of(HashFunction::Blake3, b"hello");
/// assert_eq!(digest.hash().len(), HashFunction::Blake3.hash_len());
/// assert_eq!(Digest::from_bytes(digest.as_bytes())?, digest);
/// # Ok::<(), storehouse_blobstore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// SHA-256, code 0x12: 32 bytes. What networks of storage nodes use, and what an S3 server can
    /// check by itself.
    Sha2_256,
    /// SHA-512, code 0x13: 64 bytes.
    Sha2_512,
    /// BLAKE3, code 0x1e, with its default length: 32 bytes.
    Blake3,
}

impl HashFunction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha2_256, Self::Sha2_512, Self::Blake3];

    /// The function with this code, if it is one of these.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|function| function.code() == code)
    }

    /// The function's code.
    ///
    /// ```
    /// use storehouse_blobstore::HashFunction;
    ///
    /// assert_eq!(HashFunction::Blake3.code(), 0x1e);
    /// assert!(HashFunction::ALL.iter().all(|f| HashFunction::from_code(f.code()) == Some(*f)));
    /// ```
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Sha2_256 => 0x12,
            Self::Sha2_512 => 0x13,
            Self::Blake3 => 0x1e,
        }
    }

    /// The length of its hashes, in bytes. A shorter one is no digest of this function: truncated
    /// hashes are refused.
    #[must_use]
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha2_256 | Self::Blake3 => 32,
            Self::Sha2_512 => 64,
        }
    }

    pub(crate) fn hasher(self) -> HashState {
        match self {
            Self::Sha2_256 => HashState::Sha2_256(Box::default()),
            Self::Sha2_512 => HashState::Sha2_512(Box::default()),
            Self::Blake3 => HashState::Blake3(Box::default()),
        }
    }
}

/// The name in the table of multicodecs.
impl fmt::Display for HashFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sha2_256 => "sha2-256",
            Self::Sha2_512 => "sha2-512",
            Self::Blake3 => "blake3",
        })
    }
}

/// A hash being computed. Its state, of up to two kilobytes, stays in place when it moves between
/// threads.
pub(crate) enum HashState {
    Sha2_256(Box<Sha256>),
    Sha2_512(Box<Sha512>),
    Blake3(Box<blake3::Hasher>),
}

impl HashState {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha2_256(state) => state.update(bytes),
            Self::Sha2_512(state) => state.update(bytes),
            Self::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    pub(crate) fn update_all(&mut self, pieces: &[bytes::Bytes]) {
        for piece in pieces {
            self.update(piece);
        }
    }

    /// The function and the hash.
    pub(crate) fn finish(self) -> (HashFunction, SmallBytes) {
        match self {
            Self::Sha2_256(state) => (HashFunction::Sha2_256, (*state.finalize())[..].into()),
            Self::Sha2_512(state) => (HashFunction::Sha2_512, (*state.finalize())[..].into()),
            Self::Blake3(state) => (HashFunction::Blake3, state.finalize().as_bytes()[..].into()),
        }
    }
}
