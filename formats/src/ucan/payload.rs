//! The block of a UCAN: what a delegation says, and what of it is signed.

use std::collections::BTreeMap;

use crate::dag_cbor::{DecodeError, Kind, Problem, Reader, Writer};
use bytes::Bytes;
use ipld_core::cid::Cid;
use ipld_core::ipld::Ipld;
use multibase::Base;

use super::capability::RawCapability;
use super::{Capability, Signature, dag_json};
use crate::Did;

/// The version that is written, and the only one that is read.
pub(super) const VERSION: &str = "0.9.1";

/// What a delegation says, without its signature and its claims.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) issuer: Did,
    pub(super) audience: Did,
    pub(super) expiration: Option<u64>,
    pub(super) not_before: Option<u64>,
    pub(super) nonce: Option<String>,
    pub(super) proofs: Vec<Cid>,
}

/// The part of it that is made of any values, and in memory may take many times the room of its
/// bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    pub(super) capabilities: Vec<Capability>,
    /// `None` where the field is absent, which is not the same bytes as an empty list.
    pub(super) facts: Option<Vec<Ipld>>,
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

fn did(reader: &mut Reader<'_>, field: &'static str) -> Result<Did, DecodeError> {
    let start = reader.offset();
    Did::from_bytes(reader.bytes()?).map_err(|e| invalid(start, field, e.to_string()))
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    mut item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut items = Vec::new();
    for _ in 0..reader.list()? {
        items.push(item(reader)?);
    }
    Ok(items)
}

