//! Options of the operations: public fields with defaults, and a setter for each.

use std::ops::Range;

use crate::{Attributes, ByteRange, Capabilities, ETag, Error, Key, Operation, Result};

/// Options of [`ObjectStore::put_opts`](crate::ObjectStore::put_opts).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{
///     Attributes, Body, Durability, Key, Memory, ObjectStore, PutMode, PutOptions,
/// };
///
/// # let hash = [0; 32];
/// let options = PutOptions::default()
///     .size(5)
///     .mode(PutMode::Create)
///     .durability(Durability::Relaxed)
///     .sha256(hash)
///     .content_addressed(true)
///     .attributes(Attributes::default().with_content_type("text/plain")?);
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// store.put_opts(&key, Body::from_reader(&b"hello"[..]), options).await?;
/// assert_eq!(store.head(&key).await?.attributes.content_type(), Some("text/plain"));
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PutOptions {
    /// The body's size, in bytes. Needed unless the body knows its own; if both are there, they
    /// must agree.
    pub size: Option<u64>,
    /// Whether the object may be there already.
    pub mode: PutMode,
    /// When the put may return.
    pub durability: Durability,
    /// The body's SHA-256, if the caller knows it. A store whose
    /// [`Capabilities::verifies_sha256`](crate::Capabilities::verifies_sha256) is set has it
    /// checked on the far side and answers
    /// [`Error::ChecksumMismatch`](crate::Error::ChecksumMismatch); others leave it alone, so it
    /// does not replace a check of one's own.
    pub sha256: Option<[u8; 32]>,
    /// The key names the content: whatever is stored under it is this body. A put that is to create
    /// may then be sent again after an answer that was lost, and
    /// [`Error::AlreadyExists`](crate::Error::AlreadyExists) may mean that this very put wrote the
    /// object.
    pub content_addressed: bool,
    /// What the object says of itself beside its bytes: none unless given, whatever the version
    /// before it had. A store that keeps less than these
    /// ([`Capabilities::max_attributes`](crate::Capabilities::max_attributes)) refuses the put.
    pub attributes: Attributes,
}

/// Options of [`ObjectStore::copy_opts`](crate::ObjectStore::copy_opts).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{
///     Attributes, CopyOptions, Durability, Key, Memory, ObjectStore, ObjectStoreExt, PutMode,
/// };
///
/// let (store, from, to) = (Memory::new(), Key::new("a")?, Key::new("b")?);
/// let put = store.put(&from, "hello").await?;
/// let options = CopyOptions::default()
///     .mode(PutMode::Create)
///     .if_match(put.etag)
///     .attributes(Attributes::default().with_content_type("text/plain")?)
///     .durability(Durability::Relaxed)
///     .remove_source(true);
/// store.copy_opts(&from, &to, options).await?;
/// assert_eq!(store.head(&to).await?.attributes.content_type(), Some("text/plain"));
/// assert!(!store.exists(&from).await?);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Whether an object may be there already under the new key.
    pub mode: PutMode,
    /// Copy the source only if it has this tag, else
    /// [`Error::Precondition`](crate::Error::Precondition).
    pub if_match: Option<ETag>,
    /// The attributes of the copy; the source's if `None`.
    pub attributes: Option<Attributes>,
    /// When the copy may return.
    pub durability: Durability,
    /// Rename: the source is gone at the moment at which the copy is there. A store without this
    /// ([`Capabilities::rename`](crate::Capabilities::rename)) answers
    /// [`Error::Unsupported`](crate::Error::Unsupported).
    pub remove_source: bool,
}

/// Whether an object may be there already when a put commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Write the object, whether or not one is there.
    #[default]
    Overwrite,
    /// Write it only if none is there, else [`Error::AlreadyExists`](crate::Error::AlreadyExists).
    /// Of several at once, one wins.
    Create,
    /// Write it only if the one that is there has this tag, else (or if none is there)
    /// [`Error::Precondition`](crate::Error::Precondition).
    Replace(ETag),
}

