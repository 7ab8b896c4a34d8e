//! Keys: where a blob lies in an object store.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use multibase::Base;
use storehouse_objectstore::{Key, Result};

use crate::Digest;

/// Turns digests into keys and back.
///
/// `Arc<E>` and `Box<E>` (also of `dyn`) are encoders, so that configuration can pick one at run
/// time.
///
/// ```
/// use storehouse_blobstore::{Digest, HashFunction, KeyEncoder, S3Keys};
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let key = S3Keys.encode(&digest)?;
/// assert!(key.as_str().ends_with(".data"));
/// assert_eq!(S3Keys.decode(&key), Some(digest.clone()));
///
/// let legacy = S3Keys.encode_legacy(&digest)?.unwrap();
/// assert!(!legacy.as_str().contains('/'));
/// assert_eq!(S3Keys.decode(&legacy), Some(digest));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait KeyEncoder: Debug + Send + Sync + 'static {
    /// The key that a blob is written under. Two digests never share one.
    ///
    /// # Errors
    /// [`InvalidKey`](storehouse_objectstore::Error::InvalidKey) if the digest has none. The
    /// encoders of this crate have one for every digest.
    fn encode(&self, digest: &Digest) -> Result<Key>;

    /// A second key that a blob may lie under, written by an older program. Blobs are found and
    /// deleted there too, but not written.
    ///
    /// # Errors
    /// As [`KeyEncoder::encode`].
    fn encode_legacy(&self, digest: &Digest) -> Result<Option<Key>>;

    /// The digest of which `key` is the key or the legacy key, exactly; `None` if it is neither of
    /// any.
    fn decode(&self, key: &Key) -> Option<Digest>;
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        impl<E: KeyEncoder + ?Sized> KeyEncoder for $pointer<E> {
            fn encode(&self, digest: &Digest) -> Result<Key> {
                self.deref().encode(digest)
            }

            fn encode_legacy(&self, digest: &Digest) -> Result<Option<Key>> {
                self.deref().encode_legacy(digest)
            }

            fn decode(&self, key: &Key) -> Option<Digest> {
                self.deref().decode(key)
            }
        }
    )*};
}

forward!(Arc, Box);

/// Keys for a flatfs directory: lower-case base32 of the multihash (RFC 4648, no padding, no
/// multibase prefix). flatfs adds the shard and `.data` itself. The same as Piri's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlatfsKeys;

impl KeyEncoder for FlatfsKeys {
    fn encode(&self, digest: &Digest) -> Result<Key> {
        Key::new(base32(digest))
    }

    fn encode_legacy(&self, _: &Digest) -> Result<Option<Key>> {
        Ok(None)
    }

    fn decode(&self, key: &Key) -> Option<Digest> {
        from_base32(key.as_str())
    }
}

/// Keys for an S3 bucket: `{shard}/{b32}.data`, where `b32` is the key of [`FlatfsKeys`] and the
/// shard the two characters before its last, so that a bucket and a flatfs directory list alike.
/// The same as Piri's; Piri v0.2.3's plain `{b32}` is the legacy key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct S3Keys;

impl KeyEncoder for S3Keys {
    fn encode(&self, digest: &Digest) -> Result<Key> {
        let text = base32(digest);
        // The shortest multihash has two bytes, so four characters.
        let shard = text
            .len()
            .checked_sub(3)
            .and_then(|start| text.get(start..start + 2))
            .unwrap_or("__");
        Key::new(format!("{shard}/{text}.data"))
    }

    fn encode_legacy(&self, digest: &Digest) -> Result<Option<Key>> {
        Key::new(base32(digest)).map(Some)
    }

    fn decode(&self, key: &Key) -> Option<Digest> {
        let Some((_, name)) = key.as_str().split_once('/') else {
            return from_base32(key.as_str());
        };
        let digest = from_base32(name.strip_suffix(".data")?)?;
        self.encode(&digest)
            .is_ok_and(|encoded| encoded == *key)
            .then_some(digest)
    }
}

/// Keys for a store in memory: the digest's own text, `z` and base58btc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlainKeys;

impl KeyEncoder for PlainKeys {
    fn encode(&self, digest: &Digest) -> Result<Key> {
        Key::new(digest.to_string())
    }

    fn encode_legacy(&self, _: &Digest) -> Result<Option<Key>> {
        Ok(None)
    }

    fn decode(&self, key: &Key) -> Option<Digest> {
        let digest: Digest = key.as_str().parse().ok()?;
        (digest.to_string() == key.as_str()).then_some(digest)
    }
}

fn base32(digest: &Digest) -> String {
    Base::Base32Lower.encode(digest.as_bytes())
}

fn from_base32(text: &str) -> Option<Digest> {
    let digest = Digest::from_bytes(Base::Base32Lower.decode(text).ok()?).ok()?;
    (base32(&digest) == text).then_some(digest)
}
