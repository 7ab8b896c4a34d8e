//! The block of a UCAN: what a delegation says, and what of it is signed.

use std::io::Write;

use bytes::Bytes;
use multibase::Base;

use super::Signature;
use super::base64_url::Base64Url;
use super::capability::RawCapability;
use crate::dag_cbor::{DecodeError, Kind, Problem, RawValue, Reader, Writer};
use crate::dag_json::{JsonError, JsonLimits, JsonWriter};
use crate::{Cid, Did};

/// The version that is written, and the only one that is read.
pub(super) const VERSION: &str = "0.9.1";

/// What a delegation says, without its signature.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    pub(super) issuer: Did,
    pub(super) audience: Did,
    /// A list of capabilities.
    pub(super) capabilities: RawValue,
    pub(super) expiration: Option<u64>,
    /// A list of maps. `None` where the field is absent, which is not the same bytes as an empty
    /// list.
    pub(super) facts: Option<RawValue>,
    pub(super) not_before: Option<u64>,
    pub(super) nonce: Option<String>,
    pub(super) proofs: Vec<Cid>,
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
                    let value = block.slice(start..reader.offset());
                    reader.set("att", &mut capabilities, RawValue::checked(value))?;
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
                    let value = block.slice(start..reader.offset());
                    reader.set("fct", &mut facts, RawValue::checked(value))?;
                }
                b"prf" => {
                    let items = links(reader)?;
                    reader.set("prf", &mut proofs, items)?;
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let missing = |name| Reader::error_at(0, Problem::MissingField(name));
        version.ok_or_else(|| missing("v"))?;
        let payload = Self {
            issuer: issuer.ok_or_else(|| missing("iss"))?,
            audience: audience.ok_or_else(|| missing("aud"))?,
            capabilities: capabilities.ok_or_else(|| missing("att"))?,
            expiration: expiration.ok_or_else(|| missing("exp"))?,
            facts,
            not_before,
            nonce,
            proofs: proofs.unwrap_or_default(),
        };
        Ok((payload, signature.ok_or_else(|| missing("s"))?))
    }

    /// The block, with this signature.
    pub(super) fn write(&self, signature: &Signature) -> Bytes {
        let optional = [
            self.facts.is_some(),
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
        writer.raw(self.capabilities.as_bytes());
        writer.text("aud");
        writer.bytes(self.audience.as_bytes());
        writer.text("exp");
        match self.expiration {
            Some(seconds) => writer.uint(seconds),
            None => writer.null(),
        }
        if let Some(facts) = &self.facts {
            writer.text("fct");
            writer.raw(facts.as_bytes());
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

    /// Writes what is signed: base64url of the header, a point, base64url of the payload, both as
    /// dag-json.
    pub(super) fn write_signed(
        &self,
        mut out: impl Write,
        limits: JsonLimits,
    ) -> Result<(), JsonError> {
        let header = format!(r#"{{"alg":"EdDSA","typ":"JWT","ucv":"{VERSION}"}}"#);
        write!(out, "{}.", Base::Base64Url.encode(header))?;
        let mut text = Base64Url::new(out);
        self.write_json(&mut JsonWriter::new(&mut text, limits))?;
        Ok(text.finish()?)
    }

    /// The payload, its fields in byte order.
    fn write_json<W: Write>(&self, json: &mut JsonWriter<W>) -> Result<(), JsonError> {
        json.begin_object()?;
        json.key("att")?;
        json.value_of(&self.capabilities)?;
        json.key("aud")?;
        json.display(&self.audience)?;
        json.key("exp")?;
        match self.expiration {
            Some(seconds) => json.number(seconds)?,
            None => json.null()?,
        }
        if let Some(facts) = &self.facts {
            json.key("fct")?;
            json.value_of(facts)?;
        }
        json.key("iss")?;
        json.display(&self.issuer)?;
        if let Some(seconds) = self.not_before {
            json.key("nbf")?;
            json.number(seconds)?;
        }
        if let Some(nonce) = &self.nonce {
            json.key("nnc")?;
            json.string(nonce)?;
        }
        json.key("prf")?;
        json.begin_array()?;
        for proof in &self.proofs {
            json.display(proof)?;
        }
        json.end_array()?;
        json.end_object()
    }
}

/// A list of links.
pub(super) fn links(reader: &mut Reader<'_>) -> Result<Vec<Cid>, DecodeError> {
    let len = reader.list()?;
    let mut links = Vec::new();
    for _ in 0..len {
        links.push(reader.link()?);
    }
    links.shrink_to_fit();
    Ok(links)
}