/// When a put may return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Once the object survives a crash of the process and of the machine.
    #[default]
    Durable,
    /// Once it is visible: a crash of the machine may lose the newest puts (on local disks, the
    /// last 30 seconds or so), or leave the object as it was before. Atomic all the same while the
    /// machine stays up. Stores that cannot do less than durable ignore this.
    Relaxed,
}

/// Options of [`ObjectStore::get_opts`](crate::ObjectStore::get_opts).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStore, ObjectStoreExt};
///
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// let first = store.put(&key, "one").await?.etag;
/// let same = GetOptions::default().if_match(first.clone()).range(0..2);
/// assert_eq!(store.get_opts(&key, same.clone()).await?.body.collect(2).await?, "on");
///
/// store.put(&key, "two").await?;
/// assert!(store.get_opts(&key, same).await.unwrap_err().is_precondition());
/// let newer = GetOptions::default().if_none_match(first);
/// assert_eq!(store.get_opts(&key, newer).await?.body.collect(3).await?, "two");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetOptions {
    /// Which bytes; all of them if `None`.
    pub range: Option<ByteRange>,
    /// Give the object only if it has this tag, else
    /// [`Error::Precondition`](crate::Error::Precondition).
    pub if_match: Option<ETag>,
    /// Give the object only if it does not have this tag, else
    /// [`Error::NotModified`](crate::Error::NotModified).
    pub if_none_match: Option<ETag>,
}

/// Options of [`ObjectStore::list`](crate::ObjectStore::list).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_objectstore::{Key, ListOptions, Memory, ObjectStore, ObjectStoreExt};
///
/// let store = Memory::new();
/// for key in ["a/1", "a/2", "a/3", "b"] {
///     store.put(&Key::new(key)?, "hello").await?;
/// }
/// let options = ListOptions::default()
///     .prefix("a/")
///     .start_after(Key::new("a/1")?)
///     .limit(1)
///     .inline_values(1024);
/// let entries: Vec<_> = store.list(options).try_collect().await?;
/// assert_eq!((entries.len(), entries[0].key.as_str()), (1, "a/2"));
/// assert_eq!(entries[0].value.as_deref(), Some(&b"hello"[..]));
///
/// let folders = store.list_delimited(ListOptions::default().delimiter('/'));
/// assert_eq!(folders.try_collect::<Vec<_>>().await?.len(), 2); // "a/" and "b"
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only keys that start with this text, byte for byte: not a path, so `a/b` finds `a/bc` too.
    /// All keys if empty.
    pub prefix: String,
    /// Only keys after this one (exclusive) in the store's [`ListOrder`](crate::ListOrder). It need
    /// not exist.
    pub start_after: Option<Key>,
    /// At most this many keys. All of them if `None`; none if `Some(0)`.
    pub limit: Option<usize>,
    /// Inline the contents of objects of at most this size, in bytes (inclusive), where the store
    /// has them at no extra cost. None if `None`. See [`Entry::value`](crate::Entry::value).
    pub inline_values: Option<u64>,
    /// What [`list_delimited`](crate::ObjectStore::list_delimited) rolls keys up at: `/` if `None`.
    /// [`list`](crate::ObjectStore::list) does not look at it.
    pub delimiter: Option<char>,
}

macro_rules! setters {
    ($type:ty: $($(#[$doc:meta])* $name:ident($arg:ty) => |$value:ident| $set:expr;)*) => {
        impl $type {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $value: $arg) -> Self {
                self.$name = $set;
                self
            }
        )*}
    };
}

setters! { PutOptions:
    /// With this declared size, in bytes.
    size(impl Into<Option<u64>>) => |size| size.into();
    /// With this mode.
    mode(PutMode) => |mode| mode;
    /// With this durability.
    durability(Durability) => |durability| durability;
    /// With this SHA-256 of the body.
    sha256(impl Into<Option<[u8; 32]>>) => |sha256| sha256.into();
    /// With a key that names the content, or not.
    content_addressed(bool) => |named| named;
    /// With these attributes.
    attributes(Attributes) => |attributes| attributes;
}

