//! Put: the body is received on the async thread and written on the blocking pool, and no thread
//! waits for the caller's bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use super::commit::{Claim, Job, Payload, Version};
use super::files::{failed, off_thread};
use super::layout::Lock;
use super::store::Store;
use super::temp::{self, Temp};
use storehouse_objectstore::{
    Body, Durability, Error, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};

/// The longest body, in bytes (inclusive), that is received whole before its file is made.
const INLINE: u64 = 64 * 1024;

/// How much of a longer body is written at a time, in bytes (it may be one piece more). One such
/// batch is received while the one before is written.
const BATCH: usize = 1024 * 1024;

/// Every so many bytes the disk is made to start writing, so that the sync at the end finds little
/// left to do.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// Pieces below this, in bytes, are copied together.
const SMALL_PIECE: usize = 16 * 1024;

impl Store {
    pub(super) async fn put(
        self: &Arc<Self>,
        lock: &Arc<Lock>,
        key: &Key,
        body: Body,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let payload = if body.declared() <= INLINE {
            Payload::Pieces(receive(&mut body, usize::MAX).await?.pieces)
        } else {
            Payload::Written(
                self.stream(lock, key, &mut body, options.durability)
                    .await?,
            )
        };
        let (claim, claimed) = Claim::new();
        let (reply, result) = tokio::sync::oneshot::channel();
        let PutOptions {
            mode, durability, ..
        } = options;
        self.commit(Job {
            key: key.clone(),
            mode,
            durability,
            payload,
            claimed,
            reply,
            lock: Arc::clone(lock),
        });
        let result = result.await.map_err(|e| {
            failed(
                Operation::Put,
                Some(key),
                "the work was cut off",
                std::io::Error::other(e),
            )
        })?;
        drop(claim);
        result
    }

    /// Writes the body to a file of its own as it comes in, and syncs it.
    async fn stream(
        self: &Arc<Self>,
        lock: &Arc<Lock>,
        key: &Key,
        body: &mut SizedBody,
        durability: Durability,
    ) -> Result<Version> {
        let (store, lock, owned) = (Arc::clone(self), Arc::clone(lock), key.clone());
        let create = move || {
            Temp::create(&store.files, &store.names, &lock).map_err(|e| unwritten(&owned, e))
        };
        let temp = off_thread(Operation::Put, Some(key), create).await?;
        let mut writing: Option<JoinHandle<Result<()>>> = None;
        loop {
            let offset = body.received();
            let Batch { pieces, last } = receive(body, BATCH).await?;
            if let Some(writing) = writing.take() {
                writing
                    .await
                    .map_err(|e| unwritten(key, std::io::Error::other(e)))??;
            }
            let (files, file, key, end) = (
                Arc::clone(&self.files),
                Arc::clone(temp.file()),
                key.clone(),
                body.received(),
            );
            writing = Some(tokio::task::spawn_blocking(move || {
                temp::write(&file, &pieces, offset).map_err(|e| unwritten(&key, e))?;
                let (before, now) = (offset / WRITE_BACK, end / WRITE_BACK);
                if durability == Durability::Durable && before < now {
                    files.sys.start_write_back(
                        &file,
                        before * WRITE_BACK,
                        (now - before) * WRITE_BACK,
                    );
                }
                Ok(())
            }));
            if last {
                break;
            }
        }
        if let Some(writing) = writing {
            writing
                .await
                .map_err(|e| unwritten(key, std::io::Error::other(e)))??;
        }
        let (store, owned) = (Arc::clone(self), key.clone());
        off_thread(Operation::Put, Some(key), move || {
            let version = Version::new(temp, &store.clock).map_err(|e| unwritten(&owned, e))?;
            if durability == Durability::Durable {
                version.sync().map_err(|e| unwritten(&owned, e))?;
            }
            Ok(version)
        })
        .await
    }
}

fn unwritten(key: &Key, source: std::io::Error) -> Error {
    failed(
        Operation::Put,
        Some(key),
        "the temporary file cannot be written",
        source,
    )
}

/// A part of a body, in pieces.
struct Batch {
    pieces: Vec<Bytes>,
    /// The body has ended, with the declared size.
    last: bool,
}

/// The next `enough` bytes of the body (the last piece may reach further), or all the rest.
async fn receive(body: &mut SizedBody, enough: usize) -> Result<Batch> {
    let mut batch = Batch {
        pieces: Vec::new(),
        last: false,
    };
    let mut small = BytesMut::new();
    let mut len = 0;
    while len < enough && !batch.last {
        match body.next().await.transpose()? {
            Some(piece) => {
                len += piece.len();
                // A lone piece is not worth a copy.
                if piece.len() < SMALL_PIECE && body.received() < body.declared() {
                    small.extend_from_slice(&piece);
                } else {
                    batch
                        .pieces
                        .extend((!small.is_empty()).then(|| small.split().freeze()));
                    batch.pieces.push(piece);
                }
            }
            None => batch.last = true,
        }
    }
    batch
        .pieces
        .extend((!small.is_empty()).then(|| small.freeze()));
    Ok(batch)
}
