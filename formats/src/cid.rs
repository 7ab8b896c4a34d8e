//! Content identifiers.

use std::fmt;
use std::str::FromStr;

use cid::serde::CID_SERDE_PRIVATE_IDENTIFIER;
use multibase::Base;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::{Error, Result, base58, multibase as bounded, varint};

/// A content identifier, version 0 or 1, with a hash of any length.
///
/// A CIDv1 is four varints (version, codec, hash function, length of the hash) and the hash; a
/// CIDv0 is a sha2-256 multihash, which stands for a dag-pb block. Text is read by one parser,
/// which [`FromStr`] and serde share and which refuses before it decodes:
///
/// - at most [`Cid::MAX_TEXT`] bytes (inclusive), and in a base that is no power of two (base58,
///   base36 and others) at most [`MAX_QUADRATIC`](bounded::MAX_QUADRATIC), because decoding those
///   takes quadratic time;
/// - the CID alone: no path, no URL.
///
/// With serde it is this text in formats for people, such as JSON; a link in dag-cbor (by the name
/// that the crate `cid` uses); bytes in others.
///
/// It is written in base32 (`b…`), or in base58 without a prefix (`Qm…`) if it is a CIDv0. CIDs
/// compare in byte order. Cloning is cheap for hashes of up to 32 bytes, and copies longer ones.
///
/// Source of the format: the multiformats project's *CID (Content IDentifier) Specification*.
///
/// ```
/// use storehouse_formats::Cid;
///
/// let cid: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// assert_eq!((cid.version(), cid.codec(), cid.hash_code()), (1, 0x71, 0x12));
/// assert_eq!(Cid::from_bytes(cid.as_bytes())?, cid);
/// assert!("/ipfs/bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse::<Cid>().is_err());
/// # Ok::<(), storehouse_formats::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid(SmallVec<[u8; INLINE]>);

/// A CID of this many bytes takes no memory of its own: one by a hash of 32 bytes has 36 or 38.
const INLINE: usize = 38;
const DAG_PB: u64 = 0x70;
/// The text of a CIDv0 has just this length.
const V0_TEXT: usize = 46;

impl Cid {
    /// The longest text that is read, in bytes (inclusive). CIDs that hold a whole block come near
    /// it; those by a hash have some 60.
    pub const MAX_TEXT: usize = 128 << 10;

    /// The CIDv1 of a block with this codec, hash function and hash. The codes are those of the
    /// table of multicodecs.
    ///
    /// ```
    /// use storehouse_formats::Cid;
    ///
    /// assert_eq!(Cid::v1(0x55, 0x00, b"hello").to_string(), "bafkqablimvwgy3y");
    /// ```
    #[must_use]
    pub fn v1(codec: u64, hash_code: u64, hash: &[u8]) -> Self {
        let mut bytes = SmallVec::new();
        for number in [1, codec, hash_code, hash.len() as u64] {
            varint::write(&mut bytes, number);
        }
        bytes.extend_from_slice(hash);
        Self(bytes)
    }

    /// The CID that `bytes` are, and nothing more.
    ///
    /// # Errors
    /// [`Error::InvalidCid`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match Self::split(bytes) {
            Ok((cid, [])) => Ok(cid),
            Ok(_) => Err(Error::cid("the bytes", "bytes follow it")),
            Err(reason) => Err(Error::cid("the bytes", reason)),
        }
    }

    /// The CID that `bytes` begin with, and what follows it; or what is wrong.
    pub(crate) fn split(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let len = parse(bytes)?.len;
        let (cid, rest) = bytes.split_at(len);
        Ok((Self(SmallVec::from_slice(cid)), rest))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// 0 or 1.
    #[must_use]
    pub fn version(&self) -> u8 {
        u8::from(self.0.first() == Some(&1))
    }

    /// The codec of the block.
    #[must_use]
    pub fn codec(&self) -> u64 {
        self.parts().codec
    }

    /// The code of the hash function; 0 if the "hash" is the block itself.
    #[must_use]
    pub fn hash_code(&self) -> u64 {
        self.parts().hash_code
    }

    /// The hash alone.
    ///
    /// ```
    /// use storehouse_formats::Cid;
    ///
    /// assert_eq!(Cid::v1(0x55, 0x00, b"hi").hash(), b"hi");
    /// ```
    #[must_use]
    pub fn hash(&self) -> &[u8] {
        &self.0[self.parts().hash..]
    }

    /// The multihash: hash function, length and hash.
    ///
    /// ```
    /// use storehouse_formats::Cid;
    ///
    /// assert_eq!(Cid::v1(0x55, 0x00, b"hi").multihash(), b"\x00\x02hi");
    /// ```
    #[must_use]
    pub fn multihash(&self) -> &[u8] {
        &self.0[self.parts().multihash..]
    }

    fn parts(&self) -> Parts {
        // Checked when the CID was made.
        parse(&self.0).unwrap_or_default()
    }
}

