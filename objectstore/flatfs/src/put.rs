//! Put: the body is received on the async thread and written on the blocking pool, so that no
//! thread waits for the caller's bytes.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    Body, Durability, Error, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};
use tokio::task::JoinHandle;

use super::error::put_failed;
use super::store::FlatFs;
use super::store_lock::StoreLock;
use super::write::{CancelGuard, INLINE, NewFile, Put, PutState, Temp, Writer, write_at};

/// How much of a longer body is written at once, in bytes, up to one piece more. One batch is
/// received while the previous one is written.
const BATCH: usize = 1024 * 1024;

/// Every this many bytes the disk is made to start writing, so that the final sync has little left
/// to do.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// Pieces below this size, in bytes, are copied together.
const SMALL_PIECE: usize = 16 * 1024;

impl FlatFs {
    /// See [`ObjectStore::put_opts`](storehouse_objectstore::ObjectStore::put_opts).
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let capabilities = self.capabilities_ref();
        if let Some(flaw) = capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        let lock = self.lock(Operation::Put, Some(key))?;
        let mut body = SizedBody::new(key, body, &options, capabilities.max_size)?;
        let state = if body.declared() <= INLINE {
            PutState::Received(receive(&mut body, usize::MAX).await?.pieces)
        } else {
            let writer = Arc::clone(self.writer());
            PutState::Written(write_body(writer, &lock, key, &mut body, options.durability).await?)
        };
        // Dropped with this future: until then the put is wanted.
        let (_guard, cancellation) = CancelGuard::new();
        let PutOptions {
            mode, durability, ..
        } = options;
        let put = Put::new(key.clone(), mode, durability, cancellation, state, lock);
        match durability {
            Durability::Durable => {
                let bytes = put.bytes_in_memory();
                let answer = self.queue().submit(put, bytes).await;
                answer.unwrap_or_else(|e| Err(e.into_error(Operation::Put, Some(key))))
            }
            // Waits for no sync, neither its own nor another's.
            Durability::Relaxed => {
                let writer = Arc::clone(self.writer());
                let commit = move || {
                    let results = writer.commit_group(vec![put]);
                    results.into_iter().collect::<Result<Vec<_>>>()
                };
                let mut results = off_thread(Operation::Put, commit).await?;
                results.pop().ok_or_else(|| {
                    put_failed(key, "there is no answer", io::ErrorKind::Other.into())
                })
            }
        }
    }
}

/// Writes the body to a file of its own as it comes in, and syncs it.
async fn write_body(
    writer: Arc<Writer>,
    lock: &Arc<StoreLock>,
    key: &Key,
    body: &mut SizedBody,
    durability: Durability,
) -> Result<NewFile> {
    let temp = {
        let (writer, lock, key) = (Arc::clone(&writer), Arc::clone(lock), key.clone());
        off_thread(Operation::Put, move || {
            Temp::create(&writer.directory, &writer.temp_names, &lock)
                .map_err(|e| unwritten(&key, e))
        })
        .await?
    };
    let mut write: Option<JoinHandle<Result<()>>> = None;
    loop {
        let offset = body.received();
        let Batch { pieces, last } = receive(body, BATCH).await?;
        finish(key, write.take()).await?;
        let (writer, file) = (Arc::clone(&writer), Arc::clone(temp.file()));
        let (key, end) = (key.clone(), body.received());
        write = Some(tokio::task::spawn_blocking(move || {
            write_at(&file, &pieces, offset).map_err(|e| unwritten(&key, e))?;
            let (before, now) = (offset / WRITE_BACK, end / WRITE_BACK);
            if durability == Durability::Durable && before < now {
                let (from, len) = (before * WRITE_BACK, (now - before) * WRITE_BACK);
                writer.directory.sys.start_write_back(&file, from, len);
            }
            Ok(())
        }));
        if last {
            break;
        }
    }
    finish(key, write).await?;
    let key = key.clone();
    off_thread(Operation::Put, move || {
        NewFile::new(temp, None, &writer.clock)
            .and_then(|file| file.synced(durability))
            .map_err(|e| unwritten(&key, e))
    })
    .await
}

/// Waits for a write.
async fn finish(key: &Key, write: Option<JoinHandle<Result<()>>>) -> Result<()> {
    match write {
        Some(write) => write
            .await
            .map_err(|e| unwritten(key, io::Error::other(e)))?,
        None => Ok(()),
    }
}

fn unwritten(key: &Key, source: io::Error) -> Error {
    put_failed(key, "the temporary file cannot be written", source)
}

/// A part of a body, in pieces.
struct Batch {
    pieces: Vec<Bytes>,
    /// The body has ended, with the declared size.
    last: bool,
}

/// The next `enough` bytes of the body, up to one piece more, or all the rest.
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
