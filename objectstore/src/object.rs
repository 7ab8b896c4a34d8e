//! What a store says about an object.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;

use crate::{Attributes, Body, Key, SmallBytes};

/// An opaque tag of one version of an object: two versions of one key never share a tag, as far as
/// the backend can tell.
///
/// Tags of different backends, or of different keys, say nothing about each other. The text is the
/// backend's own; one from an S3 server is kept as it came, quotes included.
///
/// ```
/// use storehouse_objectstore::ETag;
///
/// let tag = ETag::new("\"5d41402abc4b2a76\"");
/// assert_eq!(tag.as_str(), "\"5d41402abc4b2a76\"");
/// assert_ne!(tag, ETag::new("5d41402abc4b2a76"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ETag(SmallBytes);

impl ETag {
    /// A tag with this text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().as_bytes().into())
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // It came from text.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What [`ObjectStore::head`](crate::ObjectStore::head) says about an object.
///
/// ```
/// use std::time::SystemTime;
/// use storehouse_objectstore::{Attributes, ETag, Metadata};
///
/// let attributes = Attributes::default().with_content_type("text/plain")?;
/// let metadata = Metadata::new(5, ETag::new("1"))
///     .last_modified(SystemTime::UNIX_EPOCH)
///     .attributes(attributes.clone());
/// assert_eq!((metadata.size, metadata.attributes), (5, attributes));
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The size of the whole object, in bytes.
    pub size: u64,
    /// The tag of this version.
    pub etag: ETag,
    /// When this version was written, by the backend's clock, if it keeps that. S3 gives whole
    /// seconds.
    pub last_modified: Option<SystemTime>,
    /// The attributes that it was put with. Complete in the answers to get and head; a listing may
    /// give none for objects that have some, as S3 does.
    pub attributes: Attributes,
}

impl Metadata {
    /// The metadata of an object of `size` bytes, of an unknown time and without attributes.
    ///
    /// ```
    /// use storehouse_objectstore::{ETag, Metadata};
    ///
    /// let metadata = Metadata::new(5, ETag::new("1")).last_modified(std::time::SystemTime::now());
    /// assert!(metadata.last_modified.is_some() && metadata.attributes.is_empty());
    /// ```
    #[must_use]
    pub fn new(size: u64, etag: ETag) -> Self {
        Self {
            size,
            etag,
            last_modified: None,
            attributes: Attributes::default(),
        }
    }

    /// With this time of the last write.
    #[must_use]
    pub fn last_modified(mut self, time: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = time.into();
        self
    }

    /// With these attributes.
    #[must_use]
    pub fn attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }
}

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object's key.
    pub key: Key,
    /// What is known of the object. A listing may see another version than a get that follows it.
    pub metadata: Metadata,
    /// All bytes of the version that `metadata` is of, if they were [asked
    /// for](crate::ListOptions::inline_values) and the store had them at no extra cost: where
    /// records lie beside their keys, in memory or in an embedded database. `None` says nothing,
    /// and a get will tell.
    pub value: Option<Bytes>,
}

/// One item of a listing by folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// An object whose key has no delimiter behind the prefix.
    Object(Entry),
    /// What all of at least one key have in common, up to and with the first delimiter behind the
    /// prefix: `photos/`.
    Prefix(String),
}

impl Listed {
    /// The key after which a listing goes on behind this item, with all keys below a common prefix
    /// passed over. `None` if this is a prefix of no key.
    ///
    /// ```
    /// use storehouse_objectstore::{Key, Listed};
    ///
    /// let after = Listed::Prefix("a/".into()).resume_after().unwrap();
    /// assert!(Key::new("a/zz")? < after && after < Key::new("a0")?);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn resume_after(&self) -> Option<Key> {
        match self {
            Self::Object(entry) => Some(entry.key.clone()),
            Self::Prefix(prefix) => Key::last_under(prefix),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object(entry) => entry.key.as_str(),
            Self::Prefix(prefix) => prefix,
        })
    }
}

/// Ranges of one version of an object, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRanges {
    /// Size, tag and time of the whole object.
    pub metadata: Metadata,
    /// The bytes of each range, in the order asked for.
    pub parts: Vec<Bytes>,
}

/// An object, or the range of it that was asked for. Metadata and body come from one version.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// store.put(&key, "0123456789").await?;
/// let object = store.get_range(&key, 2..5).await?;
/// assert_eq!((object.size(), object.body.size()), (10, Some(3)));
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Object {
    /// Size, tag and time of the *whole* object, whatever range was asked for.
    pub metadata: Metadata,
    /// The bytes that the body gives, half open: `0..size` for the whole object.
    pub range: Range<u64>,
    /// The bytes themselves. Its [`Body::size`] is the length of `range`.
    pub body: Body,
}

impl Object {
    /// The size of the *whole* object, in bytes, whatever range was asked for.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.metadata.size
    }
}

/// What a put leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutResult {
    /// The tag of the version that was written, for a later
    /// [`PutMode::Replace`](crate::PutMode::Replace).
    pub etag: ETag,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_their_text() {
        for text in [
            "",
            "a",
            "\"d41d8cd98f00b204e9800998ecf8427e-12\"",
            &"é".repeat(15),
            &"é".repeat(16),
            &"x".repeat(31),
        ] {
            let tag = ETag::new(text);
            assert_eq!(
                (tag.as_str(), &tag.to_string()[..], &tag),
                (text, text, &ETag::new(String::from(text)))
            );
            assert_ne!(tag, ETag::new(format!("{text} ")));
        }
    }
}
