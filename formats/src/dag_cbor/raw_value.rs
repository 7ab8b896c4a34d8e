use std::fmt;

use bytes::Bytes;
use ipld_core::ipld::Ipld;

use super::{DecodeError, Kind, Problem, Reader, Writer};
use crate::Cid;

/// A value as its dag-cbor, checked all the way down. It takes no memory but for its bytes, of
/// which a decoder copies none.
///
/// ```
/// use storehouse_formats::Ipld;
/// use storehouse_formats::dag_cbor::RawValue;
///
/// let value = RawValue::new(bytes::Bytes::from_static(b"\x81\x05"))?;
/// assert_eq!(value.to_ipld()?, Ipld::List(vec![Ipld::Integer(5)]));
/// assert_eq!(RawValue::from(&value.to_ipld()?), value);
/// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
/// ```
///
/// ```
/// use storehouse_formats::dag_cbor::{Kind, RawValue};
///
/// let value = RawValue::new(bytes::Bytes::from_static(b"\x81\x05"))?;
/// assert_eq!((value.kind(), value.as_bytes().len()), (Kind::List, 2));
/// let mut reader = value.reader();
/// assert_eq!((reader.list()?, reader.uint()?), (1, 5));
/// # Ok::<(), storehouse_formats::dag_cbor::DecodeError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RawValue(Bytes);

impl RawValue {
    /// The value that `bytes` are, and nothing more.
    ///
    /// # Errors
    /// [`DecodeError`]. Values of more than 4 GiB are [`Problem::Expands`].
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Reader::error_at(0, Problem::Expands));
        }
        let mut reader = Reader::new(&bytes);
        reader.raw()?;
        reader.finish()?;
        Ok(Self(bytes))
    }

    /// Of bytes that a reader has passed over as a value.
    pub(crate) fn checked(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The dag-cbor.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0
            .first()
            .map_or(Kind::Simple, |first| Kind::of(*first))
    }

    /// A reader of it.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader::new(&self.0)
    }

    /// It as a tree in memory, within the bound of [`Reader::ipld`].
    ///
    /// # Errors
    /// Those of [`Reader::ipld`].
    pub fn to_ipld(&self) -> Result<Ipld, DecodeError> {
        self.reader().ipld()
    }
}

/// Integers that CBOR cannot say become the nearest that it can; floats that are no number,
/// `null`.
impl From<&Ipld> for RawValue {
    fn from(value: &Ipld) -> Self {
        let mut writer = Writer::default();
        writer.ipld(value);
        Self(writer.into_bytes().into())
    }
}

impl From<Ipld> for RawValue {
    fn from(value: Ipld) -> Self {
        (&value).into()
    }
}

/// A link.
impl From<&Cid> for RawValue {
    fn from(cid: &Cid) -> Self {
        let mut writer = Writer::default();
        writer.link(cid);
        Self(writer.into_bytes().into())
    }
}

impl fmt::Debug for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawValue({} bytes)", self.0.len())
    }
}
