//! What all handles on one store share, and its chunks.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Attributes, Capabilities, CopyOptions, Error, ErrorClass, GetOptions, Key, Lifecycle,
    ObjectStore, Operation, PutOptions, Result,
};

use super::chunker::Sizes;
use super::failure::Failure;
use super::format::{Chunk, Digest};
use super::pins::{Pinned, Pins};
use crate::parts::{KeyLocks, detached};

/// How many chunks are renewed at a time before a manifest.
const REFRESHES: usize = 8;

#[derive(Debug)]
pub(super) struct Shared<I, C> {
    /// The manifests, under the keys of the objects.
    pub(super) index: I,
    pub(super) chunks: C,
    pub(super) sizes: Sizes,
    /// The most bytes of a content that stand in its manifest.
    pub(super) inline: usize,
    pub(super) grace: Duration,
    pub(super) capabilities: Capabilities,
    pub(super) lifecycle: Lifecycle,
    pub(super) pins: Arc<Pins>,
    /// By chunk: between looking whether it is there and relying on it, no collection removes it.
    pub(super) locks: KeyLocks,
    /// Why a collection failed, unless one has ended well since, and not for a transient cause.
    pub(super) failed: Mutex<Option<Failure>>,
}

/// The key of a chunk: its digest in lower-case hexadecimal, which every store accepts.
pub(super) fn chunk_key(digest: &Digest) -> Result<Key> {
    let mut text = String::with_capacity(64);
    for byte in digest {
        for half in [byte >> 4, byte & 15] {
            text.push(char::from_digit(half.into(), 16).unwrap_or_default());
        }
    }
    Key::new(text)
}

/// The digest in the key of a chunk; `None` for what is no chunk.
pub(super) fn chunk_digest(key: &Key) -> Option<Digest> {
    let text = key.as_str().as_bytes();
    let half = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digest = Digest::default();
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        *byte = half(pair[0])? << 4 | half(pair[1])?;
    }
    Some(digest)
}

/// An object that is not what was put.
pub(super) fn damaged(operation: Operation, key: &Key, what: impl std::fmt::Display) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: format!("the stored object is not what was put: {what}"),
        source: None,
    }
}

/// An error of the store of chunks, as one of the object that needs the chunk.
pub(super) fn of_object(error: Error, operation: Operation, key: &Key) -> Error {
    error
        .map_key(|_| Some(key.as_str().to_owned()))
        .map_operation(operation)
}

/// A copy of a chunk to itself. S3 refuses one that says nothing new; chunks have no attributes.
fn renewal() -> CopyOptions {
    CopyOptions::default().attributes(Attributes::default())
}

impl<I: ObjectStore, C: ObjectStore> Shared<I, C> {
    /// Writes a chunk, durably, unless it is there. It has to be pinned.
    pub(super) async fn keep(self: Arc<Self>, chunk: Chunk, bytes: Bytes) -> Result<()> {
        let key = chunk_key(&chunk.digest)?;
        // To its end: a lock is held.
        detached(async move {
            let _lock = self.locks.lock(&key).await;
            match self.chunks.head(&key).await {
                Ok(there) if there.size == u64::from(chunk.len) => {
                    if self.is_young(there.last_modified) || self.renew(&key).await? {
                        return Ok(());
                    }
                }
                // One that is not whole is written anew.
                Ok(_) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
            let options = PutOptions::default().content_addressed(true);
            // A copy: a slice would hold all that was read with it, if the chunks are in memory.
            let bytes = Bytes::copy_from_slice(&bytes);
            self.chunks.put_opts(&key, bytes.into(), options).await?;
            Ok(())
        })
        .await
    }

    /// Whether no collection of another process takes a chunk of this time before a put that finds
    /// it now has had half of the grace.
    fn is_young(&self, written: Option<SystemTime>) -> bool {
        self.grace.is_zero()
            || written.is_some_and(|written| {
                let age = SystemTime::now().duration_since(written);
                age.unwrap_or_default() < self.grace / 2
            })
    }

    /// Whether a manifest that is written now may come too late for chunks that were written or
    /// found since `begin`: they have half of the grace at least from there, and a quarter of it is
    /// for the manifest.
    pub(super) fn is_late(&self, begin: Instant) -> bool {
        !self.grace.is_zero() && begin.elapsed() >= self.grace / 4
    }

    /// Renews the chunks of objects that are not young, so that a manifest may be written now.
    ///
    /// # Errors
    /// If a chunk is missing; a transient one if this takes too long itself.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        operation: Operation,
        kept: &[(Key, Pinned)],
    ) -> Result<()> {
        let begin = Instant::now();
        for (object, pinned) in kept {
            stream::iter(pinned.digests())
                .map(|digest| {
                    let (this, object) = (Arc::clone(self), object.clone());
                    Ok(this.refresh_chunk(begin, operation, object, *digest))
                })
                .try_for_each_concurrent(REFRESHES, |refreshed| refreshed)
                .await?;
            self.check_refresh(begin, operation, object)?;
        }
        Ok(())
    }

