//! Where a store's records lie among other objects.

use storehouse_objectstore::Key;

use crate::{Error, Result};

/// The keys of one store's records: `prefix + key + suffix`.
///
/// A prefix is text, not a path: `"allocation/"` makes a folder, `""` takes the whole object store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    prefix: String,
    suffix: String,
}

impl Namespace {
    /// The namespace of keys between `prefix` and `suffix`. Both may be empty.
    ///
    /// # Errors
    /// [`Error::Config`] if no key could have them.
    pub fn new(prefix: impl Into<String>, suffix: impl Into<String>) -> Result<Self> {
        let namespace = Self { prefix: prefix.into(), suffix: suffix.into() };
        match Key::new(format!("{}x{}", namespace.prefix, namespace.suffix)) {
            Ok(_) => Ok(namespace),
            Err(_) => {
                Err(Error::Config { what: format!("namespace {:?} … {:?}", namespace.prefix, namespace.suffix), reason: "no key can have these around it" })
            }
        }
    }

    /// The whole object store.
    #[must_use]
    pub fn root() -> Self {
        Self { prefix: String::new(), suffix: String::new() }
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
        if key.is_empty() {
            // "{prefix}{suffix}" may well be a key, but never a record's.
            return Err(storehouse_objectstore::Error::invalid_key(storehouse_objectstore::Operation::Key, key, "a record's key has at least one byte").into());
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
        key.as_str().strip_prefix(self.prefix.as_str())?.strip_suffix(self.suffix.as_str()).filter(|key| !key.is_empty())
    }
}
