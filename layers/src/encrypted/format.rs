//! Header, sizes, and the cipher of one object.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use storehouse_objectstore::Key;
use zeroize::{Zeroize, Zeroizing};

use super::keys::EncryptionKeys;

const MAGIC: [u8; 8] = [0x89, b'S', b'H', b'E', b'\r', b'\n', 0x1a, 1];

/// What the derivation of an object's key begins with.
const CONTEXT: &[u8] = b"storehouse encrypted object 1";

/// The length of the header, in bytes.
pub(super) const HEADER: usize = 56;

/// The content of a frame, in bytes.
pub(super) const FRAME: u64 = 64 * 1024;

/// The length of a frame's tag, in bytes.
pub(super) const TAG: u64 = 16;

/// The number of frames of a content: one at least.
pub(super) fn frames(size: u64) -> u64 {
    size.div_ceil(FRAME).max(1)
}

/// The size of the inner object.
pub(super) fn stored_len(size: u64) -> u64 {
    HEADER as u64 + size + TAG * frames(size)
}

/// The size of the content of an inner object; `None` if no content gives one of this size.
pub(super) fn content_len(stored: u64) -> Option<u64> {
    let body = stored.checked_sub(HEADER as u64)?;
    let size = body.checked_sub(TAG * body.div_ceil(FRAME + TAG).max(1))?;
    (stored_len(size) == stored).then_some(size)
}

/// The size of the largest content whose inner object has at most this size; 0 if not even that of
/// an empty content does.
pub(super) fn largest_content(stored: u64) -> u64 {
    let room = stored.saturating_sub(HEADER as u64);
    room / (FRAME + TAG) * FRAME + (room % (FRAME + TAG)).saturating_sub(TAG)
}

/// The header of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    id: [u8; 16],
    salt: [u8; 32],
}

impl Header {
    /// Of a new object, under the current key.
    pub(super) fn new(keys: &EncryptionKeys) -> Result<Self, getrandom::Error> {
        let mut header = Self {
            id: [0; 16],
            salt: [0; 32],
        };
        // An id has at most 16 bytes.
        let id = keys.current().as_bytes();
        header.id[..id.len()].copy_from_slice(id);
        getrandom::fill(&mut header.salt)?;
        Ok(header)
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..24].copy_from_slice(&self.id);
        bytes[24..].copy_from_slice(&self.salt);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Err("it is shorter than a header");
        };
        if bytes[..8] != MAGIC {
            return Err("it does not begin as one");
        }
        let mut header = Self {
            id: [0; 16],
            salt: [0; 32],
        };
        header.id.copy_from_slice(&bytes[8..24]);
        header.salt.copy_from_slice(&bytes[24..]);
        Ok(header)
    }

    /// The id of the key.
    pub(super) fn id(&self) -> &str {
        let len = self.id.iter().position(|byte| *byte == 0).unwrap_or(16);
        str::from_utf8(&self.id[..len]).unwrap_or_default()
    }
}

/// The cipher of one object.
pub(super) struct ObjectCipher {
    /// Its nonces are numbers of frames, each used for one content: the key is the object's own.
    cipher: LessSafeKey,
    frames: u64,
}

impl ObjectCipher {
    /// For the object of this name and size; `None` if its key is not among `keys`.
    pub(super) fn new(
        keys: &EncryptionKeys,
        header: &Header,
        name: &Key,
        size: u64,
    ) -> Option<Self> {
        let mut hasher = blake3::Hasher::new_keyed(keys.get(header.id())?);
        hasher.update(CONTEXT);
        hasher.update(&header.salt);
        hasher.update(&header.id);
        hasher.update(&size.to_le_bytes());
        hasher.update(name.as_str().as_bytes());
        let mut derived = hasher.finalize();
        hasher.zeroize();
        let key = Zeroizing::new(*derived.as_bytes());
        derived.zeroize();
        Some(Self {
            // The key has the length of the algorithm's.
            cipher: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key[..]).ok()?),
            frames: frames(size),
        })
    }

    fn nonce(&self, frame: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&frame.to_le_bytes());
        nonce[11] = u8::from(frame + 1 == self.frames);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts a frame, and puts its tag behind it.
    pub(super) fn seal(&self, frame: u64, content: &mut Vec<u8>) -> bool {
        self.cipher
            .seal_in_place_append_tag(self.nonce(frame), Aad::empty(), content)
            .is_ok()
    }

    /// Decrypts a frame; false if it is not what was encrypted.
    pub(super) fn open(&self, frame: u64, stored: &mut Vec<u8>) -> bool {
        let opened = self
            .cipher
            .open_in_place(self.nonce(frame), Aad::empty(), stored)
            .map(|content| content.len());
        stored.truncate(opened.unwrap_or_default());
        opened.is_ok()
    }
}

impl std::fmt::Debug for ObjectCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectCipher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sizes_are_found_again(size in 0..1_u64 << 50, small in 0..300_000_u64) {
            for size in [size, small] {
                prop_assert_eq!(content_len(stored_len(size)), Some(size));
            }
        }

        #[test]
        fn no_room_is_lost(large in 1_u64 << 20..1 << 50, small in 72..300_000_u64) {
            for room in [large, small] {
                let most = largest_content(room);
                prop_assert!(stored_len(most) <= room && stored_len(most + 1) > room);
            }
        }

        #[test]
        fn any_size_is_some_or_none(stored: u64) {
            if let Some(size) = content_len(stored) {
                prop_assert_eq!(stored_len(size), stored);
            }
        }

        #[test]
        fn any_bytes_are_a_header_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(header) = Header::parse(&bytes) {
                header.id();
                prop_assert_eq!(&header.to_bytes()[..], &bytes[..HEADER]);
            }
        }
    }
}
