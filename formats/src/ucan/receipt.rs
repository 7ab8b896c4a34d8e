use std::fmt;
use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;

use super::archive::{RECEIPT_TAG, needed, parse, root, variant};
use super::payload::links;
use super::{Delegation, ReceiptForm, Signature, SignatureError};
use crate::car::{Archive, Block};
use crate::dag_cbor::{DecodeError, Kind, Problem, RawValue, Reader};
use crate::{Cid, Did, Error, Result};

const WHAT: &str = "receipt";

/// What came of an invocation, with the blocks of its archive: the invocation, proofs, effects, as
/// far as they are there.
///
/// It is the archive, byte for byte as it came and in the [form](ReceiptForm) in which it came, and
/// a view of it. Making one hashes every block, but checks no signature:
/// [`verify_signature`](Self::verify_signature) does. Cloning is cheap.
///
/// ```
/// use storehouse_formats::Ipld;
/// use storehouse_formats::ucan::{
///     Capability, DelegationBuilder, Effects, Receipt, ReceiptBuilder, ReceiptForm, Signer,
/// };
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept", signer.did().to_string());
/// let invocation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
/// let receipt = ReceiptBuilder::for_invocation(&invocation, Ok::<_, Ipld>(Ipld::Integer(1)))
///     .sign(&signer)?;
///
/// let read = Receipt::decode(receipt.as_bytes().clone())?;
/// assert_eq!((read.cid(), read.ran()), (receipt.cid(), invocation.cid()));
/// assert_eq!(read.invocation()?.unwrap().cid(), invocation.cid());
/// assert!(read.is_ok());
/// assert_eq!(read.out().unwrap().to_ipld()?, Ipld::Integer(1));
/// assert_eq!((read.effects(), read.proofs()), (&Effects::default(), &[][..]));
/// assert_eq!((read.issuer(), read.meta().as_bytes().as_ref()), (Some(signer.did()), &[0xa0][..]));
/// read.verify_signature(None)?;
/// assert_eq!(read.signature().raw().len(), 64);
///
/// // On the wire the archive has one block more: its root.
/// assert_eq!((read.form(), read.store_form()), (ReceiptForm::Store, read.as_bytes().clone()));
/// let wire = Receipt::decode(read.in_form(ReceiptForm::Archive))?;
/// assert_eq!(wire.blocks().len(), read.blocks().len() + 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Receipt(Arc<Parts>);

struct Parts {
    archive: Archive,
    form: ReceiptForm,
    cid: Cid,
    body: Body,
}

/// What is to be done as a consequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Invocations to be run, in any order and side by side.
    pub fork: Vec<Cid>,
    /// The invocation to be run after them.
    pub join: Option<Cid>,
}

#[derive(Debug)]
struct Body {
    signature: Signature,
    signed: Bytes,
    ran: Cid,
    out: Result<RawValue, RawValue>,
    effects: Effects,
    issuer: Option<Did>,
    proofs: Vec<Cid>,
    meta: RawValue,
}

impl Receipt {
    /// The receipt whose archive is `bytes`, in either [form](ReceiptForm). Of them nothing is
    /// copied.
    ///
    /// # Errors
    /// [`Error::Car`], also if there is not exactly one root, or it is not in the archive;
    /// [`Error::Archive`], [`Error::DagCbor`].
    pub fn decode(bytes: Bytes) -> Result<Self> {
        let archive = parse(WHAT, bytes)?;
        let root = root(WHAT, &archive)?;
        let (form, cid) = match variant(&root.data, RECEIPT_TAG) {
            Some(cid) => (ReceiptForm::Archive, cid),
            None => (ReceiptForm::Store, root.cid),
        };
        let block = needed(WHAT, &archive, &cid)?;
        let body = Body::read(&block.data).map_err(|source| Error::DagCbor {
            what: "a receipt",
            source,
        })?;
        Ok(Self(Arc::new(Parts {
            archive,
            form,
            cid,
            body,
        })))
    }

    /// The archive, byte for byte as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        self.0.archive.as_bytes()
    }

    /// The form in which it came.
    #[must_use]
    pub fn form(&self) -> ReceiptForm {
        self.0.form
    }

    /// The archive in the form of the receipt store: as it came, if it came so.
    #[must_use]
    pub fn store_form(&self) -> Bytes {
        self.in_form(ReceiptForm::Store)
    }

    /// The archive in this form: as it came, if it came so.
    #[must_use]
    pub fn in_form(&self, form: ReceiptForm) -> Bytes {
        if self.0.form == form {
            self.as_bytes().clone()
        } else {
            let blocks = self.blocks().map(|Block { cid, data, .. }| (cid, data));
            form.archive(&self.0.cid, blocks)
        }
    }

    /// The CID of its block, by which it is found.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.0.cid.clone()
    }

    /// All blocks of the archive, in their order.
    #[must_use]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = Block> + '_ {
        self.0.archive.blocks()
    }

    /// The invocation that ran.
    #[must_use]
    pub fn ran(&self) -> Cid {
        self.0.body.ran.clone()
    }

    /// The invocation that ran, if it is in the archive.
    ///
    /// # Errors
    /// [`Error::DagCbor`] if what is there is none; [`Error::Car`] if its block cannot be verified.
    pub fn invocation(&self) -> Result<Option<Delegation>> {
        Delegation::within(&self.0.archive, &self.0.body.ran)
    }

    /// Whether it went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.0.body.out.is_ok()
    }

    /// How it went: the result of the invocation, or its error.
    ///
    /// # Errors
    /// None of its own.
    pub fn out(&self) -> Result<&RawValue, &RawValue> {
        self.0.body.out.as_ref()
    }

    /// What is to be done as a consequence.
    #[must_use]
    pub fn effects(&self) -> &Effects {
        &self.0.body.effects
    }

    /// Whose receipt it is; `None` if it does not say, and is the executor's own.
    #[must_use]
    pub fn issuer(&self) -> Option<&Did> {
        self.0.body.issuer.as_ref()
    }

    /// The delegations that its issuer rests on.
    #[must_use]
    pub fn proofs(&self) -> &[Cid] {
        &self.0.body.proofs
    }

    /// What else it says: a map.
    #[must_use]
    pub fn meta(&self) -> &RawValue {
        &self.0.body.meta
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.0.body.signature
    }

    /// Checks the issuer's signature, and nothing else. `key` is the `did:key` that the issuer
    /// signs with; a `did:key` issuer needs none.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, key: Option<&Did>) -> Result<(), SignatureError> {
        self.0.body.signature.verify(self.issuer(), key, |message| {
            Ok(message.write_all(&self.0.body.signed)?)
        })
    }
}