    fn check_refresh(&self, begin: Instant, operation: Operation, object: &Key) -> Result<()> {
        if !self.is_late(begin) {
            return Ok(());
        }
        Err(Error::Backend {
            operation,
            key: Some(object.clone()),
            class: ErrorClass::Transient,
            message: format!(
                "its chunks were not renewed within a quarter of the grace, {:?}",
                self.grace
            ),
            source: None,
        })
    }

    async fn refresh_chunk(
        self: Arc<Self>,
        begin: Instant,
        operation: Operation,
        object: Key,
        digest: Digest,
    ) -> Result<()> {
        self.check_refresh(begin, operation, &object)?;
        let key = chunk_key(&digest)?;
        let name = key.clone();
        let refreshed = detached(async move {
            let _lock = self.locks.lock(&key).await;
            if self.is_young(self.chunks.head(&key).await?.last_modified) {
                return Ok(());
            }
            self.chunks.copy_opts(&key, &key, renewal()).await.map(drop)
        });
        refreshed.await.map_err(|error| {
            if !error.is_not_found() {
                return of_object(error, operation, &object);
            }
            if operation == Operation::Copy {
                return damaged(
                    operation,
                    &object,
                    format_args!("its chunk {name} is missing"),
                );
            }
            Error::Backend {
                operation,
                key: Some(object),
                class: ErrorClass::Transient,
                message: format!("its chunk {name} was removed before all were written"),
                source: Some(Box::new(error)),
            }
        })
    }

    /// Gives a chunk a new time without moving its bytes; false if it has to be put.
    async fn renew(&self, key: &Key) -> Result<bool> {
        if !self.chunks.capabilities().native_copy {
            return Ok(false);
        }
        match self.chunks.copy_opts(key, key, renewal()).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a chunk of the object `key`, verified.
    pub(super) async fn chunk(&self, key: &Key, chunk: Chunk) -> Result<Bytes> {
        let name = chunk_key(&chunk.digest)?;
        let len = u64::from(chunk.len);
        let object = match self.chunks.get_opts(&name, GetOptions::default()).await {
            Ok(object) if object.metadata.size == len => object,
            Ok(_) => {
                let what = format_args!("its chunk {name} has another size");
                return Err(damaged(Operation::Get, key, what));
            }
            Err(error) if error.is_not_found() => {
                let what = format_args!("its chunk {name} is missing");
                return Err(damaged(Operation::Get, key, what));
            }
            Err(error) => return Err(of_object(error, Operation::Get, key)),
        };
        let bytes = object.body.collect(len).await;
        let bytes = bytes.map_err(|error| of_object(error, Operation::Get, key))?;
        if blake3::hash(&bytes) != chunk.digest {
            let what = format_args!("its chunk {name} has another content");
            return Err(damaged(Operation::Get, key, what));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_key_is_its_digest(digest: Digest) {
            let key = chunk_key(&digest).unwrap();
            proptest::prop_assert_eq!(chunk_digest(&key), Some(digest));
        }

        #[test]
        fn other_keys_are_no_digests(text in "[0-9a-fA-Fg]{62,66}") {
            let is_digest = text.len() == 64 && !text.contains(['A', 'B', 'C', 'D', 'E', 'F', 'g']);
            let digest = chunk_digest(&Key::new(text).unwrap());
            proptest::prop_assert_eq!(digest.is_some(), is_digest);
        }
    }
}
