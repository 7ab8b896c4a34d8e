//! Bytes that are few nearly always.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that never change, without memory of their own if they are at most [`SmallBytes::INLINE`]:
/// tags, digests, DIDs. A record has several, a listing a million.
///
/// Compares, and hashes, as the slice that it is. Cloning is cheap.
#[derive(Clone)]
pub struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        len: u8,
        bytes: [u8; SmallBytes::INLINE],
    },
    Shared(Arc<[u8]>),
}

impl SmallBytes {
    /// The most bytes that take no memory of their own (inclusive): the multihash of a sha2-256 and
    /// the DID of an ed25519 key have 34.
    pub const INLINE: usize = 38;
}

impl From<&[u8]> for SmallBytes {
    fn from(slice: &[u8]) -> Self {
        let mut bytes = [0; Self::INLINE];
        Self(match bytes.get_mut(..slice.len()) {
            Some(inline) => {
                inline.copy_from_slice(slice);
                Repr::Inline {
                    len: slice.len() as u8,
                    bytes,
                }
            }
            None => Repr::Shared(slice.into()),
        })
    }
}

impl From<Vec<u8>> for SmallBytes {
    fn from(bytes: Vec<u8>) -> Self {
        bytes[..].into()
    }
}

impl AsRef<[u8]> for SmallBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl PartialEq for SmallBytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SmallBytes {}

impl PartialOrd for SmallBytes {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SmallBytes {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for SmallBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_slice_that_they_were_made_of() {
        let all: Vec<u8> = (0..100).collect();
        for len in [0, 1, 37, 38, 39, 100] {
            let (slice, small) = (&all[..len], SmallBytes::from(&all[..len]));
            assert_eq!(
                (&*small, &small, small.cmp(&SmallBytes::from(slice))),
                (slice, &small.clone(), std::cmp::Ordering::Equal)
            );
            assert_eq!(
                small.cmp(&SmallBytes::from(&all[..38])),
                slice.cmp(&all[..38])
            );
        }
    }
}
