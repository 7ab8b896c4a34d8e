//! Issuing delegations and receipts.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use ed25519_dalek::{Signer as _, SigningKey};
use ipld_core::ipld::Ipld;

use super::archive::{DELEGATION_TAG, variant_block};
use super::payload::Payload;
use super::{Capability, Delegation, Effects, Receipt, ReceiptForm, Signature};
use crate::car::{Archive, Block, dag_cbor_cid_of};
use crate::dag_cbor::{RawValue, Writer};
use crate::dag_json::JsonLimits;
use crate::{Cid, Did, Error, Result};

/// An ed25519 key that signs, by itself or for a DID of another method. The key is wiped from
/// memory when dropped, and never printed.
///
/// ```
/// use storehouse_formats::Did;
/// use storehouse_formats::ucan::Signer;
///
/// # let seed = [1; 32];
/// let signer = Signer::from_seed(&seed);
/// assert_eq!(*signer.did(), signer.key());
///
/// let service: Did = "did:web:example.com".parse()?;
/// let signer = signer.acting_for(service.clone());
/// assert_eq!(*signer.did(), service);
/// assert_eq!(signer.key().method(), "key");
/// # Ok::<(), storehouse_formats::Error>(())
/// ```
pub struct Signer {
    did: Did,
    key: SigningKey,
}

impl Signer {
    /// The signer of this secret seed, as its `did:key`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        Self {
            did: Did::from_ed25519(key.verifying_key().as_bytes()),
            key,
        }
    }

    /// The same key, signing for `did`: a `did:web`, say.
    #[must_use]
    pub fn acting_for(mut self, did: Did) -> Self {
        self.did = did;
        self
    }

    /// The DID that it signs as.
    #[must_use]
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The `did:key` of the key itself.
    #[must_use]
    pub fn key(&self) -> Did {
        Did::from_ed25519(self.key.verifying_key().as_bytes())
    }

    fn sign(&self, message: &[u8]) -> Signature {
        Signature::ed25519(&self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("did", &self.did)
            .finish_non_exhaustive()
    }
}

/// Issues a [`Delegation`], or an invocation.
///
/// ```
/// use std::collections::BTreeMap;
/// use storehouse_formats::Ipld;
/// use storehouse_formats::car::dag_cbor_cid_of;
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
///
/// let (space, agent) = (Signer::from_seed(&[1; 32]), Signer::from_seed(&[2; 32]));
/// let all = Capability::new("blob/*", space.did().to_string());
/// let root = DelegationBuilder::new(agent.did().clone(), vec![all]).sign(&space)?;
///
/// let accept = Capability::new("blob/accept", space.did().to_string());
/// let fact = BTreeMap::from([("why".to_owned(), Ipld::String("a test".into()))]);
/// let invocation = DelegationBuilder::new(agent.did().clone(), vec![accept])
///     .not_before(1_700_000_000)
///     .expiration(1_800_000_000)
///     .nonce("1")
///     .fact(fact)
///     .proof(&root)
///     .linked_proof(dag_cbor_cid_of(b"\xa0"))
///     .attach(bytes::Bytes::from_static(b"\x80"))
///     .sign(&agent)?;
/// assert_eq!(invocation.proofs(), [root.cid(), dag_cbor_cid_of(b"\xa0")]);
/// assert_eq!(invocation.embedded(&root.cid())?.unwrap().issuer(), space.did());
/// invocation.verify_signature(None)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DelegationBuilder {
    payload: Payload,
    facts: Vec<RawValue>,
    blocks: Vec<(Cid, Bytes)>,
}

