//! Where a store's records lie among other objects.

use storehouse_objectstore::{Error as StoreError, Key, Operation};

use crate::{Error, Result};

/// The keys of one store's records: `prefix + key + suffix`.
///
/// A prefix is text, not a path: `"allocation/"` makes a folder, `""` takes the whole object store.
///
/// ```
/// use storehouse_genericstore::Namespace;
///
/// let namespace = Namespace::new("allocation/", ".cbor")?.flat();
/// let key = namespace.object_key("a")?;
/// assert_eq!(key.as_str(), "allocation/a.cbor");
/// assert_eq!(namespace.record_key(&key), Some("a"));
/// assert!(namespace.object_key("a/b").is_err(), "flat");
/// assert_eq!((namespace.prefix(), namespace.suffix()), ("allocation/", ".cbor"));
/// assert_eq!(Namespace::root().object_key("a/b")?.as_str(), "a/b");
/// # Ok::<(), storehouse_genericstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    prefix: String,
    suffix: String,
    flat: bool,
}

impl Namespace {
    /// The namespace of keys between `prefix` and `suffix`. Both may be empty.
    ///
    /// # Errors
    /// [`Error::Config`] if no key could have them.
    pub fn new(prefix: impl Into<String>, suffix: impl Into<String>) -> Result<Self> {
        let namespace = Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
            flat: false,
        };
        match Key::new(format!("{}x{}", namespace.prefix, namespace.suffix)) {
            Ok(_) => Ok(namespace),
            Err(_) => Err(Error::Config {
                what: format!("namespace {:?} … {:?}", namespace.prefix, namespace.suffix),
                reason: "no key can have these around it",
            }),
        }
    }

    /// The whole object store.
    #[must_use]
    pub fn root() -> Self {
        Self {
            prefix: String::new(),
            suffix: String::new(),
            flat: false,
        }
    }

    /// Only keys without `/`: what lies in folders of its own below the prefix is not this
    /// namespace's.
    #[must_use]
    pub fn flat(mut self) -> Self {
        self.flat = true;
        self
    }

    /// What every key of an object starts with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every key of an object ends with.
    #[must_use]
    pub fn suffix(&self) -> &str {
        &self.suffix
    }

    /// The object's key for the record's `key`.
    ///
    /// # Errors
    /// [`Error::Store`] with an invalid key.
    pub fn object_key(&self, key: &str) -> Result<Key> {
        if let Some(reason) = self.flaw(key) {
            return Err(StoreError::invalid_key(Operation::Key, key, reason).into());
        }
        let mut text = String::with_capacity(self.prefix.len() + key.len() + self.suffix.len());
        text.push_str(&self.prefix);
        text.push_str(key);
        text.push_str(&self.suffix);
        Ok(Key::new(text)?)
    }

    /// The record's key in an object's, if that is in this namespace.
    #[must_use]
    pub fn record_key<'a>(&self, key: &'a Key) -> Option<&'a str> {
        key.as_str()
            .strip_prefix(self.prefix.as_str())?
            .strip_suffix(self.suffix.as_str())
            .filter(|key| self.flaw(key).is_none())
    }

    fn flaw(&self, key: &str) -> Option<&'static str> {
        if key.is_empty() {
            // "{prefix}{suffix}" may well be a key, but never a record's.
            return Some("a record's key has at least one byte");
        }
        (self.flat && key.contains('/')).then_some("a key in a flat namespace has no '/'")
    }
}