impl Body {
    fn read(block: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(block);
        let (mut outcome, mut signature) = (None, None);
        reader.fields(|reader, key| {
            let start = reader.offset();
            match key {
                b"ocm" => {
                    let signed = reader.raw()?;
                    reader.set("ocm", &mut outcome, (start, signed))?;
                }
                b"sig" => {
                    let parsed = Signature::parse(block.slice_ref(reader.bytes()?))
                        .ok_or_else(|| invalid(start, "sig", "not a signature"))?;
                    reader.set("sig", &mut signature, parsed)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let missing = |name| Reader::error_at(0, Problem::MissingField(name));
        let (start, signed) = outcome.ok_or_else(|| missing("ocm"))?;
        let signature = signature.ok_or_else(|| missing("sig"))?;
        Self::read_ocm(block.slice_ref(signed), signature)
            .map_err(|e| Reader::error_at(start + e.offset, e.problem))
    }

    fn read_ocm(signed: Bytes, signature: Signature) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&signed);
        let (mut ran, mut out, mut effects, mut issuer, mut proofs, mut meta) =
            (None, None, None, None, None, None);
        reader.fields(|reader, key| {
            let start = reader.offset();
            match key {
                b"fx" => {
                    let value = Effects::read(reader)?;
                    reader.set("fx", &mut effects, value)?;
                }
                b"iss" => {
                    let did = reader
                        .text()?
                        .parse()
                        .map_err(|e: Error| invalid(start, "iss", e.to_string()))?;
                    reader.set("iss", &mut issuer, did)?;
                }
                b"out" => {
                    let ok = match (reader.map()?, reader.text()?) {
                        (1, "ok") => true,
                        (1, "error") => false,
                        _ => {
                            return Err(invalid(
                                start,
                                "out",
                                "neither just \"ok\" nor just \"error\"",
                            ));
                        }
                    };
                    let value = RawValue::checked(signed.slice_ref(reader.raw()?));
                    reader.set("out", &mut out, if ok { Ok(value) } else { Err(value) })?;
                }
                b"prf" => {
                    let items = links(reader)?;
                    reader.set("prf", &mut proofs, items)?;
                }
                b"ran" => {
                    let link = reader.link()?;
                    reader.set("ran", &mut ran, link)?;
                }
                b"meta" => {
                    if reader.kind()? != Kind::Map {
                        return Err(invalid(start, "meta", "not a map"));
                    }
                    let value = RawValue::checked(signed.slice_ref(reader.raw()?));
                    reader.set("meta", &mut meta, value)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let missing = |name| Reader::error_at(0, Problem::MissingField(name));
        Ok(Self {
            ran: ran.ok_or_else(|| missing("ran"))?,
            out: out.ok_or_else(|| missing("out"))?,
            effects: effects.ok_or_else(|| missing("fx"))?,
            issuer,
            proofs: proofs.ok_or_else(|| missing("prf"))?,
            meta: meta.ok_or_else(|| missing("meta"))?,
            signature,
            signed,
        })
    }
}

impl Effects {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mut fork, mut join) = (None, None);
        let start = reader.offset();
        reader.fields(|reader, key| {
            match key {
                b"fork" => {
                    let items = links(reader)?;
                    reader.set("fork", &mut fork, items)?;
                }
                b"join" => {
                    let link = reader.link()?;
                    reader.set("join", &mut join, link)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            fork: fork.ok_or(Reader::error_at(start, Problem::MissingField("fork")))?,
            join,
        })
    }
}

fn invalid(start: usize, field: &'static str, reason: impl Into<String>) -> DecodeError {
    Reader::error_at(
        start,
        Problem::Field {
            field,
            reason: reason.into(),
        },
    )
}

impl fmt::Display for Receipt {
    /// One line: CID, outcome, what ran, issuer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.is_ok() { "ok" } else { "error" };
        write!(f, "{} {outcome} ran={} issuer=", self.cid(), self.ran())?;
        match self.issuer() {
            Some(issuer) => write!(f, "{issuer}"),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("cid", &self.0.cid)
            .field("form", &self.0.form)
            .field("body", &self.0.body)
            .finish()
    }
}

/// The same archive, byte for byte.
impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        self.0.cid == other.0.cid && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Receipt {}
