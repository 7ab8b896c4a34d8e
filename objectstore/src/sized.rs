//! A body held to its declared size: what every backend's put reads from.

use bytes::Bytes;
use futures_util::StreamExt;

use crate::{Body, Error, Key, Operation, PutOptions, Result};

/// A put's body, checked against its declared size while it is read (rule 4 of the contract). For
/// writers of backends.
///
/// [`SizedBody::next`] gives non-empty pieces that never add up to more than
/// [`SizedBody::declared`], and `None` only once the body has ended with exactly this number of
/// bytes. **A store may make an object visible only after it saw that `None`**: a source that
/// verifies what it streams reports its verdict there, after the last byte.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Body, Error, Key, PutOptions, SizedBody};
///
/// let (key, options) = (Key::new("k")?, PutOptions::default());
/// let body = Body::from("hello");
/// assert_eq!(SizedBody::declared_size(&key, &body, &options, 1024)?, 5);
/// assert!(SizedBody::declared_size(&key, &body, &options, 4).is_err());
///
/// let mut body = SizedBody::new(&key, body, &options, 1024)?;
/// assert_eq!(body.as_bytes().unwrap(), "hello");
/// assert_eq!(body.next().await.unwrap()?, "hello");
/// assert_eq!((body.received(), body.declared()), (5, 5));
/// assert!(body.next().await.is_none()); // now the object may become visible
///
/// let short = Body::from_reader(&b"hell"[..]);
/// let mut short = SizedBody::new(&key, short, &options.size(5), 1024)?;
/// assert!(matches!(short.gather().await, Err(Error::TooSmall { received: 4, .. })));
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct SizedBody {
    body: Body,
    key: Key,
    declared: u64,
    received: u64,
}

impl SizedBody {
    /// Holds `body` to the size that `options` or the body itself declares.
    ///
    /// # Errors
    /// As [`SizedBody::declared_size`].
    pub fn new(key: &Key, body: Body, options: &PutOptions, max: u64) -> Result<Self> {
        let declared = Self::declared_size(key, &body, options, max)?;
        Ok(Self {
            body,
            key: key.clone(),
            declared,
            received: 0,
        })
    }

    /// The size, in bytes, that `options` or the body itself declares.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if neither declares one. [`Error::TooLarge`] or
    /// [`Error::TooSmall`] at once if both do and the body's is the larger or the smaller one;
    /// [`Error::TooLarge`] if the declared size is more than `max` bytes.
    pub fn declared_size(key: &Key, body: &Body, options: &PutOptions, max: u64) -> Result<u64> {
        let declared = match (options.size, body.size()) {
            (Some(limit), Some(size)) if size > limit => {
                return Err(Error::TooLarge {
                    key: key.clone(),
                    limit,
                });
            }
            (Some(declared), Some(received)) if received < declared => {
                return Err(Error::TooSmall {
                    key: key.clone(),
                    declared,
                    received,
                });
            }
            (Some(declared), _) | (None, Some(declared)) => declared,
            (None, None) => {
                return Err(Error::InvalidRequest {
                    operation: Operation::Put,
                    key: key.clone(),
                    reason: "a body of unknown size needs its size declared in the put options",
                });
            }
        };
        if declared > max {
            return Err(Error::TooLarge {
                key: key.clone(),
                limit: max,
            });
        }
        Ok(declared)
    }

    /// The declared size of the whole body, in bytes.
    #[must_use]
    pub fn declared(&self) -> u64 {
        self.declared
    }

    /// The bytes given so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// All of the body, if it lies in memory and none of it was read yet: its size is then the
    /// declared one.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        self.body
            .as_bytes()
            .filter(|bytes| bytes.len() as u64 == self.declared)
    }

    /// The next piece, never empty; `None` after exactly the declared number of bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] with the first piece that reaches past the declared size, without
    /// reading on; [`Error::TooSmall`] when the body ends before it; the body's own error. After an
    /// error it must not be called again.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            return match self.body.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => match self.received.checked_add(piece.len() as u64) {
                    Some(received) if received <= self.declared => {
                        self.received = received;
                        Some(Ok(piece))
                    }
                    _ => Some(Err(Error::TooLarge {
                        key: self.key.clone(),
                        limit: self.declared,
                    })),
                },
                Some(Err(Error::Body { key: None, source })) => Some(Err(Error::Body {
                    key: Some(self.key.clone()),
                    source,
                })),
                Some(Err(error)) => Some(Err(error)),
                None if self.received < self.declared => Some(Err(Error::TooSmall {
                    key: self.key.clone(),
                    declared: self.declared,
                    received: self.received,
                })),
                None => None,
            };
        }
    }

    /// All of the body in memory; without a copy if it lies there already. The declared size is not
    /// trusted with an allocation.
    ///
    /// # Errors
    /// As [`SizedBody::next`].
    ///
    /// ```
    /// use storehouse_objectstore::{Body, Key, PutOptions, SizedBody};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let options = PutOptions::default().size(5);
    /// let mut body = SizedBody::new(&Key::new("k")?, Body::from("hello"), &options, 1024)?;
    /// assert_eq!(body.gather().await?, "hello");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn gather(&mut self) -> Result<Bytes> {
        let whole = self.as_bytes().cloned();
        let mut all = bytes::BytesMut::new();
        while let Some(piece) = self.next().await.transpose()? {
            if whole.is_none() {
                all.extend_from_slice(&piece);
            }
        }
        Ok(whole.unwrap_or_else(|| all.freeze()))
    }
}
