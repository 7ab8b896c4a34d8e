//! Digests: what blobs are named by.

use std::fmt;
use std::str::FromStr;

use cid::CidGeneric;
use multibase::Base;
use multihash::Multihash;
use storehouse_objectstore::SmallBytes;

use crate::error::{Error, Result};
use crate::function::HashFunction;

/// The name of a blob: a multihash, which is the code of a hash function, the length of the hash,
/// and the hash.
///
/// Code and length are unsigned varints in their shortest form, and the hash has just that length,
/// at most [`Digest::MAX_HASH_LEN`]. The function need not be one that this crate can compute: such
/// blobs can be read and listed, but not put or verified ([`Digest::function`] tells). Digests
/// compare in byte order. Cloning is cheap.
///
/// The text form is `z` and the base58btc of the whole multihash. Text is read by one parser, which
/// [`FromStr`] and serde share: a multihash in any multibase, at most [`Digest::MAX_TEXT`] bytes of
/// it, checked before anything is decoded. The CIDv1 of raw bytes (codec 0x55) is taken for the
/// multihash in it, which is the digest of the same bytes. Other CIDs are of blocks and not of
/// their bytes; they are refused, and so is base58 without its prefix.
///
/// ```
/// use storehouse_blobstore::Digest;
///
/// let digest: Digest = "zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5".parse()?;
/// assert_eq!(digest.code(), 0x12);
/// assert_eq!(digest, "bciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja".parse()?);
/// # Ok::<(), storehouse_blobstore::Error>(())
/// ```
///
/// ```
/// use storehouse_blobstore::{Digest, HashFunction};
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let function = digest.function()?;
/// assert_eq!((function, function.code(), digest.hash().len()), (HashFunction::Sha2_256, 0x12, 32));
///
/// // The multihash: code, length, hash.
/// assert_eq!(digest.as_bytes()[..2], [0x12, 32]);
/// assert_eq!(Digest::from_bytes(digest.as_bytes())?, digest);
/// assert_eq!(Digest::new(function, digest.hash())?, digest);
/// assert!(Digest::new(function, &digest.hash()[..20]).is_err(), "truncated");
/// # Ok::<(), storehouse_blobstore::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(SmallBytes);

/// The longest varint that multiformats allow, in bytes.
const MAX_VARINT: usize = 9;

impl Digest {
    /// The longest hash, in bytes (inclusive). Twice what any function in use gives, and short
    /// enough that every key of every [`KeyEncoder`](crate::KeyEncoder) here is a file name.
    pub const MAX_HASH_LEN: usize = 128;

    /// The longest multihash, in bytes (inclusive).
    const MAX_LEN: usize = MAX_VARINT + 2 + Self::MAX_HASH_LEN;

    /// The longest text that is read, in bytes (inclusive): what the longest multihash takes in
    /// base 2, and then some.
    pub const MAX_TEXT: usize = 8 * Self::MAX_LEN + 8;

    /// The digest whose multihash is `bytes`.
    ///
    /// # Errors
    /// [`Error::InvalidDigest`], which says what is wrong with them.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        match parse(bytes) {
            Ok(_) => Ok(Self(bytes.into())),
            Err(reason) => {
                let shown: String = bytes
                    .iter()
                    .take(Self::MAX_LEN)
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                Err(Error::invalid_digest(&shown, reason))
            }
        }
    }

    /// The digest with this hash by this function.
    ///
    /// # Errors
    /// [`Error::InvalidDigest`] if `hash` does not have the function's length.
    pub fn new(function: HashFunction, hash: &[u8]) -> Result<Self> {
        if hash.len() != function.hash_len() {
            return Err(Error::invalid_digest(
                &format!("{function}"),
                "the hash does not have the function's length",
            ));
        }
        Ok(Self::wrap(function, hash))
    }

    /// Puts code and length before a hash that has the function's length.
    pub(crate) fn wrap(function: HashFunction, hash: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(2 + hash.len());
        bytes.extend_from_slice(unsigned_varint::encode::u64(
            function.code(),
            &mut unsigned_varint::encode::u64_buffer(),
        ));
        bytes.extend_from_slice(unsigned_varint::encode::usize(
            hash.len(),
            &mut unsigned_varint::encode::usize_buffer(),
        ));
        bytes.extend_from_slice(hash);
        Self(bytes.into())
    }

    /// The whole multihash: code, length and hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The code of the hash function, from the table of multicodecs.
    #[must_use]
    pub fn code(&self) -> u64 {
        self.parts().0
    }

    /// The hash alone.
    #[must_use]
    pub fn hash(&self) -> &[u8] {
        self.parts().1
    }

    /// The hash function, if this crate can compute it and the hash has its length.
    ///
    /// # Errors
    /// [`Error::UnknownHash`] or [`Error::HashLength`].
    pub fn function(&self) -> Result<HashFunction> {
        let (code, hash) = self.parts();
        let Some(function) = HashFunction::from_code(code) else {
            return Err(Error::UnknownHash {
                digest: self.clone(),
                code,
            });
        };
        if hash.len() != function.hash_len() {
            return Err(Error::HashLength {
                digest: self.clone(),
                function,
                len: hash.len(),
            });
        }
        Ok(function)
    }

    fn parts(&self) -> (u64, &[u8]) {
        // Checked when the digest was made.
        parse(&self.0).unwrap_or((0, &[]))
    }
}

