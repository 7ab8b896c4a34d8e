//! What a store can do beyond, or short of, the contract.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::{Attributes, Error, Key, Operation, Result};

/// What a store honours. Found out at opening where it depends on a server; constant from then on.
///
/// ```
/// use storehouse_objectstore::{Attributes, Capabilities, Key, KeyRule, ListOrder};
///
/// // What a backend for some server might say.
/// let capabilities = Capabilities::full()
///     .with_create(true)
///     .with_replace(false)
///     .with_verifies_sha256(true)
///     .with_checksums(true)
///     .with_remote(true)
///     .with_order(ListOrder::by_key())
///     .with_max_size(5 << 30)
///     .with_keys(KeyRule::new(|key| key.contains(' ').then_some("it has a space")))
///     .with_max_attributes(2 << 10)
///     .with_native_copy(true)
///     .with_rename(false)
///     .with_events(false)
///     .with_presign(true);
/// assert!(capabilities.create && !capabilities.replace);
///
/// let (key, other) = (Key::new("a")?, Key::new("a b")?);
/// assert!(capabilities.accepts_key(&key) && !capabilities.accepts_key(&other));
/// let long = Attributes::default().with_user("note", ["x".repeat(3 << 10)])?;
/// assert!(capabilities.check_attributes(&key, &long).is_err());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Capabilities {
    /// [`PutMode::Create`](crate::PutMode::Create) is honoured; if not, such a put answers
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub create: bool,
    /// [`PutMode::Replace`](crate::PutMode::Replace) is honoured; if not, such a put answers
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub replace: bool,
    /// [`PutOptions::sha256`](crate::PutOptions::sha256) is checked by the far side before the
    /// object becomes visible.
    pub verifies_sha256: bool,
    /// A checksum goes with every put to the far side, which keeps it with the object. False for
    /// local stores, which have their own, and for a server that refuses it.
    pub checksums: bool,
    /// Every operation is a round trip to a server: asking first costs as much as doing. If not, a
    /// head is cheap next to a put.
    pub remote: bool,
    /// The order in which keys are listed.
    pub order: ListOrder,
    /// The largest object, in bytes (inclusive). A larger declared size is
    /// [`Error::TooLarge`](crate::Error::TooLarge).
    pub max_size: u64,
    /// Which keys are accepted.
    pub keys: KeyRule,
    /// The most that the attributes of one object may take, in bytes (inclusive), as
    /// [`Attributes::size`] counts; 0 if none are kept. A put or copy with more answers
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub max_attributes: u64,
    /// A copy does not move the object's bytes through this process. If not, it is a get and a put.
    pub native_copy: bool,
    /// [`CopyOptions::remove_source`](crate::CopyOptions::remove_source) is honoured.
    pub rename: bool,
    /// [`ObjectStore::events`](crate::ObjectStore::events) gives some.
    pub events: bool,
    /// [`ObjectStore::presign`](crate::ObjectStore::presign) is honoured.
    pub presign: bool,
}

impl Capabilities {
    /// All that the contract asks for: every mode, every key, byte order, sizes up to 2^63 - 1.
    /// What goes beyond it is off.
    ///
    /// ```
    /// use storehouse_objectstore::Capabilities;
    ///
    /// let capabilities = Capabilities::full().with_replace(false).with_max_size(1 << 20);
    /// assert!(capabilities.create && !capabilities.replace);
    /// ```
    #[must_use]
    pub fn full() -> Self {
        Self {
            create: true,
            replace: true,
            verifies_sha256: false,
            checksums: false,
            remote: false,
            order: ListOrder::by_key(),
            max_size: i64::MAX as u64,
            keys: KeyRule::any(),
            max_attributes: 0,
            native_copy: false,
            rename: false,
            events: false,
            presign: false,
        }
    }

    /// Sets [`create`](Self::create).
    #[must_use]
    pub fn with_create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets [`replace`](Self::replace).
    #[must_use]
    pub fn with_replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// Sets [`verifies_sha256`](Self::verifies_sha256).
    #[must_use]
    pub fn with_verifies_sha256(mut self, verifies: bool) -> Self {
        self.verifies_sha256 = verifies;
        self
    }

    /// Sets [`checksums`](Self::checksums).
    #[must_use]
    pub fn with_checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets [`remote`](Self::remote).
    #[must_use]
    pub fn with_remote(mut self, remote: bool) -> Self {
        self.remote = remote;
        self
    }

    /// With this order of listings.
    #[must_use]
    pub fn with_order(mut self, order: ListOrder) -> Self {
        self.order = order;
        self
    }