/// Where the parts of a CID lie in its bytes, and what they say.
#[derive(Default)]
struct Parts {
    codec: u64,
    hash_code: u64,
    multihash: usize,
    hash: usize,
    len: usize,
}

fn parse(bytes: &[u8]) -> Result<Parts, &'static str> {
    const ENDS: &str = "it ends in the middle, or a number in it is not a minimal varint";
    let (codec, start) = if bytes.starts_with(&[0x12, 0x20]) {
        (DAG_PB, bytes)
    } else {
        let (version, rest) = varint::read(bytes).ok_or(ENDS)?;
        if version != 1 {
            return Err("its version is neither 0 nor 1");
        }
        varint::read(rest).ok_or(ENDS)?
    };
    let (hash_code, rest) = varint::read(start).ok_or(ENDS)?;
    let (size, rest) = varint::read(rest).ok_or(ENDS)?;
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= rest.len())
        .ok_or("its hash is shorter than its length says")?;
    let hash = bytes.len() - rest.len();
    Ok(Parts {
        codec,
        hash_code,
        multihash: bytes.len() - start.len(),
        hash,
        len: hash + size,
    })
}

impl FromStr for Cid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::cid(text, reason);
        if text.len() > Self::MAX_TEXT {
            return Err(invalid("the text is longer than 131,072 bytes"));
        }
        if text.starts_with("Qm") {
            if text.len() != V0_TEXT {
                return Err(invalid("a CIDv0 has 46 characters"));
            }
            let bytes = Base::Base58Btc
                .decode(text)
                .map_err(|_| invalid("a CIDv0 is base58btc"))?;
            return match bytes.as_slice() {
                [0x12, 0x20, hash @ ..] if hash.len() == 32 => Ok(Self(SmallVec::from_vec(bytes))),
                _ => Err(invalid("a CIDv0 is by sha2-256")),
            };
        }
        if text.contains('/') && !text.starts_with('m') && !text.starts_with('M') {
            return Err(invalid("it is a path: give the CID alone"));
        }
        let bytes = bounded::decode(text).map_err(invalid)?;
        match Self::split(&bytes) {
            Ok((cid, [])) if cid.version() == 1 => Ok(cid),
            Ok((_, [])) => Err(invalid("a CIDv0 has no multibase prefix")),
            Ok(_) => Err(invalid("bytes follow it")),
            Err(reason) => Err(invalid(reason)),
        }
    }
}

impl TryFrom<&str> for Cid {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl TryFrom<&[u8]> for Cid {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(bytes)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version() == 0 {
            let mut text = String::with_capacity(V0_TEXT);
            base58::encode_to(&mut text, &self.0);
            f.pad(&text)
        } else {
            f.pad(&multibase::encode(Base::Base32Lower, &self.0))
        }
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From the type of the crate `cid`, whatever the room that has for a hash.
impl<const S: usize> From<&cid::CidGeneric<S>> for Cid {
    fn from(cid: &cid::CidGeneric<S>) -> Self {
        Self(SmallVec::from_vec(cid.to_bytes()))
    }
}

impl<const S: usize> From<cid::CidGeneric<S>> for Cid {
    fn from(cid: cid::CidGeneric<S>) -> Self {
        (&cid).into()
    }
}

/// To the type of the crate `cid`, which has room for a hash of `S` bytes.
impl<const S: usize> TryFrom<&Cid> for cid::CidGeneric<S> {
    type Error = Error;

    fn try_from(cid: &Cid) -> Result<Self> {
        Self::try_from(cid.as_bytes()).map_err(|_| {
            Error::cid(
                &cid.to_string(),
                "its hash is longer than there is room for",
            )
        })
    }
}

/// As text in formats for people, else as bytes.
impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            // By this name dag-cbor knows a link, and writes tag 42; to other formats it is bytes.
            let bytes = serde_bytes::Bytes::new(self.as_bytes());
            serializer.serialize_newtype_struct(CID_SERDE_PRIVATE_IDENTIFIER, bytes)
        }
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(CidVisitor)
        } else {
            deserializer.deserialize_newtype_struct(CID_SERDE_PRIVATE_IDENTIFIER, CidVisitor)
        }
    }
}

struct CidVisitor;

impl<'de> Visitor<'de> for CidVisitor {
    type Value = Cid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CID")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cid, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Cid, E> {
        Cid::from_bytes(bytes).map_err(E::custom)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Cid, D::Error> {
        inner.deserialize_bytes(self)
    }
}
