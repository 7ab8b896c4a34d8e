//! Files as bodies, read off the async threads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use tokio::task::JoinHandle;

/// How much of a file is read in one blocking task, in bytes. Large enough that the hop to the
/// blocking pool is lost in the read, small enough that two of them (one being consumed, one being
/// read) are little memory.
const PIECE: usize = 512 * 1024;

/// Runs `work` on the blocking pool. If the pool is shutting down, that is an error, not a panic.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

/// What lay between a file's position and its end when it was opened. Clones read on their own.
#[derive(Clone)]
pub(crate) struct FilePart {
    /// Its position is set before each read.
    file: Arc<Mutex<File>>,
    start: u64,
    len: u64,
}

impl FilePart {
    /// The rest of `file`. Blocks for two system calls.
    pub(crate) fn rest_of(mut file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let start = file.stream_position()?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            start,
            len: metadata.len().saturating_sub(start),
        })
    }

    /// Its length, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// All up to the file's end, in pieces, read one piece ahead.
    pub(crate) fn pieces(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold(Ahead::Start(self.clone()), Ahead::next)
    }
}

/// A piece, and what follows it.
type Read1 = io::Result<Option<(FilePart, Bytes)>>;

/// Where the reading stands: each piece is asked for while the one before is consumed.
enum Ahead {
    Start(FilePart),
    Reading(JoinHandle<Read1>),
    End,
}

impl Ahead {
    async fn next(self) -> Option<(io::Result<Bytes>, Self)> {
        let reading = match self {
            Self::Start(file) => spawn_read(file),
            Self::Reading(reading) => reading,
            Self::End => return None,
        };
        match reading
            .await
            .map_err(io::Error::other)
            .and_then(|read| read)
        {
            Ok(None) => None,
            Ok(Some((file, piece))) => Some((Ok(piece), Self::Reading(spawn_read(file)))),
            Err(e) => Some((Err(e), Self::End)),
        }
    }
}

fn spawn_read(mut part: FilePart) -> JoinHandle<Read1> {
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        {
            let mut file = part.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(part.start))?;
            while filled < piece.len() {
                match file.read(&mut piece[filled..]) {
                    Ok(0) => break,
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
        }
        piece.truncate(filled);
        part.start += filled as u64;
        Ok((filled > 0).then(|| (part, Bytes::from(piece))))
    })
}