    /// With this largest size of an object, in bytes (inclusive).
    #[must_use]
    pub fn with_max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// With this rule for keys.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyRule) -> Self {
        self.keys = keys;
        self
    }

    /// With attributes of at most this size, in bytes (inclusive).
    #[must_use]
    pub fn with_max_attributes(mut self, bytes: u64) -> Self {
        self.max_attributes = bytes;
        self
    }

    /// Sets [`native_copy`](Self::native_copy).
    #[must_use]
    pub fn with_native_copy(mut self, native: bool) -> Self {
        self.native_copy = native;
        self
    }

    /// Sets [`rename`](Self::rename).
    #[must_use]
    pub fn with_rename(mut self, rename: bool) -> Self {
        self.rename = rename;
        self
    }

    /// Sets [`events`](Self::events).
    #[must_use]
    pub fn with_events(mut self, events: bool) -> Self {
        self.events = events;
        self
    }

    /// Sets [`presign`](Self::presign).
    #[must_use]
    pub fn with_presign(mut self, presign: bool) -> Self {
        self.presign = presign;
        self
    }

    /// Whether this store keeps all of `attributes`. For writers of backends.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if it does not.
    pub fn check_attributes(&self, key: &Key, attributes: &Attributes) -> Result<()> {
        if attributes.size() <= self.max_attributes {
            return Ok(());
        }
        Err(Error::Unsupported {
            operation: Operation::Put,
            key: key.clone(),
            feature: if self.max_attributes == 0 {
                "attributes"
            } else {
                "attributes of this size"
            },
        })
    }

    /// Whether this store accepts `key` on put. If not: put answers
    /// [`Error::InvalidKey`](crate::Error::InvalidKey), get and head not found, delete ok. A server
    /// may refuse further keys in the same way.
    #[must_use]
    pub fn accepts_key(&self, key: &Key) -> bool {
        self.keys.flaw(key.as_str()).is_none()
    }
}

/// The total, unchanging order in which a store lists its keys.
///
/// ```
/// use std::cmp::Ordering;
/// use storehouse_objectstore::{Key, ListOrder};
///
/// let (a, b) = (Key::new("a/2")?, Key::new("b/1")?);
/// assert!(ListOrder::by_key().is_by_key());
/// assert_eq!(ListOrder::by_key().compare(&a, &b), Ordering::Less);
///
/// let by_last = ListOrder::by_path(|key| key.rsplit('/').next().unwrap_or(key).to_owned());
/// assert_eq!(by_last.compare(&a, &b), Ordering::Greater);
/// assert!(!by_last.under("prefix/").is_by_key());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone)]
pub struct ListOrder(Option<PathOf>);

type PathOf = Arc<dyn Fn(&str) -> String + Send + Sync>;

impl ListOrder {
    /// Byte order of keys.
    #[must_use]
    pub fn by_key() -> Self {
        Self(None)
    }

    /// Byte order of `path(key)`, ties (there should be none) broken by the key: flatfs lists by
    /// shard first.
    pub fn by_path(path: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(path)))
    }

    /// Whether this is byte order of keys.
    #[must_use]
    pub fn is_by_key(&self) -> bool {
        self.0.is_none()
    }

    /// Which of two keys is listed first.
    #[must_use]
    pub fn compare(&self, a: &Key, b: &Key) -> Ordering {
        match &self.0 {
            None => a.cmp(b),
            Some(path) => path(a.as_str())
                .cmp(&path(b.as_str()))
                .then_with(|| a.cmp(b)),
        }
    }

    /// The order of keys that are stored under `prefix + key` in a store of this order. For writers
    /// of wrappers.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        match &self.0 {
            None => Self(None),
            Some(path) => {
                let (path, prefix) = (Arc::clone(path), prefix.to_owned());
                Self::by_path(move |key| path(&format!("{prefix}{key}")))
            }
        }
    }
}

impl fmt::Debug for ListOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_by_key() {
            "by key"
        } else {
            "by path"
        })
    }
}

/// Which keys a store accepts, among all that are a [`Key`].
///
/// ```
/// use storehouse_objectstore::{Capabilities, Key, KeyRule};
///
/// let flat = KeyRule::new(|key| key.contains('/').then_some("it has a '/'"));
/// assert_eq!(flat.flaw("a/b"), Some("it has a '/'"));
/// assert!(KeyRule::any().flaw("a/b").is_none());
/// assert!(flat.under("prefix/").flaw("a").is_some());
///
/// let capabilities = Capabilities::full().with_keys(flat);
/// assert!(!capabilities.accepts_key(&Key::new("a/b")?));
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRule(Option<FlawIn>);

type FlawIn = Arc<dyn Fn(&str) -> Option<&'static str> + Send + Sync>;

impl KeyRule {
    /// Every key.
    #[must_use]
    pub fn any() -> Self {
        Self(None)
    }

    /// Those in which `flaw` finds nothing wrong.
    pub fn new(flaw: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(flaw)))
    }

    /// Why `key` is not accepted, if it is not.
    #[must_use]
    pub fn flaw(&self, key: &str) -> Option<&'static str> {
        self.0.as_ref().and_then(|flaw| flaw(key))
    }

    /// The rule for keys that are stored under `prefix + key` in a store of this rule. For writers
    /// of wrappers.
    #[must_use]
    pub fn under(&self, prefix: &str) -> Self {
        let (rule, prefix) = (self.clone(), prefix.to_owned());
        Self::new(move |key| {
            if prefix.len() + key.len() > Key::MAX_LEN {
                return Some("with the prefix of its store the key has more than 1024 bytes");
            }
            rule.flaw(&format!("{prefix}{key}"))
        })
    }
}

impl fmt::Debug for KeyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "some keys"
        } else {
            "any key"
        })
    }
}
