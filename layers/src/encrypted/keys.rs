//! The store's keys.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use storehouse_objectstore::{Error, Result};
use zeroize::{Zeroize, Zeroizing};

/// The longest id of a key, in bytes (inclusive).
const LONGEST_ID: usize = 16;

/// The most bytes that a file of keys may have (inclusive).
const LONGEST_FILE: usize = 64 * 1024;

/// The keys of a store: the one to encrypt with, and older ones to decrypt with. Each has an id,
/// which stands in every object: 1 to 16 ASCII letters, digits, `-` or `_`.
///
/// These keys are overwritten in memory when they are dropped, and never printed. What is derived
/// from one for a single object lives as long as that object is read or written, and is not
/// overwritten.
///
/// ```
/// use storehouse_layers::EncryptionKeys;
///
/// let keys = EncryptionKeys::new("2026", [7; 32])?.with_older("2025", [5; 32])?;
/// assert_eq!(format!("{keys:?}"), r#"EncryptionKeys { current: "2026", older: ["2025"] }"#);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone)]
pub struct EncryptionKeys {
    current: String,
    all: BTreeMap<String, Zeroizing<[u8; 32]>>,
}

impl EncryptionKeys {
    /// One key, of 32 bytes that cannot be guessed.
    ///
    /// # Errors
    /// [`Error::Config`] if the id is not allowed.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self> {
        let current = id.into();
        let keys = Self {
            current: current.clone(),
            all: BTreeMap::new(),
        };
        keys.with_older(current, key)
    }

    /// With an older key, to read what was written with it.
    ///
    /// # Errors
    /// [`Error::Config`] if the id is not allowed, or there already.
    ///
    /// ```
    /// # use storehouse_layers::EncryptionKeys;
    /// let keys = EncryptionKeys::new("2026", [7; 32])?;
    /// assert!(keys.with_older("2026", [5; 32]).is_err());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn with_older(mut self, id: impl Into<String>, mut key: [u8; 32]) -> Result<Self> {
        let id = id.into();
        let kept = Zeroizing::new(key);
        key.zeroize();
        if !is_id(&id) {
            // A key may stand where its id should, and is not repeated.
            let named = if id.len() < 32 {
                format!("{id:?}")
            } else {
                format!("a text of {} bytes", id.len())
            };
            let reason =
                format!("{named} is no id of a key: 1 to 16 ASCII letters, digits, - or _");
            return Err(Error::config("keys", reason));
        }
        if self.all.contains_key(&id) {
            return Err(Error::config(
                "keys",
                format!("two keys have the id {id:?}"),
            ));
        }
        self.all.insert(id, kept);
        Ok(self)
    }

    /// The keys of a text file: on each line an id, a blank and 64 hexadecimal digits; the first
    /// one encrypts. Empty lines and those that begin with `#` are passed over. Reads the file in
    /// place: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::Config`] if the file cannot be read, is no regular file or has more than 64 KiB, or
    /// if a line is something else, by its number. The line is not repeated.
    ///
    /// ```
    /// use storehouse_layers::EncryptionKeys;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("keys");
    /// std::fs::write(&path, format!("2026 {}\n2025 {}\n", "ab".repeat(32), "cd".repeat(32)))?;
    /// assert_eq!(EncryptionKeys::from_file(&path)?.current(), "2026");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = read(path).map_err(|error| Error::Config {
            setting: "keys",
            reason: format!("{} cannot be read", path.display()),
            source: Some(error.into()),
        })?;
        let text = str::from_utf8(&text)
            .map_err(|_| Error::config("keys", format!("{} is no text", path.display())))?;
        let mut keys: Option<Self> = None;
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || {
                let path = path.display();
                Error::config("keys", format!("line {number} of {path} is no id and key"))
            };
            let (id, digits) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
            if !is_id(id) {
                return Err(wrong());
            }
            let key = from_hex(digits.trim()).ok_or_else(wrong)?;
            keys = Some(match keys {
                None => Self::new(id, *key)?,
                Some(keys) => keys.with_older(id, *key)?,
            });
        }
        keys.ok_or_else(|| Error::config("keys", format!("{} has no key", path.display())))
    }

    /// The id of the key to encrypt with.
    ///
    /// ```
    /// # use storehouse_layers::EncryptionKeys;
    /// assert_eq!(EncryptionKeys::new("2026", [7; 32])?.current(), "2026");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn current(&self) -> &str {
        &self.current
    }

    pub(super) fn get(&self, id: &str) -> Option<&[u8; 32]> {
        self.all.get(id).map(|key| &**key)
    }
}

fn is_id(id: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// The bytes of a small file.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A FIFO would block, and a device need not end. A link may be one to a mounted secret.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    // A buffer that grows leaves copies of what it holds behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_FILE + 1));
    file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST_FILE {
        return Err(io::Error::other("it has more than 64 KiB"));
    }
    Ok(bytes)
}

fn from_hex(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(key)
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let older: Vec<_> = self.all.keys().filter(|id| **id != self.current).collect();
        f.debug_struct("EncryptionKeys")
            .field("current", &self.current)
            .field("older", &older)
            .finish()
    }
}
