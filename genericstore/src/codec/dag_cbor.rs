use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::contract::{Codec, CodecError};

/// dag-cbor, by [`serde_ipld_dagcbor`]: maps sorted, links as `Cid`s of `ipld_core`. Strict
/// when decoding.
#[derive(Clone, Copy, Debug, Default)]
pub struct DagCbor;

const FORMAT: &str = "dag-cbor";

impl<T: Serialize + DeserializeOwned> Codec<T> for DagCbor {
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        serde_ipld_dagcbor::to_vec(value)
            .map(Bytes::from)
            .map_err(|e| CodecError::new(FORMAT, e))
    }

    fn decode(&self, bytes: &Bytes) -> Result<T, CodecError> {
        serde_ipld_dagcbor::from_slice(bytes).map_err(|e| CodecError::new(FORMAT, e))
    }
}
