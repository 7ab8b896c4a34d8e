//! Decentralised identifiers: whose a space, a delegation or a receipt is.

use std::fmt;
use std::str::FromStr;

use multibase::Base;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::{Error, Result, base58};

/// A DID, as text (`did:key:z6Mk…`, `did:web:example.com`) and as bytes.
///
/// The bytes are a code as an unsigned varint and what it says: `ed 01` and the 32 bytes of an
/// ed25519 key, `85 24` and an RSA key, or `9d 1a` and, for any other method, the text after
/// `did:`. Text is read by one parser, which [`FromStr`] and serde share: at most
/// [`Did::MAX_TEXT`] bytes, checked before anything is decoded.
///
/// The method is made of `a-z` and `0-9`. The identifier is made of what may stand in a segment of
/// a URL's path (RFC 3986, section 3.3) but `;`: letters, digits, `-._~!$&'()*+,=:@` and `%hh`.
/// That is more than W3C's *Decentralized Identifiers (DIDs) v1.0*, section 3.1, allows, because
/// methods are used that escape less: `did:mailto:example.com:o'brien`. A DID is always a single
/// segment of a key: `did:web:../../x` is none. Cloning is cheap.
///
/// ```
/// use storehouse_formats::Did;
///
/// let did: Did = "did:web:example.com".parse()?;
/// assert_eq!(did.as_bytes(), b"\x9d\x1aweb:example.com");
/// assert_eq!(did.method(), "web");
/// assert!("did:web:../../etc/passwd".parse::<Did>().is_err());
/// # Ok::<(), storehouse_formats::Error>(())
/// ```
///
/// ```
/// use storehouse_formats::Did;
///
/// # let public_key = [7; 32];
/// let did = Did::from_ed25519(&public_key);
/// assert_eq!((did.method(), did.ed25519()), ("key", Some(&public_key)));
/// assert_eq!(Did::from_bytes(did.as_bytes())?, did);
/// assert!(Did::from_bytes(b"\xed\x01short").is_err());
///
/// let mut text = String::from("space ");
/// did.write_to(&mut text);
/// assert!(text.starts_with("space did:key:z6Mk"));
/// # Ok::<(), storehouse_formats::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did(SmallVec<[u8; INLINE]>);

/// A DID of this many bytes takes no memory of its own: the one of an ed25519 key has 34.
const INLINE: usize = 38;

const ED25519: [u8; 2] = [0xed, 0x01];
const RSA: [u8; 2] = [0x85, 0x24];
const OTHER: [u8; 2] = [0x9d, 0x1a];

impl Did {
    /// The most bytes (inclusive). The key of an RSA-4096 is 526; in base58 with the longest digest
    /// before it, it is still a key.
    pub const MAX_BYTES: usize = 576;

    /// The longest text that is read, in bytes (inclusive): what the longest DID takes in base58.
    pub const MAX_TEXT: usize = 800;

    /// The DID with these bytes.
    ///
    /// # Errors
    /// [`Error::InvalidDid`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match flaw(bytes) {
            None => Ok(Self(SmallVec::from_slice(bytes))),
            Some(reason) => Err(Error::InvalidDid {
                did: bytes
                    .iter()
                    .take(32)
                    .map(|byte| format!("{byte:02x}"))
                    .collect(),
                reason,
            }),
        }
    }

    /// The `did:key` of an ed25519 public key.
    #[must_use]
    pub fn from_ed25519(key: &[u8; 32]) -> Self {
        Self(SmallVec::from_slice(&[&ED25519[..], key].concat()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The method: `key`, `web` and so on.
    #[must_use]
    pub fn method(&self) -> &str {
        self.other()
            .and_then(|text| text.split(':').next())
            .unwrap_or("key")
    }

    /// The ed25519 public key, if this is the `did:key` of one.
    #[must_use]
    pub fn ed25519(&self) -> Option<&[u8; 32]> {
        self.0.strip_prefix(&ED25519)?.try_into().ok()
    }

    /// Appends the text to `out`.
    pub fn write_to(&self, out: &mut String) {
        out.push_str("did:");
        match self.other() {
            Some(text) => out.push_str(text),
            None => {
                out.push_str("key:z");
                base58::encode_to(out, &self.0);
            }
        }
    }

    /// The text after `did:`, unless this is a key.
    fn other(&self) -> Option<&str> {
        std::str::from_utf8(self.0.strip_prefix(&OTHER)?).ok()
    }
}

/// What keeps `bytes` from being a DID, if anything does.
fn flaw(bytes: &[u8]) -> Option<&'static str> {
    if bytes.len() > Did::MAX_BYTES {
        return Some("it has more than 576 bytes");
    }
    let Some((code, payload)) = bytes.split_first_chunk::<2>() else {
        return Some("it is too short");
    };
    match *code {
        ED25519 if payload.len() == 32 => None,
        ED25519 => Some("an ed25519 key has 32 bytes"),
        RSA if !payload.is_empty() => None,
        RSA => Some("the key is missing"),
        OTHER => flaw_in_text(payload),
        _ => Some("its code is none of ed25519 (0xed), RSA (0x1205) and other methods (0x0d1d)"),
    }
}

/// `method-name ":" method-specific-id`, other than `key`.
fn flaw_in_text(text: &[u8]) -> Option<&'static str> {
    let Some(colon) = text.iter().position(|byte| *byte == b':') else {
        return Some("it has no method and identifier");
    };
    let (method, id) = (&text[..colon], &text[colon + 1..]);
    if method.is_empty()
        || !method
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    {
        return Some("a method's name is made of a-z and 0-9");
    }
    if method == b"key" {
        return Some("a did:key is not written as text");
    }
    if id.is_empty() || id.ends_with(b":") {
        return Some("its identifier is empty or ends with ':'");
    }
    let mut rest = id;
    while let Some((byte, after)) = rest.split_first() {
        rest = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' => after,
            b'-' | b'.' | b'_' | b'~' | b'@' => after,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' => after,
            b'%' if after.len() >= 2 && after[..2].iter().all(u8::is_ascii_hexdigit) => &after[2..],
            _ => {
                return Some("an identifier is made of letters, digits, -._~!$&'()*+,=:@ and %hh");
            }
        };
    }
    None
}

impl FromStr for Did {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::did(text, reason);
        // Before decoding, which takes time quadratic in the length.
        if text.len() > Self::MAX_TEXT {
            return Err(invalid("the text is longer than 800 bytes"));
        }
        let rest = text
            .strip_prefix("did:")
            .ok_or_else(|| invalid("it does not start with \"did:\""))?;
        let bytes = match rest.strip_prefix("key:") {
            Some(key) => key
                .strip_prefix('z')
                .and_then(|digits| Base::Base58Btc.decode(digits).ok())
                .ok_or_else(|| invalid("a did:key is 'z' and base58btc"))?,
            None => [&OTHER[..], rest.as_bytes()].concat(),
        };
        if let Some(reason) = flaw(&bytes) {
            return Err(invalid(reason));
        }
        let did = Self(SmallVec::from_slice(&bytes));
        // The bytes of another method as a did:key would have two texts.
        if rest.starts_with("key:") && did.other().is_some() {
            Err(invalid("it is not a key's"))
        } else {
            Ok(did)
        }
    }
}

impl TryFrom<&str> for Did {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(16 + 2 * self.0.len());
        self.write_to(&mut text);
        f.pad(&text)
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Did {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Did {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DidVisitor)
    }
}

struct DidVisitor;

impl Visitor<'_> for DidVisitor {
    type Value = Did;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a DID")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Did, E> {
        text.parse().map_err(E::custom)
    }
}
