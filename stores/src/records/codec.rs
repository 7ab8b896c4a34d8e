use bytes::Bytes;
use storehouse_genericstore::{Codec, CodecError};

use super::{Acceptance, Allocation, Consolidation};
use crate::{Delegation, Receipt};

/// The codec of this crate's records: exactly Piri's bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordCodec;

macro_rules! codecs {
    ($($record:ty, $format:literal, $encode:expr, $decode:expr;)*) => {$(
        impl Codec<$record> for RecordCodec {
            fn encode(&self, record: &$record) -> Result<Bytes, CodecError> {
                let encode: fn(&$record) -> Bytes = $encode;
                Ok(encode(record))
            }

            #[inline]
            fn decode(&self, bytes: &Bytes) -> Result<$record, CodecError> {
                let decode: fn(&Bytes) -> crate::Result<$record> = $decode;
                decode(bytes).map_err(|e| CodecError::new($format, e))
            }
        }
    )*};
}

codecs! {
    Allocation, "an allocation", Allocation::encode, |bytes| Allocation::decode(bytes);
    Acceptance, "an acceptance", Acceptance::encode, |bytes| Acceptance::decode(bytes);
    Consolidation, "a consolidation", Consolidation::encode, Consolidation::decode;
    Delegation, "a delegation", |delegation| delegation.as_bytes().clone(), |bytes| Ok(Delegation::decode(bytes.clone())?);
    Receipt, "a receipt", Receipt::store_form, |bytes| Ok(Receipt::decode(bytes.clone())?);
}