setters! { CopyOptions:
    /// With this mode.
    mode(PutMode) => |mode| mode;
    /// Only if the source has this tag.
    if_match(impl Into<Option<ETag>>) => |etag| etag.into();
    /// With these attributes in place of the source's.
    attributes(impl Into<Option<Attributes>>) => |attributes| attributes.into();
    /// With this durability.
    durability(Durability) => |durability| durability;
    /// Removing the source, or not.
    remove_source(bool) => |remove| remove;
}

setters! { GetOptions:
    /// With this range.
    range(impl Into<ByteRange>) => |range| Some(range.into());
    /// Only if the object has this tag.
    if_match(impl Into<Option<ETag>>) => |etag| etag.into();
    /// Only if the object does not have this tag.
    if_none_match(impl Into<Option<ETag>>) => |etag| etag.into();
}

setters! { ListOptions:
    /// With this prefix.
    prefix(impl Into<String>) => |prefix| prefix.into();
    /// After this key (exclusive).
    start_after(impl Into<Option<Key>>) => |key| key.into();
    /// At most this many.
    limit(impl Into<Option<usize>>) => |limit| limit.into();
    /// With the contents of objects of at most this size, in bytes (inclusive), where the store has
    /// them at no extra cost.
    inline_values(impl Into<Option<u64>>) => |bytes| bytes.into();
    /// Rolled up at this character.
    delimiter(impl Into<Option<char>>) => |delimiter| delimiter.into();
}

