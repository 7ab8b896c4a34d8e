//! Names of keys.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The most characters that a name may have (inclusive): with what the store adds, a file name
/// anywhere.
const MAX_NAME: usize = 128;

/// A key's name: 1 to 128 ASCII letters, digits, `-`, `_`, `.`, `:`, `@`, `+` and `=`, the first of
/// them a letter, digit or `_`.
///
/// So a name is one path segment, never hidden, never an option on a command line, and needs no
/// quoting in a shell. Piri names its keys by wallet address, or freely; those names fit.
///
/// ```
/// use storehouse_local::keystore::KeyName;
///
/// assert!("0xA1b2C3".parse::<KeyName>().is_ok());
/// assert!("../node".parse::<KeyName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// The text.
    ///
    /// ```
    /// use storehouse_local::keystore::KeyName;
    ///
    /// let name: KeyName = "node".parse()?;
    /// assert_eq!(name.as_str(), "node");
    /// # Ok::<(), storehouse_local::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidName {
            name: name.chars().take(64).collect(),
            reason,
        };
        match name.as_bytes() {
            [] => Err(invalid("it is empty")),
            bytes if bytes.len() > MAX_NAME => Err(invalid("it has more than 128 bytes")),
            [first, ..] if !(first.is_ascii_alphanumeric() || *first == b'_') => Err(invalid(
                "it must begin with an ASCII letter, a digit or an underscore",
            )),
            bytes
                if !bytes
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.:@+=".contains(b)) =>
            {
                Err(invalid(
                    "it may hold ASCII letters, digits and -_.:@+= only",
                ))
            }
            _ => Ok(Self(name.to_owned())),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
