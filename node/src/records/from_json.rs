//! JSON from clients.

use serde::de::DeserializeOwned;

use crate::api_error::ApiError;

/// The longest message, in characters (inclusive): what is wrong may be quoted in it, of whatever
/// length.
const LONGEST_MESSAGE: usize = 500;

/// What JSON from a client says. Digests, CIDs and DIDs in it bound their own lengths before they
/// are decoded.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| {
        let code = if e.is_data() {
            "invalid_record"
        } else {
            "invalid_json"
        };
        let message: String = e.to_string().chars().take(LONGEST_MESSAGE).collect();
        ApiError::bad_request(code, message)
    })
}
