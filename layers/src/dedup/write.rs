//! Content becomes chunks and a manifest.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use storehouse_objectstore::{
    Body, Durability, Error, Key, ObjectStore, Operation, PutMode, PutOptions, PutResult, Result,
    SizedBody,
};

use super::chunker::{Chunker, Piece};
use super::format::{Chunk, Manifest};
use super::pins::Pinned;
use super::shared::{Shared, of_object};
use crate::parts::{CommitPoint, detached};

/// How many chunks of one body are hashed and written at a time.
const WRITES: usize = 4;

/// A piece of a content that is stored.
enum Stored {
    Chunk(Chunk, Pinned),
    Tail(Bytes),
}

impl<I: ObjectStore, C: ObjectStore> Shared<I, C> {
    /// A put; its caller may be gone from the commit point on.
    pub(super) async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        mut options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        self.capabilities
            .check_attributes(&key, &options.attributes)?;
        let body = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
        self.check_mode(&key, &options.mode).await?;
        let begin = Instant::now();
        let (manifest, pinned) = self.store(&key, body).await?;
        options.size = Some(manifest.len() as u64);
        // Of the content, not of the manifest, which other options change.
        options.sha256 = None;
        options.content_addressed = false;
        // Whatever was asked for: a collection durably removes the chunks of what this replaces.
        options.durability = Durability::Durable;
        let kept = [(key.clone(), pinned)];
        if self.is_late(begin) {
            self.refresh(Operation::Put, &kept).await?;
        }
        // From here on to the end: a manifest that appears later than the pins end would have
        // chunks that a collection took.
        point.pass().await;
        let put = self.index.put_opts(&key, manifest.into(), options).await;
        drop(kept);
        put
    }

    /// Judges a condition, so that no body is stored in vain. The index judges again.
    async fn check_mode(&self, key: &Key, mode: &PutMode) -> Result<()> {
        let unsupported = |feature| Error::Unsupported {
            operation: Operation::Put,
            key: key.clone(),
            feature,
        };
        match mode {
            PutMode::Overwrite => return Ok(()),
            PutMode::Create if !self.capabilities.create => {
                return Err(unsupported("PutMode::Create"));
            }
            PutMode::Replace(_) if !self.capabilities.replace => {
                return Err(unsupported("PutMode::Replace"));
            }
            _ => {}
        }
        let there = match self.index.head(key).await {
            Ok(there) => Some(there.etag),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.map_operation(Operation::Put)),
        };
        mode.check(key, there.as_ref())
    }

    /// Stores the chunks of a content. Gives its manifest, and the pins that hold until that is
    /// written.
    pub(super) async fn store(
        self: &Arc<Self>,
        key: &Key,
        body: SizedBody,
    ) -> Result<(Bytes, Pinned)> {
        let chunker = Chunker::new(body, self.sizes);
        let pieces = stream::try_unfold(chunker, |mut chunker| async move {
            Ok(chunker.next().await?.map(|piece| (piece, chunker)))
        });
        let stored = pieces
            .map_ok(|piece| {
                let this = Arc::clone(self);
                let key = key.clone();
                async move {
                    match piece {
                        Piece { bytes, is_last } if is_last && bytes.len() <= this.inline => {
                            Ok(Stored::Tail(bytes))
                        }
                        // Goes on while this task waits for the body.
                        Piece { bytes, .. } => detached(store_chunk(this, key, bytes)).await,
                    }
                }
            })
            .try_buffered(WRITES);
        let mut stored = std::pin::pin!(stored);
        let mut manifest = Manifest::default();
        let mut pinned = self.pins.hold(Vec::new());
        while let Some(piece) = stored.try_next().await? {
            match piece {
                Stored::Chunk(chunk, pin) => {
                    manifest.push(chunk);
                    pinned.append(pin);
                }
                // A copy: a slice would hold all that was read with it.
                Stored::Tail(bytes) => manifest.tail(Bytes::copy_from_slice(&bytes)),
            }
        }
        Ok((manifest.finish(), pinned))
    }
}

async fn store_chunk<I: ObjectStore, C: ObjectStore>(
    shared: Arc<Shared<I, C>>,
    key: Key,
    bytes: Bytes,
) -> Result<Stored> {
    let chunk = Chunk {
        digest: blake3::hash(&bytes).into(),
        // At most 4 MiB.
        len: bytes.len() as u32,
    };
    let pinned = shared.pins.hold(vec![chunk.digest]);
    let kept = shared.keep(chunk, bytes).await;
    kept.map_err(|error| of_object(error, Operation::Put, &key))?;
    Ok(Stored::Chunk(chunk, pinned))
}
