//! Bytes that must stay secret.

use std::fmt;

use zeroize::Zeroizing;

/// Secret bytes: wiped from memory when dropped, printed as `[redacted]`.
///
/// A clone is wiped like the original. There is no comparison: compare what is derived from
/// secrets, not secrets.
///
/// ```
/// use storehouse_local::Secret;
///
/// let secret = Secret::from(b"hunter2".to_vec());
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// assert_eq!(secret.expose(), b"hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The bytes. A copy of them has to be wiped by its owner.
    ///
    /// ```
    /// use storehouse_local::Secret;
    ///
    /// assert_eq!(Secret::from("hunter2").expose(), b"hunter2");
    /// ```
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The number of bytes, which is no secret.
    ///
    /// ```
    /// use storehouse_local::Secret;
    ///
    /// assert_eq!(Secret::from("hunter2").len(), 7);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    ///
    /// ```
    /// use storehouse_local::Secret;
    ///
    /// assert!(Secret::from("").is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Takes the bytes over without a copy.
impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// Takes the bytes over without a copy.
impl From<Zeroizing<Vec<u8>>> for Secret {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

/// Takes the text over without a copy.
impl From<String> for Secret {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
