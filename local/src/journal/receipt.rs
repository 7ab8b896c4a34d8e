//! As much of a receipt as a line about it needs.

use std::collections::BTreeMap;
use std::fmt;

use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;

use crate::car::{CarError, CarLimits, CarProblem, CarReader};
use crate::error::{Error, Result};

/// The tag under which an archive's root block names its receipt.
const TAG: &str = "ucan/receipt@0.9.1";

/// What a receipt says: who ran what, and whether it went well.
///
/// `Display` is one line: CID, outcome, what ran, issuer.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// The receipt's CID.
    pub cid: Cid,
    /// The invocation that ran.
    pub ran: Cid,
    /// Whose receipt it is, as a DID. May be absent: the executor's own then.
    pub issuer: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// The bytes of the signature, with its code and length. Not checked.
    pub signature: Vec<u8>,
}

/// How an invocation went.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Well, with this result.
    Ok(Ipld),
    /// Badly, with this error.
    Error(Ipld),
}

impl Outcome {
    /// Whether it went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }
}

impl Receipt {
    /// Reads a receipt's archive: a CAR whose one root names the receipt. Every block is hashed.
    ///
    /// # Errors
    /// [`Error::Car`] if the archive is broken, [`Error::Receipt`] if it holds no receipt.
    pub fn from_archive(archive: &[u8]) -> Result<Self> {
        let car = |source| Error::Car {
            context: "the receipt's archive".into(),
            source,
        };
        let mut reader = CarReader::new(archive, CarLimits::default()).map_err(car)?;
        let root = |reason| {
            car(CarError {
                offset: 0,
                problem: CarProblem::Root(reason),
            })
        };
        let &[root_cid] = reader.roots() else {
            return Err(root("a receipt's archive has exactly one root"));
        };
        let mut blocks = BTreeMap::new();
        while let Some(block) = reader.next_block().map_err(car)? {
            // Of duplicates the first wins; they are the same bytes, having the same hash.
            blocks.entry(block.cid).or_insert(block.data);
        }
        let root_block = blocks
            .get(&root_cid)
            .ok_or_else(|| root("the root is not in the archive"))?;
        let Ipld::Map(variant) = decode(root_block, "its root block")? else {
            return Err(not_a_receipt("its root block is no map"));
        };
        let (Some(&Ipld::Link(cid)), 1) = (variant.get(TAG), variant.len()) else {
            return Err(not_a_receipt(format!(
                "its root block does not link to a receipt under {TAG:?} alone"
            )));
        };
        let block = blocks
            .get(&cid)
            .ok_or_else(|| not_a_receipt("the receipt's block is not in the archive"))?;
        Self::from_block(cid, block)
    }

    fn from_block(cid: Cid, block: &[u8]) -> Result<Self> {
        let receipt = decode(block, "its block")?;
        let field = |path: &'static [&'static str]| {
            path.iter().try_fold(&receipt, |at, name| {
                if let Ipld::Map(map) = at {
                    map.get(*name)
                } else {
                    None
                }
            })
        };
        let missing =
            |name: &str| not_a_receipt(format!("its field {name:?} is missing or of another kind"));
        let Some(&Ipld::Link(ran)) = field(&["ocm", "ran"]) else {
            return Err(missing("ran"));
        };
        let issuer = match field(&["ocm", "iss"]) {
            None => None,
            Some(Ipld::String(did)) => Some(did.clone()),
            Some(_) => return Err(missing("iss")),
        };
        let Some(Ipld::Bytes(signature)) = field(&["sig"]) else {
            return Err(missing("sig"));
        };
        let outcome = match (
            field(&["ocm", "out", "ok"]),
            field(&["ocm", "out", "error"]),
        ) {
            (Some(value), None) => Outcome::Ok(value.clone()),
            (None, Some(value)) => Outcome::Error(value.clone()),
            _ => return Err(missing("out")),
        };
        Ok(Self {
            cid,
            ran,
            issuer,
            outcome,
            signature: signature.clone(),
        })
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = if self.outcome.is_ok() { "ok" } else { "error" };
        // Debug, not Display: the issuer is text from outside, and this is a line.
        write!(
            f,
            "{} {outcome} ran={} issuer={}",
            self.cid,
            self.ran,
            self.issuer
                .as_deref()
                .map_or("-".into(), |did| did.escape_debug().to_string())
        )
    }
}

fn decode(block: &[u8], what: &str) -> Result<Ipld> {
    serde_ipld_dagcbor::from_slice(block)
        .map_err(|_| not_a_receipt(format!("{what} is not dag-cbor")))
}

fn not_a_receipt(reason: impl Into<String>) -> Error {
    Error::Receipt {
        reason: reason.into(),
    }
}