impl DelegationBuilder {
    /// A delegation of these capabilities to `audience` that never expires.
    #[must_use]
    pub fn new(audience: Did, capabilities: Vec<Capability>) -> Self {
        let payload = Payload {
            // The signer's, when it is signed.
            issuer: audience.clone(),
            audience,
            capabilities: list(&capabilities, Capability::write),
            expiration: None,
            facts: None,
            not_before: None,
            nonce: None,
            proofs: Vec::new(),
        };
        Self {
            payload,
            facts: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// Expires then, in seconds since the start of 1970, UTC.
    #[must_use]
    pub fn expiration(mut self, seconds: u64) -> Self {
        self.payload.expiration = Some(seconds);
        self
    }

    /// Is valid from then on, in seconds since the start of 1970, UTC.
    #[must_use]
    pub fn not_before(mut self, seconds: u64) -> Self {
        self.payload.not_before = Some(seconds);
        self
    }

    /// With this nonce.
    #[must_use]
    pub fn nonce(mut self, nonce: impl Into<String>) -> Self {
        self.payload.nonce = Some(nonce.into());
        self
    }

    /// With another fact.
    #[must_use]
    pub fn fact(mut self, fact: BTreeMap<String, Ipld>) -> Self {
        self.facts.push(Ipld::Map(fact).into());
        self
    }

    /// With a proof that is not in the archive.
    #[must_use]
    pub fn linked_proof(mut self, cid: Cid) -> Self {
        self.payload.proofs.push(cid);
        self
    }

    /// With a proof and all that its archive holds but its variant.
    #[must_use]
    pub fn proof(mut self, proof: &Delegation) -> Self {
        self.payload.proofs.push(proof.cid());
        add_blocks(&mut self.blocks, without_variant(proof));
        self
    }

    /// With a dag-cbor block attached.
    #[must_use]
    pub fn attach(mut self, block: Bytes) -> Self {
        add_blocks(&mut self.blocks, [(dag_cbor_cid_of(&block), block)]);
        self
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`Delegation::decode`], for values that the format cannot say.
    pub fn sign(mut self, signer: &Signer) -> Result<Delegation> {
        self.payload.issuer = signer.did.clone();
        if !self.facts.is_empty() {
            let write = |fact: &RawValue, writer: &mut Writer| writer.raw(fact.as_bytes());
            self.payload.facts = Some(list(&self.facts, write));
        }
        let mut message = Vec::new();
        self.payload
            .write_signed(&mut message, JsonLimits::default())
            .map_err(|_| Error::Text {
                what: "delegation",
                reason: "as JSON it is too large to be signed",
            })?;
        let block = self.payload.write(&signer.sign(&message));
        let cid = dag_cbor_cid_of(&block);
        let variant = variant_block(DELEGATION_TAG, &cid);
        let root = variant.0.clone();
        self.blocks.extend([(cid, block), variant]);
        Delegation::decode(Archive::build(&[root], &self.blocks))
    }
}

/// Issues a [`Receipt`], in the form of the receipt store.
///
/// ```
/// use storehouse_formats::Ipld;
/// use storehouse_formats::car::dag_cbor_cid_of;
/// use storehouse_formats::ucan::{
///     Capability, DelegationBuilder, Effects, ReceiptBuilder, Signer,
/// };
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept", signer.did().to_string());
/// let invocation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
///
/// let (next, proof) = (dag_cbor_cid_of(b"\x80"), dag_cbor_cid_of(b"\xa0"));
/// let receipt = ReceiptBuilder::for_invocation(&invocation, Ok::<_, Ipld>(Ipld::Integer(1)))
///     .effects(Effects { fork: vec![next.clone()], join: None })
///     .meta("node", Ipld::String("one".into()))
///     .linked_proof(proof.clone())
///     .sign(&signer)?;
/// assert_eq!((receipt.effects().fork.as_slice(), receipt.proofs()), (&[next][..], &[proof][..]));
/// assert_eq!(receipt.invocation()?.unwrap().cid(), invocation.cid());
///
/// // Without the invocation, and of one that failed.
/// let failed = Err::<Ipld, _>(Ipld::String("no room".into()));
/// let receipt = ReceiptBuilder::new(invocation.cid(), failed).sign(&signer)?;
/// assert!(!receipt.is_ok() && receipt.invocation()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReceiptBuilder {
    ran: Cid,
    out: Result<RawValue, RawValue>,
    effects: Effects,
    meta: BTreeMap<String, Ipld>,
    proofs: Vec<Cid>,
    blocks: Vec<(Cid, Bytes)>,
}

impl ReceiptBuilder {
    /// A receipt for an invocation that is not in the archive.
    #[must_use]
    pub fn new<T: Into<RawValue>, E: Into<RawValue>>(ran: Cid, out: Result<T, E>) -> Self {
        Self {
            ran,
            out: out.map(Into::into).map_err(Into::into),
            effects: Effects::default(),
            meta: BTreeMap::new(),
            proofs: Vec::new(),
            blocks: Vec::new(),
        }
    }

