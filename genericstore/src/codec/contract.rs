//! What a codec promises.

use std::fmt::Debug;

use bytes::Bytes;
use storehouse_objectstore::BoxError;

/// Encodes values of one type as bytes and decodes them again.
///
/// Decoding is given bytes from outside: it must answer any of them with a value or an error, never
/// a panic, and allocate no more than a small multiple of their number. It may keep slices of the
/// bytes.
///
/// ```
/// use bytes::Bytes;
/// use storehouse_genericstore::{Codec, CodecError};
///
/// /// Numbers, in decimal.
/// #[derive(Debug)]
/// struct Decimal;
///
/// impl Codec<u64> for Decimal {
///     fn encode(&self, value: &u64) -> Result<Bytes, CodecError> {
///         Ok(value.to_string().into())
///     }
///
///     fn decode(&self, bytes: &Bytes) -> Result<u64, CodecError> {
///         let text = std::str::from_utf8(bytes).map_err(|e| CodecError::new("a number", e))?;
///         text.parse().map_err(|e| CodecError::new("a number", e))
///     }
/// }
///
/// assert_eq!(Decimal.decode(&Decimal.encode(&42)?)?, 42);
/// let error = Decimal.decode(&"many".into()).unwrap_err();
/// assert_eq!(error.to_string(), "not valid as a number");
/// # Ok::<(), storehouse_genericstore::CodecError>(())
/// ```
pub trait Codec<T>: Debug + Send + Sync + 'static {
    /// The bytes of `value`.
    ///
    /// # Errors
    /// [`CodecError`] if the format cannot say this value.
    fn encode(&self, value: &T) -> Result<Bytes, CodecError>;

    /// The value that all of `bytes` are the encoding of.
    ///
    /// # Errors
    /// [`CodecError`] if they are none, or if bytes follow it.
    fn decode(&self, bytes: &Bytes) -> Result<T, CodecError>;
}

/// Why a value cannot be encoded, or bytes cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[error("not valid as {format}")]
pub struct CodecError {
    /// The format, by its usual name.
    pub format: &'static str,
    /// What is wrong.
    pub source: BoxError,
}

impl CodecError {
    /// An error of the codec of `format`.
    ///
    /// ```
    /// use std::error::Error;
    /// use storehouse_genericstore::CodecError;
    ///
    /// let error = CodecError::new("a point", "it has one coordinate");
    /// assert_eq!(error.to_string(), "not valid as a point");
    /// assert_eq!(error.source().unwrap().to_string(), "it has one coordinate");
    /// ```
    pub fn new(format: &'static str, source: impl Into<BoxError>) -> Self {
        Self {
            format,
            source: source.into(),
        }
    }
}
