//! Claims and receipts as JSON: what the methods of their types say, under their names, and the
//! archive itself.
//!
//! Values of dag-cbor are written as dag-json has them: a link is `{"/": cid}`, bytes are `{"/":
//! {"bytes": base64}}`.

use multibase::Base;
use serde_json::{Map, Number, Value, json};
use storehouse::formats::ucan::{Capability, Outcome};
use storehouse::records::{Cid, Delegation, Ipld, Receipt};

pub(crate) fn claim(claim: &Delegation) -> Value {
    json!({
        "cid": claim.cid().to_string(),
        "issuer": claim.issuer(),
        "audience": claim.audience(),
        "capabilities": claim.capabilities().iter().map(capability).collect::<Vec<_>>(),
        "expiration": claim.expiration(),
        "not_before": claim.not_before(),
        "nonce": claim.nonce(),
        "facts": claim.facts().iter().map(ipld).collect::<Vec<_>>(),
        "proofs": texts(claim.proofs()),
        "signature": text(claim.signature().as_bytes()),
        "archive": text(claim.as_bytes()),
    })
}

pub(crate) fn receipt(receipt: &Receipt) -> Value {
    let outcome = match receipt.outcome() {
        Outcome::Ok(value) => json!({ "ok": ipld(value) }),
        Outcome::Error(value) => json!({ "error": ipld(value) }),
        _ => Value::Null,
    };
    let effects = receipt.effects();
    json!({
        "cid": receipt.cid().to_string(),
        "ran": receipt.ran().to_string(),
        "outcome": outcome,
        "effects": { "fork": texts(&effects.fork), "join": effects.join.as_ref().map(Cid::to_string) },
        "issuer": receipt.issuer(),
        "proofs": texts(receipt.proofs()),
        "meta": receipt.meta().iter().map(|(name, value)| (name.clone(), ipld(value))).collect::<Map<_, _>>(),
        "signature": text(receipt.signature().as_bytes()),
        "archive": text(&receipt.store_form()),
    })
}

/// Bytes as text: `m` and base64.
fn text(bytes: &[u8]) -> String {
    multibase::encode(Base::Base64, bytes)
}

/// The bytes of such a text.
pub(crate) fn from_text(text: &str) -> Option<Vec<u8>> {
    // Other bases may take time quadratic in the length.
    Base::Base64.decode(text.strip_prefix('m')?).ok()
}

fn texts(cids: &[Cid]) -> Vec<String> {
    cids.iter().map(Cid::to_string).collect()
}

fn capability(capability: &Capability) -> Value {
    json!({ "can": capability.can, "with": capability.with, "nb": capability.nb.as_ref().map(ipld) })
}

fn ipld(value: &Ipld) -> Value {
    match value {
        Ipld::Null => Value::Null,
        Ipld::Bool(value) => Value::Bool(*value),
        Ipld::Integer(value) => Number::from_i128(*value)
            .map_or_else(|| Value::String(value.to_string()), Value::Number),
        Ipld::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
        Ipld::String(value) => Value::String(value.clone()),
        Ipld::Bytes(value) => json!({ "/": { "bytes": Base::Base64.encode(value) } }),
        Ipld::List(values) => values.iter().map(ipld).collect(),
        Ipld::Map(values) => values
            .iter()
            .map(|(name, value)| (name.clone(), ipld(value)))
            .collect::<Map<_, _>>()
            .into(),
        Ipld::Link(cid) => json!({ "/": cid.to_string() }),
    }
}
