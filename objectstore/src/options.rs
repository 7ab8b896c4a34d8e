//! Options of the operations: public fields with defaults, and a setter for each.

use std::ops::Range;

use crate::{ByteRange, ETag, Error, Key, Operation, Result};

/// Options of [`ObjectStore::put_opts`](crate::ObjectStore::put_opts).
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
}

impl PutMode {
    /// Judges the mode against the tag of the object that is there, if one is. For writers of
    /// backends.
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

impl GetOptions {
    /// Judges the conditions against the tag of the object that is there. For writers of backends.
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
