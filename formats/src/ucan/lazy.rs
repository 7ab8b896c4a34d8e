use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;

/// A part of a block that becomes a value when it is first asked for: values take many times the
/// room of their bytes.
pub(super) struct Lazy<T> {
    bytes: Bytes,
    value: OnceLock<T>,
    decode: fn(&[u8]) -> T,
}

impl<T> Lazy<T> {
    /// The value in these bytes, which were checked: `decode` makes something of any bytes, and of
    /// these what they say.
    pub(super) fn new(bytes: Bytes, decode: fn(&[u8]) -> T) -> Self {
        Self {
            bytes,
            value: OnceLock::new(),
            decode,
        }
    }

    pub(super) fn get(&self) -> &T {
        self.value.get_or_init(|| (self.decode)(&self.bytes))
    }
}

impl<T: fmt::Debug> fmt::Debug for Lazy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
