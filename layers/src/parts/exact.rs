//! A body read in amounts of the reader's choice.

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, Error, Key, Result};

/// A body read in amounts of the reader's choice.
#[derive(Debug)]
pub(crate) struct ExactReader {
    body: Body,
    rest: Bytes,
    key: Key,
}

impl ExactReader {
    pub(crate) fn new(key: &Key, body: Body) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            key: key.clone(),
        }
    }

    /// The next `len` bytes, without a copy where they came in one piece. Memory grows with what
    /// arrives, not with `len`.
    ///
    /// # Errors
    /// Those of the body; [`Error::Truncated`] if it ends before.
    pub(crate) async fn take(&mut self, len: usize) -> Result<Bytes> {
        let mut joined = BytesMut::new();
        loop {
            let missing = len - joined.len();
            if self.rest.len() >= missing {
                let last = self.rest.split_to(missing);
                if joined.is_empty() {
                    return Ok(last);
                }
                joined.extend_from_slice(&last);
                return Ok(joined.freeze());
            }
            joined.extend_from_slice(&self.rest);
            self.rest = match self.body.next().await {
                Some(piece) => piece?,
                None => {
                    return Err(Error::Truncated {
                        key: self.key.clone(),
                        expected: len as u64,
                        received: joined.len() as u64,
                        source: None,
                    });
                }
            };
        }
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let first = (!self.rest.is_empty()).then_some(Ok(self.rest));
        stream::iter(first).chain(self.body)
    }

    /// Reads to the end, of which nothing may be left.
    ///
    /// # Errors
    /// Those of the body.
    #[cfg(any(
        feature = "compressed",
        feature = "dedup",
        feature = "encrypted",
        feature = "verify"
    ))]
    pub(crate) async fn end(&mut self) -> Result<bool> {
        if !self.rest.is_empty() {
            return Ok(false);
        }
        while let Some(piece) = self.body.next().await {
            if !piece?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
