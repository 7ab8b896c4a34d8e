//! Files as bodies, read off the async threads.

use std::fs::File;
use std::io::{self, Read};

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

/// The rest of `file` in pieces, read one piece ahead, and its length in bytes.
pub(crate) fn to_pieces(
    mut file: File,
) -> io::Result<(impl Stream<Item = io::Result<Bytes>> + Send + 'static, u64)> {
    use std::io::Seek;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let left = metadata.len().saturating_sub(file.stream_position()?);
    Ok((stream::unfold(Ahead::Start(file), Ahead::next), left))
}

type Read1 = io::Result<Option<(File, Bytes)>>;

/// Where the reading stands: each piece is asked for while the one before is consumed.
enum Ahead {
    Start(File),
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

fn spawn_read(mut file: File) -> JoinHandle<Read1> {
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        piece.truncate(filled);
        Ok((filled > 0).then(|| (file, Bytes::from(piece))))
    })
}
