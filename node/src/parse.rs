//! Digests and CIDs in texts of clients.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use storehouse::blobstore::{Digest, HashFunction};
use storehouse::formats;
use storehouse::objectstore::Key;
use storehouse::records::Cid;

use crate::api_error::ApiError;

/// A segment of the path, its percent signs resolved.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// A digest from the path: a multihash in any multibase, or `{function}:{hash}` in hexadecimal, as
/// `sha256sum` and its like print it.
pub(crate) fn digest_segment(segment: Segment) -> Result<Digest, ApiError> {
    let Ok(Path(text)) = segment else {
        return Err(ApiError::bad_request(
            "invalid_digest",
            "the digest in the path is not UTF-8",
        ));
    };
    digest(&text)
}

/// The same for a digest that does not come from the path.
pub(crate) fn digest(text: &str) -> Result<Digest, ApiError> {
    let Some((name, hex)) = text.split_once(':') else {
        return Ok(text.parse()?);
    };
    let invalid = |reason| ApiError::bad_request("invalid_digest", reason);
    let function = HashFunction::ALL
        .into_iter()
        .find(|function| function.to_string() == name);
    let function = function.ok_or_else(|| {
        ApiError::bad_request(
            "unknown_hash_function",
            "before the ':' stands no hash function that is known",
        )
    })?;
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 2 * function.hash_len());
    let digits = digits.ok_or_else(|| {
        invalid("after the ':' a hash of the function's length in hexadecimal is needed")
    })?;
    let hash: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    Ok(Digest::new(function, &hash)?)
}

/// A CID from the path.
pub(crate) fn cid_segment(cid: Segment) -> Result<Cid, ApiError> {
    let Path(text) =
        cid.map_err(|_| ApiError::bad_request("invalid_cid", "the CID in the path is not UTF-8"))?;
    self::cid(&text)
}

/// A CID in any multibase, that a record can be stored under.
pub(crate) fn cid(text: &str) -> Result<Cid, ApiError> {
    let invalid = |reason| ApiError::bad_request("invalid_cid", reason);
    let cid: Cid = text
        .parse()
        .map_err(|e: formats::Error| invalid(e.to_string()))?;
    if cid.to_string().len() > Key::MAX_LEN {
        let longest = Key::MAX_LEN;
        return Err(invalid(format!(
            "no record is stored under a CID whose text has more than {longest} bytes"
        )));
    }
    Ok(cid)
}
