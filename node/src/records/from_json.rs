//! JSON from clients.

use serde::de::DeserializeOwned;

use crate::api_error::ApiError;

/// The longest text in a record of JSON, in bytes of JSON (inclusive): more than any name, digest
/// or CID has. Some bases take time quadratic in the length.
const LONGEST_TEXT: usize = 4096;

/// What JSON from a client says, if no text in it is long.
pub(super) fn from_json_of_short_texts<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if longest_text(bytes) > LONGEST_TEXT {
        return Err(ApiError::bad_request(
            "invalid_record",
            format!("a text in it has more than {LONGEST_TEXT} bytes"),
        ));
    }
    from_json(bytes)
}

/// The length of the longest text in JSON, in bytes of JSON.
fn longest_text(json: &[u8]) -> usize {
    let mut rest = json;
    let mut longest = 0;
    while let Some(start) = rest.iter().position(|byte| *byte == b'"') {
        rest = &rest[start + 1..];
        let mut at = 0;
        while let Some(byte) = rest.get(at) {
            match byte {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        longest = longest.max(at);
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    longest
}

/// What JSON from a client says.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| {
        let code = if e.is_data() {
            "invalid_record"
        } else {
            "invalid_json"
        };
        ApiError::bad_request(code, e.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text() {
        for (json, longest) in [
            ("", 0),
            ("{}", 0),
            (r#"{"a":1}"#, 1),
            (r#"{"a":"bcd","e":["fg"]}"#, 3),
            (r#"["a\"b\\"]"#, 6),
            (r#"["abc"#, 3),
            (r#"["abc\"#, 5),
            (r#"""""#, 0),
        ] {
            assert_eq!(longest_text(json.as_bytes()), longest, "{json}");
        }
        let long = format!("[\"{}\"]", "a".repeat(LONGEST_TEXT + 1));
        assert!(from_json_of_short_texts::<Vec<String>>(long.as_bytes()).is_err());
        assert!(from_json_of_short_texts::<Vec<String>>(br#"["a"]"#).is_ok());
    }
}
