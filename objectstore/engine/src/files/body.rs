//! Bodies on their way into a file: received on the async thread and written on the blocking pool,
//! so that no thread waits for the caller's bytes.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use storehouse_objectstore::{Durability, Error, Key, Result, SizedBody};
use tokio::task::JoinHandle;

use super::error::put_failed;
use super::sys::Sys;
use super::temp::{Temp, write_at};

/// How much of a longer body is written at once, in bytes, up to one piece more. One batch is
/// received while the previous one is written.
const BATCH: usize = 1024 * 1024;

/// Every this many bytes the disk is made to start writing, so that the final sync has little left
/// to do.
const WRITE_BACK: u64 = 8 * 1024 * 1024;

/// Pieces below this size, in bytes, are copied together.
const SMALL_PIECE: usize = 16 * 1024;

/// Writes the whole body to `temp` as it comes in. Does not sync it; but the disk starts early on
/// what is to be durable.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::fs::File;
/// use std::sync::Arc;
/// use storehouse_engine::files::{SystemCalls, Temp, TempDir, pick, write_body};
/// use storehouse_objectstore::{Body, Durability, Key, PutOptions, SizedBody};
///
/// # let dir = tempfile::tempdir()?;
/// let (root, sys) = (Arc::new(File::open(dir.path())?), pick(SystemCalls::Native));
/// let home = Arc::new(TempDir::new(Arc::clone(&root), "temp", Arc::clone(&sys)));
/// let mut temp = Temp::create(&home, Arc::new(()))?;
///
/// let (key, options) = (Key::new("greeting")?, PutOptions::default().size(5));
/// let mut body = SizedBody::new(&key, Body::from_reader(&b"hello"[..]), &options, 1024)?;
/// write_body(&sys, &temp, &key, &mut body, Durability::Durable).await?;
/// temp.rename(&root, "greeting")?;
/// assert_eq!(std::fs::read(dir.path().join("greeting"))?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`SizedBody::next`]; [`Error::Backend`] if the file
/// cannot be written.
pub async fn write_body(
    sys: &Arc<dyn Sys>,
    temp: &Temp,
    key: &Key,
    body: &mut SizedBody,
    durability: Durability,
) -> Result<()> {
    let mut write: Option<JoinHandle<Result<()>>> = None;
    loop {
        let offset = body.received();
        let Batch { pieces, last } = receive(body, BATCH).await?;
        finish(key, write.take()).await?;
        let (sys, file) = (Arc::clone(sys), Arc::clone(temp.file()));
        let (key, end) = (key.clone(), body.received());
        write = Some(tokio::task::spawn_blocking(move || {
            write_at(&file, &pieces, offset).map_err(|e| unwritten(&key, e))?;
            let (before, now) = (offset / WRITE_BACK, end / WRITE_BACK);
            if durability == Durability::Durable && before < now {
                let (from, len) = (before * WRITE_BACK, (now - before) * WRITE_BACK);
                sys.start_write_back(&file, from, len);
            }
            Ok(())
        }));
        if last {
            break;
        }
    }
    finish(key, write).await
}

/// The whole body in memory, in pieces. For short ones.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_engine::files::receive_all;
/// use storehouse_objectstore::{Body, Key, PutOptions, SizedBody};
///
/// let body = Body::from_reader(&b"hello"[..]);
/// let mut body = SizedBody::new(&Key::new("a")?, body, &PutOptions::default().size(5), 1024)?;
/// assert_eq!(receive_all(&mut body).await?.concat(), b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// As [`SizedBody::next`].
pub async fn receive_all(body: &mut SizedBody) -> Result<Vec<Bytes>> {
    Ok(receive(body, usize::MAX).await?.pieces)
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

/// The error of a temporary file that cannot be written.
///
/// ```
/// use std::io;
/// use storehouse_engine::files::unwritten;
/// use storehouse_objectstore::Key;
///
/// let error = unwritten(&Key::new("a")?, io::ErrorKind::StorageFull.into());
/// assert!(error.is_full());
/// assert_eq!(error.to_string(), "put \"a\": the temporary file cannot be written");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub fn unwritten(key: &Key, source: io::Error) -> Error {
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
