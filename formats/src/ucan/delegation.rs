use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use multibase::Base;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::archive::{DELEGATION_TAG, needed, parse, root, variant};
use super::capability::RawCapability;
use super::payload::Payload;
use super::{Capability, Signature, SignatureError};
use crate::car::{Archive, Block, CAR_CODEC};
use crate::dag_cbor::{RawValue, Reader};
use crate::dag_json::JsonLimits;
use crate::{Cid, Did, Error, Result, multibase as bounded, varint};

const WHAT: &str = "delegation";

/// A UCAN delegation (an invocation is one too) with the blocks of its archive: its proofs, and
/// what was attached.
///
/// It is the archive, byte for byte as it came, and a view of it. Making one hashes every block,
/// but checks no signature: [`verify_signature`](Self::verify_signature) does. The text form is a
/// multibase base64 of a CID that holds the archive. Cloning is cheap.
///
/// ```
/// use storehouse_formats::ucan::{Capability, Delegation, DelegationBuilder, Signer};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept", signer.did().to_string());
/// let service = "did:web:example.com".parse()?;
/// let delegation = DelegationBuilder::new(service, vec![capability.clone()])
///     .expiration(1_800_000_000)
///     .sign(&signer)?;
///
/// let read = Delegation::decode(delegation.as_bytes().clone())?;
/// assert_eq!(read.cid(), delegation.cid());
/// assert_eq!((read.issuer(), read.audience().method()), (signer.did(), "web"));
/// assert!(read.capabilities().eq([capability]));
/// assert_eq!((read.expiration(), read.not_before()), (Some(1_800_000_000), None));
/// assert_eq!(read.nonce(), None);
/// assert!(read.facts().next().is_none() && read.proofs().is_empty());
/// assert_eq!(read.blocks().len(), 2); // the UCAN, and the root that names its version
/// assert!(read.embedded(&read.cid())?.is_some());
///
/// read.verify_signature(None)?;
/// assert_eq!(read.signature().code(), 0xd0ed);
/// assert_eq!(read.to_text().parse::<Delegation>()?, read);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Delegation(Arc<Parts>);

struct Parts {
    archive: Archive,
    cid: Cid,
    payload: Payload,
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
        let root = root(WHAT, &archive)?;
        let cid = variant(&root.data, DELEGATION_TAG).ok_or(Error::Archive {
            what: WHAT,
            reason: "its root is not {\"ucan@0.9.1\": link}",
        })?;
        Self::at(archive, cid)
    }

    /// The delegation that is the block `cid` of `archive`.
    pub(super) fn at(archive: Archive, cid: Cid) -> Result<Self> {
        let block = needed(WHAT, &archive, &cid)?;
        let (payload, signature) = Payload::read(&block.data).map_err(|source| Error::DagCbor {
            what: "a UCAN",
            source,
        })?;
        Ok(Self(Arc::new(Parts {
            archive,
            cid,
            payload,
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
        self.0.cid.clone()
    }

    /// All blocks of the archive, in their order.
    #[must_use]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
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

    /// What it allows, or invokes. Decoded one by one.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> + '_ {
        let list = self.0.payload.capabilities.as_bytes();
        items(list, |reader| {
            let raw = RawCapability::read(reader).ok()?;
            Some(Capability {
                can: raw.can.to_owned(),
                with: raw.with.to_owned(),
                nb: raw.nb.map(|nb| RawValue::checked(list.slice_ref(nb))),
            })
        })
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
    pub fn facts(&self) -> impl Iterator<Item = RawValue> + '_ {
        self.0.payload.facts.iter().flat_map(|facts| {
            let list = facts.as_bytes();
            items(list, |reader| {
                Some(RawValue::checked(list.slice_ref(reader.raw().ok()?)))
            })
        })
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
    /// As [`decode`](Self::decode); [`Error::Car`] if its block cannot be verified.
    pub fn embedded(&self, cid: &Cid) -> Result<Option<Self>> {
        Self::within(&self.0.archive, cid)
    }

    /// The delegation that is the block `cid` of `archive`, if it is there.
    pub(super) fn within(archive: &Archive, cid: &Cid) -> Result<Option<Self>> {
        match archive.block(cid) {
            Ok(None) => Ok(None),
            _ => Self::at(archive.clone(), cid.clone()).map(Some),
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
    /// ```
    /// use storehouse_formats::ucan::{Capability, DelegationBuilder, SignatureError, Signer};
    ///
    /// let signer = Signer::from_seed(&[1; 32]).acting_for("did:web:example.com".parse()?);
    /// let capability = Capability::new("blob/accept", signer.did().to_string());
    /// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
    ///
    /// let error = delegation.verify_signature(None).unwrap_err();
    /// assert!(matches!(error, SignatureError::KeyNeeded { .. }));
    /// delegation.verify_signature(Some(&signer.key()))?;
    /// let other = Signer::from_seed(&[2; 32]).key();
    /// assert!(delegation.verify_signature(Some(&other)).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, key: Option<&Did>) -> Result<(), SignatureError> {
        let limits = JsonLimits::for_record(self.as_bytes().len());
        self.0
            .signature
            .verify(Some(self.issuer()), key, |message| {
                self.0.payload.write_signed(message, limits)
            })
    }

    /// The text form: `m` and the base64 of a CIDv1 with the codec of CAR and an identity
    /// multihash, which holds the archive.
    ///
    /// ```
    /// use storehouse_formats::ucan::{Capability, Delegation, DelegationBuilder, Signer};
    ///
    /// let signer = Signer::from_seed(&[1; 32]);
    /// let capability = Capability::new("blob/accept", signer.did().to_string());
    /// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
    /// let text = delegation.to_text();
    /// assert!(text.starts_with('m'));
    /// assert_eq!(text.parse::<Delegation>()?.cid(), delegation.cid());
    /// assert!("zNotOfBase64".parse::<Delegation>().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn to_text(&self) -> String {
        let archive = self.as_bytes();
        let mut bytes = Vec::with_capacity(archive.len() + 16);
        bytes.push(1);
        varint::write(&mut bytes, CAR_CODEC);
        bytes.push(0);
        varint::write(&mut bytes, archive.len() as u64);
        bytes.extend_from_slice(archive);
        multibase::encode(Base::Base64, bytes)
    }
}

/// The items of a list that was checked.
fn items<'a, T>(
    list: &'a Bytes,
    mut item: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> impl Iterator<Item = T> {
    let mut reader = Reader::new(list);
    let len = reader.list().unwrap_or(0);
    (0..len).map_while(move |_| item(&mut reader))
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
        let bytes = bounded::decode(text).map_err(invalid)?;
        let parse = || {
            let (version, rest) = varint::read(&bytes)?;
            let (codec, rest) = varint::read(rest)?;
            let (hash, rest) = varint::read(rest)?;
            let (len, rest) = varint::read(rest)?;
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
        let Parts { cid, payload, .. } = &*self.0;
        f.debug_struct("Delegation")
            .field("cid", cid)
            .field("payload", payload)
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