    /// A receipt for an invocation, with that in the archive.
    #[must_use]
    pub fn for_invocation<T: Into<RawValue>, E: Into<RawValue>>(
        invocation: &Delegation,
        out: Result<T, E>,
    ) -> Self {
        let mut builder = Self::new(invocation.cid(), out);
        add_blocks(&mut builder.blocks, without_variant(invocation));
        builder
    }

    /// With these effects.
    #[must_use]
    pub fn effects(mut self, effects: Effects) -> Self {
        self.effects = effects;
        self
    }

    /// With another entry of its metadata, in place of one with the same name.
    #[must_use]
    pub fn meta(mut self, name: impl Into<String>, value: Ipld) -> Self {
        self.meta.insert(name.into(), value);
        self
    }

    /// With a proof that is not in the archive.
    #[must_use]
    pub fn linked_proof(mut self, cid: Cid) -> Self {
        self.proofs.push(cid);
        self
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`Receipt::decode`], for values that the format cannot say.
    pub fn sign(mut self, signer: &Signer) -> Result<Receipt> {
        let ocm = self.ocm(signer);
        let signature = signer.sign(&ocm);
        let mut writer = Writer::with_capacity(ocm.len() + 96);
        writer.map(2);
        writer.text("ocm");
        writer.raw(&ocm);
        writer.text("sig");
        writer.bytes(signature.as_bytes());
        let block = Bytes::from(writer.into_bytes());
        let cid = dag_cbor_cid_of(&block);
        self.blocks.push((cid.clone(), block));
        Receipt::decode(ReceiptForm::Store.archive(&cid, self.blocks))
    }

    fn ocm(&self, signer: &Signer) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        writer.map(6);
        writer.text("fx");
        writer.map(1 + usize::from(self.effects.join.is_some()));
        // "fork" and "join" have one length and are in byte order.
        writer.text("fork");
        writer.list(self.effects.fork.len());
        self.effects.fork.iter().for_each(|link| writer.link(link));
        if let Some(join) = &self.effects.join {
            writer.text("join");
            writer.link(join);
        }
        writer.text("iss");
        writer.text(&signer.did.to_string());
        writer.text("out");
        writer.map(1);
        let (name, value) = match &self.out {
            Ok(value) => ("ok", value),
            Err(value) => ("error", value),
        };
        writer.text(name);
        writer.raw(value.as_bytes());
        writer.text("prf");
        writer.list(self.proofs.len());
        self.proofs.iter().for_each(|link| writer.link(link));
        writer.text("ran");
        writer.link(&self.ran);
        writer.text("meta");
        writer.ipld(&Ipld::Map(self.meta.clone()));
        writer.into_bytes()
    }
}

/// Adds blocks that are not there yet: of duplicates, the first.
fn add_blocks(blocks: &mut Vec<(Cid, Bytes)>, more: impl IntoIterator<Item = (Cid, Bytes)>) {
    for block in more {
        if !blocks.iter().any(|(cid, _)| *cid == block.0) {
            blocks.push(block);
        }
    }
}

/// All blocks of a delegation's archive but its root.
fn without_variant(delegation: &Delegation) -> impl Iterator<Item = (Cid, Bytes)> {
    let (variant, _) = variant_block(DELEGATION_TAG, &delegation.cid());
    delegation
        .blocks()
        .map(|Block { cid, data, .. }| (cid, data))
        .filter(move |(cid, _)| *cid != variant)
}

fn list<T>(items: &[T], mut write: impl FnMut(&T, &mut Writer)) -> RawValue {
    let mut writer = Writer::default();
    writer.list(items.len());
    items.iter().for_each(|item| write(item, &mut writer));
    RawValue::checked(writer.into_bytes().into())
}