impl PutMode {
    /// Judges the mode against the tag of the object that is there, if one is. For writers of
    /// backends.
    ///
    /// ```
    /// use storehouse_objectstore::{ETag, Key, PutMode};
    ///
    /// let (key, tag) = (Key::new("a")?, ETag::new("1"));
    /// assert!(PutMode::Overwrite.check(&key, Some(&tag)).is_ok());
    /// assert!(PutMode::Create.check(&key, Some(&tag)).unwrap_err().is_already_exists());
    /// assert!(PutMode::Replace(tag).check(&key, None).unwrap_err().is_precondition());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] or [`Error::Precondition`].
    pub fn check(&self, key: &Key, there: Option<&ETag>) -> Result<()> {
        match self {
            Self::Create if there.is_some() => Err(Error::AlreadyExists { key: key.clone() }),
            Self::Replace(etag) if there != Some(etag) => Err(Error::Precondition {
                operation: Operation::Put,
                key: key.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl CopyOptions {
    /// Judges the condition on the source against the tag that it has. For writers of backends.
    ///
    /// ```
    /// use storehouse_objectstore::{CopyOptions, ETag, Key};
    ///
    /// let (from, options) = (Key::new("a")?, CopyOptions::default().if_match(ETag::new("1")));
    /// assert!(options.check_source(&from, &ETag::new("1")).is_ok());
    /// assert!(options.check_source(&from, &ETag::new("2")).unwrap_err().is_precondition());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Precondition`].
    pub fn check_source(&self, from: &Key, etag: &ETag) -> Result<()> {
        if self.if_match.as_ref().is_some_and(|wanted| wanted != etag) {
            return Err(Error::Precondition {
                operation: Operation::Copy,
                key: from.clone(),
            });
        }
        Ok(())
    }

    /// Judges the options themselves. For writers of backends.
    ///
    /// ```
    /// use storehouse_objectstore::{Capabilities, CopyOptions, Error, Key};
    ///
    /// let (from, to) = (Key::new("a")?, Key::new("b")?);
    /// let rename = CopyOptions::default().remove_source(true);
    /// let capabilities = Capabilities::full().with_rename(true);
    /// assert!(rename.check(&from, &to, &capabilities).is_ok());
    /// let itself = rename.check(&from, &from, &capabilities).unwrap_err();
    /// assert!(matches!(itself, Error::InvalidRequest { .. }));
    /// let unsupported = rename.check(&from, &to, &Capabilities::full()).unwrap_err();
    /// assert!(matches!(unsupported, Error::Unsupported { feature: "rename", .. }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a rename of a key to itself, and [`Error::Unsupported`] for
    /// what the store does not do.
    pub fn check(&self, from: &Key, to: &Key, capabilities: &Capabilities) -> Result<()> {
        if self.remove_source && !capabilities.rename {
            return Err(Error::Unsupported {
                operation: Operation::Copy,
                key: from.clone(),
                feature: "rename",
            });
        }
        if self.remove_source && from == to {
            return Err(Error::InvalidRequest {
                operation: Operation::Copy,
                key: from.clone(),
                reason: "a key cannot be renamed to itself",
            });
        }
        self.attributes.as_ref().map_or(Ok(()), |attributes| {
            capabilities
                .check_attributes(to, attributes)
                .map_err(|error| error.map_operation(Operation::Copy))
        })
    }
}

impl GetOptions {
    /// Refuses a range: ranges of [`get_ranges_opts`](crate::ObjectStore::get_ranges_opts) are not
    /// given here. For writers of backends.
    ///
    /// ```
    /// use storehouse_objectstore::{GetOptions, Key};
    ///
    /// assert!(GetOptions::default().check_no_range(&Key::new("a")?).is_ok());
    /// assert!(GetOptions::default().range(0..2).check_no_range(&Key::new("a")?).is_err());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`].
    pub fn check_no_range(&self, key: &Key) -> Result<()> {
        if self.range.is_some() {
            return Err(Error::InvalidRequest {
                operation: Operation::Get,
                key: key.clone(),
                reason: "the options of a get of several ranges have a range of their own",
            });
        }
        Ok(())
    }

    /// Judges the conditions against the tag of the object that is there. For writers of backends.
    ///
    /// ```
    /// use storehouse_objectstore::{ETag, GetOptions, Key};
    ///
    /// let (key, there) = (Key::new("a")?, ETag::new("2"));
    /// let same = GetOptions::default().if_match(ETag::new("1"));
    /// assert!(same.check_conditions(&key, &there).unwrap_err().is_precondition());
    /// let other = GetOptions::default().if_none_match(ETag::new("2"));
    /// assert!(other.check_conditions(&key, &there).unwrap_err().is_not_modified());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Precondition`] or [`Error::NotModified`].
    pub fn check_conditions(&self, key: &Key, etag: &ETag) -> Result<()> {
        if self.if_match.as_ref().is_some_and(|wanted| wanted != etag) {
            return Err(Error::Precondition {
                operation: Operation::Get,
                key: key.clone(),
            });
        }
        if self.if_none_match.as_ref() == Some(etag) {
            return Err(Error::NotModified { key: key.clone() });
        }
        Ok(())
    }

    /// The range asked for in an object of `size` bytes, half open. For writers of backends.
    ///
    /// ```
    /// use storehouse_objectstore::{GetOptions, Key};
    ///
    /// let key = Key::new("a")?;
    /// assert_eq!(GetOptions::default().resolve_range(&key, 10)?, 0..10);
    /// assert_eq!(GetOptions::default().range(2..).resolve_range(&key, 10)?, 2..10);
    /// assert!(GetOptions::default().range(2..11).resolve_range(&key, 10).is_err());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RangeNotSatisfiable`].
    pub fn resolve_range(&self, key: &Key, size: u64) -> Result<Range<u64>> {
        let range = self.range.unwrap_or(ByteRange::WHOLE);
        range
            .resolve(size)
            .ok_or_else(|| Error::RangeNotSatisfiable {
                key: key.clone(),
                range,
                size,
            })
    }
}
