use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::contract::{Codec, CodecError};

/// CBOR, by [`ciborium`]. For records whose links are to be links, take
/// [`DagCbor`](super::DagCbor).
#[derive(Clone, Copy, Debug, Default)]
pub struct Cbor;

const FORMAT: &str = "CBOR";

impl<T: Serialize + DeserializeOwned> Codec<T> for Cbor {
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).map_err(|e| CodecError::new(FORMAT, e))?;
        Ok(bytes.into())
    }

    fn decode(&self, bytes: &Bytes) -> Result<T, CodecError> {
        let mut rest: &[u8] = bytes;
        let value = ciborium::from_reader(&mut rest).map_err(|e| CodecError::new(FORMAT, e))?;
        // The crate stops after the first value.
        if rest.is_empty() {
            Ok(value)
        } else {
            Err(CodecError::new(
                FORMAT,
                format!("{} bytes follow the value", rest.len()),
            ))
        }
    }
}
