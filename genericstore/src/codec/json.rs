use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::contract::{Codec, CodecError};

/// JSON, by [`serde_json`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

const FORMAT: &str = "JSON";

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        serde_json::to_vec(value)
            .map(Bytes::from)
            .map_err(|e| CodecError::new(FORMAT, e))
    }

    fn decode(&self, bytes: &Bytes) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(|e| CodecError::new(FORMAT, e))
    }
}