/// Code and hash of a multihash, or what is wrong with it.
fn parse(bytes: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let (code, rest) = varint(bytes)?;
    let (len, hash) = varint(rest)?;
    if len > Digest::MAX_HASH_LEN as u64 {
        return Err("the hash is longer than 128 bytes");
    }
    match (hash.len() as u64).cmp(&len) {
        std::cmp::Ordering::Less => Err("the hash is shorter than its length says"),
        std::cmp::Ordering::Greater => Err("bytes follow the hash"),
        std::cmp::Ordering::Equal => Ok((code, hash)),
    }
}

fn varint(bytes: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    use unsigned_varint::decode::Error as Varint;
    match unsigned_varint::decode::u64(bytes) {
        // One byte more would not fit into 63 bits.
        Ok((_, rest)) if bytes.len() - rest.len() > MAX_VARINT => {
            Err("a varint has more than 9 bytes")
        }
        Ok(decoded) => Ok(decoded),
        Err(Varint::Insufficient) => Err("it ends within a varint"),
        Err(Varint::NotMinimal) => Err("a varint is longer than it need be"),
        Err(_) => Err("a varint has more than 9 bytes"),
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::invalid_digest(text, reason);
        // Before decoding, which takes time quadratic in the length for some bases.
        if text.len() > Self::MAX_TEXT {
            return Err(invalid("the text is too long"));
        }
        // "Qm" is what base58btc of a sha2-256 multihash begins with.
        if text.len() == 46 && text.starts_with("Qm") {
            return Err(invalid(
                "it is a CIDv0, or base58 without its prefix: if it is the hash of the blob's own bytes, \
                 put 'z' before it",
            ));
        }
        let (_, bytes) = multibase::decode(text).map_err(|e| {
            invalid(match e {
                _ if is_bare(text) => BARE,
                multibase::Error::UnknownBase(_) => "the first character is no multibase prefix",
                multibase::Error::InvalidBaseString => {
                    "the text is not of the base that its first character says"
                }
            })
        })?;
        let flaw = match parse(&bytes) {
            Ok(_) => return Ok(Self(bytes.into())),
            Err(flaw) => flaw,
        };
        match cid(&bytes) {
            Some((RAW, multihash)) => Ok(Self(multihash.into())),
            Some(_) => Err(invalid(
                "it is the CID of a block that is not raw bytes, which has no digest of its bytes",
            )),
            None if is_bare(text) => Err(invalid(BARE)),
            None => Err(invalid(flaw)),
        }
    }
}

const BARE: &str = "it is the base58 of a multihash without its prefix: put 'z' before it";

/// Whether a text is a multihash in base58btc without the prefix that says so.
fn is_bare(text: &str) -> bool {
    let decoded = Base::Base58Btc.decode(text);
    decoded.is_ok_and(|bytes| matches!(parse(&bytes), Ok((_, [_, ..]))))
}

/// The codec of raw bytes.
const RAW: u64 = 0x55;

/// Codec and multihash of a CIDv1.
fn cid(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (codec, multihash) = varint(bytes.strip_prefix(&[1])?).ok()?;
    parse(multihash).ok().map(|_| (codec, multihash))
}

impl TryFrom<&str> for Digest {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(bytes)
    }
}

/// To the type of the crate `multihash`, which has room for a hash of `S` bytes.
impl<const S: usize> TryFrom<&Digest> for Multihash<S> {
    type Error = Error;

    fn try_from(digest: &Digest) -> Result<Self> {
        Self::wrap(digest.code(), digest.hash()).map_err(|_| {
            Error::invalid_digest(
                &digest.to_string(),
                "its hash is longer than there is room for",
            )
        })
    }
}

/// From the type of the crate `multihash`.
impl<const S: usize> TryFrom<&Multihash<S>> for Digest {
    type Error = Error;

    fn try_from(multihash: &Multihash<S>) -> Result<Self> {
        Self::from_bytes(multihash.to_bytes())
    }
}

/// To the CIDv1 of raw bytes, in the type of the crate `cid`.
impl<const S: usize> TryFrom<&Digest> for CidGeneric<S> {
    type Error = Error;

    fn try_from(digest: &Digest) -> Result<Self> {
        Ok(Self::new_v1(RAW, digest.try_into()?))
    }
}

/// From a CID of raw bytes.
///
/// # Errors
/// [`Error::InvalidDigest`] if it is of anything else.
impl<const S: usize> TryFrom<&CidGeneric<S>> for Digest {
    type Error = Error;

    fn try_from(cid: &CidGeneric<S>) -> Result<Self> {
        if cid.codec() == RAW {
            cid.hash().try_into()
        } else {
            Err(Error::invalid_digest(
                &cid.to_string(),
                "it is the CID of a block that is not raw bytes, which has no digest of its bytes",
            ))
        }
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&multibase::encode(Base::Base58Btc, &self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base58_without_its_prefix_is_named_for_every_function() {
        for function in HashFunction::ALL {
            for seed in 0..100_u8 {
                let digest = Digest::of(function, &[seed]).to_string();
                let error = digest[1..].parse::<Digest>().unwrap_err().to_string();
                assert!(error.contains("put 'z' before it"), "{function}: {error}");
            }
        }
        // The base58 of some begins with what is the prefix of another base.
        for code in 0x10..0x200_u64 {
            let mut bytes = unsigned_varint::encode::u64(code, &mut Default::default()).to_vec();
            bytes.extend_from_slice(&[32; 33]);
            let digest = Digest::from_bytes(&bytes).unwrap().to_string();
            let error = digest[1..].parse::<Digest>().unwrap_err().to_string();
            assert!(error.contains("put 'z' before it"), "{code:#x}: {error}");
        }
        let none = ["lorem", "11", "2222", "8!", ""];
        for text in none {
            let error = text.parse::<Digest>().unwrap_err().to_string();
            assert!(!error.contains("put 'z'"), "{error}");
        }
    }
}