impl Payload {
    /// Reads a block, all of which is checked. Fields in any order; `prf` may be missing, and those
    /// that are optional.
    pub(super) fn read(block: &Bytes) -> Result<(Self, Signature), DecodeError> {
        let mut reader = Reader::new(block);
        let (mut signature, mut version, mut capabilities, mut audience, mut expiration) =
            (None, None, None, None, None);
        let (mut facts, mut issuer, mut not_before, mut nonce, mut proofs) =
            (None, None, None, None, None);
        reader.fields(|reader, key| {
            let start = reader.offset();
            match key {
                b"s" => {
                    let bytes = block.slice_ref(reader.bytes()?);
                    let parsed = Signature::parse(bytes)
                        .ok_or_else(|| invalid(start, "s", "not a signature"))?;
                    reader.set("s", &mut signature, parsed)?;
                }
                b"v" => {
                    let text = reader.text()?;
                    if text != VERSION {
                        return Err(invalid(
                            start,
                            "v",
                            format!(
                                "{:?} is not {VERSION:?}",
                                text.chars().take(16).collect::<String>()
                            ),
                        ));
                    }
                    reader.set("v", &mut version, ())?;
                }
                b"att" => {
                    for _ in 0..reader.list()? {
                        RawCapability::read(reader)?;
                    }
                    reader.set("att", &mut capabilities, ())?;
                }
                b"aud" => {
                    let value = did(reader, "aud")?;
                    reader.set("aud", &mut audience, value)?;
                }
                b"iss" => {
                    let value = did(reader, "iss")?;
                    reader.set("iss", &mut issuer, value)?;
                }
                b"exp" => {
                    let value = if reader.null() {
                        None
                    } else {
                        Some(reader.uint()?)
                    };
                    reader.set("exp", &mut expiration, value)?;
                }
                b"nbf" => {
                    let value = reader.uint()?;
                    reader.set("nbf", &mut not_before, value)?;
                }
                b"nnc" => {
                    let value = reader.text()?.to_owned();
                    reader.set("nnc", &mut nonce, value)?;
                }
                b"fct" => {
                    for _ in 0..reader.list()? {
                        if reader.kind()? != Kind::Map {
                            return Err(invalid(start, "fct", "a fact is a map"));
                        }
                        reader.raw()?;
                    }
                    reader.set("fct", &mut facts, ())?;
                }
                b"prf" => {
                    let items = list(reader, Reader::link)?;
                    reader.set("prf", &mut proofs, items)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let missing = |name| Reader::error_at(0, Problem::MissingField(name));
        version.ok_or_else(|| missing("v"))?;
        capabilities.ok_or_else(|| missing("att"))?;
        let payload = Self {
            issuer: issuer.ok_or_else(|| missing("iss"))?,
            audience: audience.ok_or_else(|| missing("aud"))?,
            expiration: expiration.ok_or_else(|| missing("exp"))?,
            not_before,
            nonce,
            proofs: proofs.unwrap_or_default(),
        };
        Ok((payload, signature.ok_or_else(|| missing("s"))?))
    }

    /// The block, with these claims and this signature.
    pub(super) fn write(&self, claims: &Claims, signature: &Signature) -> Bytes {
        let optional = [
            claims.facts.is_some(),
            self.not_before.is_some(),
            self.nonce.is_some(),
        ];
        let mut writer = Writer::with_capacity(512);
        writer.map(7 + optional.iter().filter(|there| **there).count());
        writer.text("s");
        writer.bytes(signature.as_bytes());
        writer.text("v");
        writer.text(VERSION);
        writer.text("att");
        writer.list(claims.capabilities.len());
        for capability in &claims.capabilities {
            writer.ipld(&capability.to_ipld());
        }
        writer.text("aud");
        writer.bytes(self.audience.as_bytes());
        writer.text("exp");
        match self.expiration {
            Some(seconds) => writer.uint(seconds),
            None => writer.null(),
        }
        if let Some(facts) = &claims.facts {
            writer.text("fct");
            writer.list(facts.len());
            for fact in facts {
                writer.ipld(fact);
            }
        }
        writer.text("iss");
        writer.bytes(self.issuer.as_bytes());
        if let Some(seconds) = self.not_before {
            writer.text("nbf");
            writer.uint(seconds);
        }
        if let Some(nonce) = &self.nonce {
            writer.text("nnc");
            writer.text(nonce);
        }
        writer.text("prf");
        writer.list(self.proofs.len());
        for proof in &self.proofs {
            writer.link(proof);
        }
        writer.into_bytes().into()
    }

    /// What is signed: base64url of the header, a point, base64url of the payload, both as
    /// dag-json.
    pub(super) fn signed(&self, claims: &Claims) -> String {
        let text = |text: &dyn ToString| Ipld::String(text.to_string());
        let number = |number: u64| Ipld::Integer(number.into());
        let fields = [
            (
                "att",
                Some(Ipld::List(
                    claims
                        .capabilities
                        .iter()
                        .map(Capability::to_ipld)
                        .collect(),
                )),
            ),
            ("aud", Some(text(&self.audience))),
            ("exp", Some(self.expiration.map_or(Ipld::Null, number))),
            ("fct", claims.facts.clone().map(Ipld::List)),
            ("iss", Some(text(&self.issuer))),
            ("nbf", self.not_before.map(number)),
            ("nnc", self.nonce.clone().map(Ipld::String)),
            (
                "prf",
                Some(Ipld::List(
                    self.proofs.iter().map(|cid| text(cid)).collect(),
                )),
            ),
        ];
        let fields: BTreeMap<_, _> = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let mut payload = String::new();
        dag_json::write(&mut payload, &Ipld::Map(fields));
        let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","ucv":"{VERSION}"}}"#);
        format!(
            "{}.{}",
            Base::Base64Url.encode(header),
            Base::Base64Url.encode(payload)
        )
    }
}

impl Claims {
    /// Those of a block that [`Payload::read`] has taken.
    pub(super) fn read(block: &[u8]) -> Result<Self, DecodeError> {
        let mut claims = Self::default();
        Reader::new(block).fields(|reader, key| {
            match key {
                b"att" => {
                    claims.capabilities = list(reader, |reader| {
                        RawCapability::read(reader).map(Capability::from)
                    })?
                }
                b"fct" => claims.facts = Some(list(reader, Reader::ipld)?),
                _ => drop(reader.raw()?),
            }
            Ok(true)
        })?;
        Ok(claims)
    }
}
