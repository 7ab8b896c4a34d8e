//! Claims and receipts as JSON: what the methods of their types say, under their names, and the
//! archive itself.
//!
//! Values of dag-cbor are written as dag-json has them: a link is `{"/": cid}`, bytes are `{"/":
//! {"bytes": base64}}`.

use multibase::Base;
use storehouse::formats::dag_json::{JsonError, JsonLimits, JsonWriter};
use storehouse::records::{Delegation, Receipt};

/// A claim's JSON, within a bound that its size gives.
pub(crate) fn claim(claim: &Delegation) -> Result<Vec<u8>, JsonError> {
    let mut text = Vec::new();
    let limits = JsonLimits::for_record(claim.as_bytes().len());
    claim.write_json(&mut JsonWriter::new(&mut text, limits))?;
    text.push(b'\n');
    Ok(text)
}

/// A receipt's JSON, within a bound that its size gives.
pub(crate) fn receipt(receipt: &Receipt) -> Result<Vec<u8>, JsonError> {
    let mut text = Vec::new();
    let limits = JsonLimits::for_record(receipt.as_bytes().len());
    receipt.write_json(&mut JsonWriter::new(&mut text, limits))?;
    text.push(b'\n');
    Ok(text)
}

/// The bytes of `m` and base64.
pub(crate) fn from_text(text: &str) -> Option<Vec<u8>> {
    // Other bases may take time quadratic in the length.
    Base::Base64.decode(text.strip_prefix('m')?).ok()
}
