use std::fmt;

use bytes::Bytes;
use ed25519_dalek::{Verifier, VerifyingKey};

use crate::Did;

/// A signature as UCANs carry it: the varint code of its algorithm, the varint of its length, and
/// its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature {
    bytes: Bytes,
    code: u64,
    raw: usize,
}

/// The code of EdDSA.
pub(super) const EDDSA: u64 = 0xd0ed;

/// Why a signature does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not one of the key over these bytes.
    #[error("the signature is not one of the key {key}")]
    Wrong {
        /// The key.
        key: Did,
    },
    /// The issuer is no key, and none was given.
    #[error("{issuer} is no key: give the key that it signs with")]
    KeyNeeded {
        /// The issuer.
        issuer: Did,
    },
    /// The issuer is a key, and another was given.
    #[error("{issuer} is a key itself, and not the one given")]
    OtherKey {
        /// The issuer.
        issuer: Did,
    },
    /// Who issued it is not said, and no key was given.
    #[error("it does not say who issued it: give the key that it was signed with")]
    NoIssuer,
    /// An algorithm or a key of a kind that cannot be checked here.
    #[error("only ed25519 can be checked, not {0}")]
    Algorithm(String),
}

impl Signature {
    /// The signature in these bytes; `None` if they are none.
    pub(super) fn parse(bytes: Bytes) -> Option<Self> {
        let (code, rest) = varint(&bytes)?;
        let (len, raw) = varint(rest)?;
        let (code, raw) =
            (usize::try_from(len).ok()? == raw.len()).then_some((code, bytes.len() - raw.len()))?;
        Some(Self { bytes, code, raw })
    }

    pub(super) fn ed25519(raw: &[u8; 64]) -> Self {
        let bytes = Bytes::from([&[0xed, 0xa1, 0x03, 64][..], raw].concat());
        Self {
            bytes,
            code: EDDSA,
            raw: 4,
        }
    }

    /// All of it: code, length and signature.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The algorithm's code, from the table of multicodecs. EdDSA is 0xd0ed.
    #[must_use]
    pub fn code(&self) -> u64 {
        self.code
    }

    /// The signature alone.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.bytes[self.raw..]
    }

    /// Whether it is `issuer`'s over `message`.
    pub(super) fn verify(
        &self,
        issuer: Option<&Did>,
        given: Option<&Did>,
        message: &[u8],
    ) -> Result<(), SignatureError> {
        let key = match (issuer, given) {
            (Some(issuer), Some(given)) if issuer.method() == "key" && issuer != given => {
                return Err(SignatureError::OtherKey {
                    issuer: issuer.clone(),
                });
            }
            (_, Some(given)) => given,
            (Some(issuer), None) if issuer.method() == "key" => issuer,
            (Some(issuer), None) => {
                return Err(SignatureError::KeyNeeded {
                    issuer: issuer.clone(),
                });
            }
            (None, None) => return Err(SignatureError::NoIssuer),
        };
        let bytes = key
            .ed25519()
            .ok_or_else(|| SignatureError::Algorithm(format!("the key {key}")))?;
        if self.code != EDDSA {
            return Err(SignatureError::Algorithm(format!(
                "the signature algorithm {:#x}",
                self.code
            )));
        }
        let wrong = || SignatureError::Wrong { key: key.clone() };
        let signature = self.raw().try_into().map_err(|_| wrong())?;
        let verifying = VerifyingKey::from_bytes(bytes).map_err(|_| wrong())?;
        verifying
            .verify(message, &ed25519_dalek::Signature::from_bytes(signature))
            .map_err(|_| wrong())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:#x}, {} bytes)", self.code, self.raw().len())
    }
}

/// A varint in at most 9 bytes, and what follows it.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (index == 0 || *byte != 0).then_some((value, &bytes[index + 1..]));
        }
    }
    None
}
