use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use ed25519_dalek::{StreamVerifier, VerifyingKey};

use crate::dag_json::JsonError;
use crate::{Did, varint};

/// A signature as UCANs carry it: the varint code of its algorithm, the varint of its length, and
/// its bytes.
///
/// ```
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept", signer.did().to_string());
/// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
/// let signature = delegation.signature();
/// assert_eq!((signature.code(), signature.raw().len()), (0xd0ed, 64)); // EdDSA
/// assert!(signature.as_bytes().ends_with(signature.raw()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// What is signed takes too much more room than its record: a delegation is signed as JSON.
    #[error("what is signed takes too much more room than its record")]
    TooLarge,
    /// An algorithm or a key of a kind that cannot be checked here.
    #[error("only ed25519 can be checked, not {0}")]
    Algorithm(String),
}

impl Signature {
    /// The signature in these bytes; `None` if they are none.
    pub(super) fn parse(bytes: Bytes) -> Option<Self> {
        let (code, rest) = varint::read(&bytes)?;
        let (len, raw) = varint::read(rest)?;
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

    /// Whether it is `issuer`'s over what `write` writes.
    pub(super) fn verify(
        &self,
        issuer: Option<&Did>,
        given: Option<&Did>,
        write: impl FnOnce(&mut Message) -> Result<(), JsonError>,
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
        let mut message = verifying
            .verify_stream(&ed25519_dalek::Signature::from_bytes(signature))
            .map(Message)
            .map_err(|_| wrong())?;
        write(&mut message).map_err(|_| SignatureError::TooLarge)?;
        message.0.finalize_and_verify().map_err(|_| wrong())
    }
}

/// A message that is verified while it is written, so that none of it is kept.
pub(super) struct Message(StreamVerifier);

impl Write for Message {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({:#x}, {} bytes)", self.code, self.raw().len())
    }
}
