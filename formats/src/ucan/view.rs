//! Delegations and receipts as JSON: what the methods of their types say, under their names, and
//! the archive itself as multibase. Values are written as dag-json has them.

use std::io::Write;

use super::{Delegation, Receipt};
use crate::Cid;
use crate::dag_json::{JsonError, JsonWriter};

impl Delegation {
    /// Writes it as JSON, as a stream.
    ///
    /// ```
    /// use storehouse_formats::dag_json::{JsonError, JsonLimits, JsonWriter};
    /// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
    ///
    /// let signer = Signer::from_seed(&[7; 32]);
    /// let capability = Capability::new("test/do", signer.did().to_string());
    /// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability]).sign(&signer)?;
    ///
    /// let mut text = Vec::new();
    /// let limits = JsonLimits::for_record(delegation.as_bytes().len());
    /// delegation.write_json(&mut JsonWriter::new(&mut text, limits))?;
    /// assert!(text.starts_with(br#"{"archive":"m"#));
    ///
    /// let limits = limits.bytes(100);
    /// let refused = delegation.write_json(&mut JsonWriter::new(&mut text, limits));
    /// assert!(matches!(refused, Err(JsonError::TooLarge(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`]: it is bounded by the writer's limits.
    pub fn write_json<W: Write>(&self, json: &mut JsonWriter<W>) -> Result<(), JsonError> {
        json.begin_object()?;
        json.key("archive")?;
        json.multibase(self.as_bytes())?;
        json.key("audience")?;
        json.display(self.audience())?;
        json.key("capabilities")?;
        json.begin_array()?;
        for capability in self.capabilities() {
            json.begin_object()?;
            json.key("can")?;
            json.string(&capability.can)?;
            json.key("nb")?;
            match &capability.nb {
                Some(nb) => json.value_of(nb)?,
                None => json.null()?,
            }
            json.key("with")?;
            json.string(&capability.with)?;
            json.end_object()?;
        }
        json.end_array()?;
        json.key("cid")?;
        json.display(&self.cid())?;
        json.key("expiration")?;
        seconds(json, self.expiration())?;
        json.key("facts")?;
        json.begin_array()?;
        for fact in self.facts() {
            json.value_of(&fact)?;
        }
        json.end_array()?;
        json.key("issuer")?;
        json.display(self.issuer())?;
        json.key("nonce")?;
        match self.nonce() {
            Some(nonce) => json.string(nonce)?,
            None => json.null()?,
        }
        json.key("not_before")?;
        seconds(json, self.not_before())?;
        json.key("proofs")?;
        texts(json, self.proofs())?;
        json.key("signature")?;
        json.multibase(self.signature().as_bytes())?;
        json.end_object()
    }
}

impl Receipt {
    /// Writes it as JSON, as a stream; the archive in the form of the receipt store.
    ///
    /// ```
    /// use storehouse_formats::Ipld;
    /// use storehouse_formats::car::dag_cbor_cid_of;
    /// use storehouse_formats::dag_json::{JsonLimits, JsonWriter};
    /// use storehouse_formats::ucan::{ReceiptBuilder, Signer};
    ///
    /// let out: Result<Ipld, Ipld> = Ok(Ipld::Bool(true));
    /// let receipt = ReceiptBuilder::new(dag_cbor_cid_of(b"\xa0"), out).sign(&Signer::from_seed(&[7; 32]))?;
    /// let mut text = Vec::new();
    /// receipt.write_json(&mut JsonWriter::new(&mut text, JsonLimits::default()))?;
    /// assert!(String::from_utf8(text)?.contains(r#""outcome":{"ok":true}"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`JsonError`]: it is bounded by the writer's limits.
    pub fn write_json<W: Write>(&self, json: &mut JsonWriter<W>) -> Result<(), JsonError> {
        json.begin_object()?;
        json.key("archive")?;
        json.multibase(&self.store_form())?;
        json.key("cid")?;
        json.display(&self.cid())?;
        json.key("effects")?;
        json.begin_object()?;
        json.key("fork")?;
        texts(json, &self.effects().fork)?;
        json.key("join")?;
        match &self.effects().join {
            Some(cid) => json.display(cid)?,
            None => json.null()?,
        }
        json.end_object()?;
        json.key("issuer")?;
        match self.issuer() {
            Some(did) => json.display(did)?,
            None => json.null()?,
        }
        json.key("meta")?;
        json.value_of(self.meta())?;
        json.key("outcome")?;
        json.begin_object()?;
        let (name, value) = match self.out() {
            Ok(value) => ("ok", value),
            Err(value) => ("error", value),
        };
        json.key(name)?;
        json.value_of(value)?;
        json.end_object()?;
        json.key("proofs")?;
        texts(json, self.proofs())?;
        json.key("ran")?;
        json.display(&self.ran())?;
        json.key("signature")?;
        json.multibase(self.signature().as_bytes())?;
        json.end_object()
    }
}

fn seconds<W: Write>(json: &mut JsonWriter<W>, seconds: Option<u64>) -> Result<(), JsonError> {
    match seconds {
        Some(seconds) => json.number(seconds),
        None => json.null(),
    }
}

fn texts<W: Write>(json: &mut JsonWriter<W>, cids: &[Cid]) -> Result<(), JsonError> {
    json.begin_array()?;
    for cid in cids {
        json.display(cid)?;
    }
    json.end_array()
}
