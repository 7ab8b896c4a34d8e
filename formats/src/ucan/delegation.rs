use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::car::{Archive, CAR_CODEC, write_varint};
use bytes::Bytes;
use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use multibase::Base;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::archive::{DELEGATION_TAG, parse, root, variant};
use super::lazy::Lazy;
use super::payload::{Claims, Payload};
use super::signature::varint;
use super::{Capability, Signature, SignatureError};
use crate::{Did, Error, Result};

const WHAT: &str = "delegation";

/// A UCAN delegation (an invocation is one too) with the blocks of its archive: its proofs, and
/// what was attached.
///
/// It is the archive, byte for byte as it came, and a view of it. Making one hashes every block,
/// but checks no signature: [`verify_signature`](Self::verify_signature) does. The text form is a
/// multibase base64 of a CID that holds the archive. Cloning is cheap.
#[derive(Clone)]
pub struct Delegation(Arc<Parts>);

struct Parts {
    archive: Archive,
    cid: Cid,
    payload: Payload,
    claims: Lazy<Claims>,
    signature: Signature,
}

impl Delegation {
    /// The delegation whose archive is `bytes`. Of them nothing is copied.
    ///
    /// # Errors
    /// [`Error::Car`], also if there is not exactly one root, or it is not in the archive;
    /// [`Error::Archive`], [`Error::DagCbor`].
    pub fn decode(bytes: Bytes) -> Result<Self> {
        let archive = parse(WHAT, bytes)?;
        let (_, block) = root(WHAT, &archive)?;
        let cid = variant(block, DELEGATION_TAG).ok_or(Error::Archive {
            what: WHAT,
            reason: "its root is not {\"ucan@0.9.1\": link}",
        })?;
        Self::at(archive, cid)
    }

    /// The delegation that is the block `cid` of `archive`.
    pub(super) fn at(archive: Archive, cid: Cid) -> Result<Self> {
        let block = archive.block(&cid).ok_or(Error::Archive {
            what: WHAT,
            reason: "the block that its root links to is not in it",
        })?;
        let (payload, signature) = Payload::read(block).map_err(|source| Error::DagCbor {
            what: "a UCAN",
            source,
        })?;
        let claims = Lazy::new(block.clone(), |block| {
            Claims::read(block).unwrap_or_default()
        });
        Ok(Self(Arc::new(Parts {
            archive,
            cid,
            payload,
            claims,
            signature,
        })))
    }

    /// The archive, byte for byte as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        self.0.archive.as_bytes()
    }

    /// The CID of its UCAN block, by which it is linked to and found.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.cid
    }

    /// All blocks of the archive, in their order.
    #[must_use]
    pub fn blocks(&self) -> &[(Cid, Bytes)] {
        self.0.archive.blocks()
    }

    /// Who issued it.
    #[must_use]
    pub fn issuer(&self) -> &Did {
        &self.0.payload.issuer
    }

    /// Whom it is for.
    #[must_use]
    pub fn audience(&self) -> &Did {
        &self.0.payload.audience
    }

    /// What it allows, or invokes. Decoded when first asked for, as facts are: values may take some
    /// 200 times the room of their bytes.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.0.claims.get().capabilities
    }

    /// When it expires, in seconds since the start of 1970, UTC; `None` if it never does.
    #[must_use]
    pub fn expiration(&self) -> Option<u64> {
        self.0.payload.expiration
    }

    /// From when on it is valid, in seconds since the start of 1970, UTC; `None` if it always was.
    #[must_use]
    pub fn not_before(&self) -> Option<u64> {
        self.0.payload.not_before
    }

    /// What makes it unlike others, if it has that.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.0.payload.nonce.as_deref()
    }

    /// Facts, each a map.
    #[must_use]
    pub fn facts(&self) -> &[Ipld] {
        self.0.claims.get().facts.as_deref().unwrap_or_default()
    }

    /// The delegations that it rests on, whether or not they are in the archive.
    #[must_use]
    pub fn proofs(&self) -> &[Cid] {
        &self.0.payload.proofs
    }

    /// A delegation of which the UCAN block is in this archive: a proof, or a proof's proof. `None`
    /// if it is not there.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn embedded(&self, cid: &Cid) -> Result<Option<Self>> {
        match self.0.archive.block(cid) {
            Some(_) => Self::at(self.0.archive.clone(), *cid).map(Some),
            None => Ok(None),
        }
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.0.signature
    }

    /// Checks the issuer's signature, and nothing else: not the proofs, not the time, not who it is
    /// for. `key` is the `did:key` that the issuer signs with; a `did:key` issuer needs none.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, key: Option<&Did>) -> Result<(), SignatureError> {
        self.0.signature.verify(
            Some(self.issuer()),
            key,
            self.0.payload.signed(self.0.claims.get()).as_bytes(),
        )
    }

    /// The text form: `m` and the base64 of a CIDv1 with the codec of CAR and an identity
    /// multihash, which holds the archive.
    #[must_use]
    pub fn to_text(&self) -> String {
        let archive = self.as_bytes();
        let mut bytes = Vec::with_capacity(archive.len() + 16);
        bytes.push(1);
        write_varint(&mut bytes, CAR_CODEC);
        bytes.push(0);
        write_varint(&mut bytes, archive.len() as u64);
        bytes.extend_from_slice(archive);
        multibase::encode(Base::Base64, bytes)
    }
}

impl FromStr for Delegation {
    type Err = Error;

    /// Reads the text form, in any multibase whose reading takes time in proportion.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::Text {
            what: "text of a delegation",
            reason,
        };
        // The bases that are no power of two take quadratic time.
        if !text.starts_with(['m', 'M', 'u', 'U', 'b', 'B', 'c', 'C', 'f', 'F']) {
            return Err(invalid("it is not of base16, base32 or base64"));
        }
        let (_, bytes) = multibase::decode(text)
            .map_err(|_| invalid("it is not of the base that its first character says"))?;
        let parse = || {
            let (version, rest) = varint(&bytes)?;
            let (codec, rest) = varint(rest)?;
            let (hash, rest) = varint(rest)?;
            let (len, rest) = varint(rest)?;
            ((version, codec, hash) == (1, CAR_CODEC, 0) && len == rest.len() as u64)
                .then_some(bytes.len() - rest.len())
        };
        let start = parse().ok_or_else(|| invalid("it is not a CID that holds a CAR"))?;
        Self::decode(Bytes::from(bytes).slice(start..))
    }
}

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_text())
    }
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            cid,
            payload,
            claims,
            ..
        } = &*self.0;
        f.debug_struct("Delegation")
            .field("cid", &cid.to_string())
            .field("payload", payload)
            .field("claims", claims)
            .finish_non_exhaustive()
    }
}

/// The same archive, byte for byte.
impl PartialEq for Delegation {
    fn eq(&self, other: &Self) -> bool {
        self.0.cid == other.0.cid && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Delegation {}

impl Serialize for Delegation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Delegation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}
