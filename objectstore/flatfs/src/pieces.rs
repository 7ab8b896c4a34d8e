//! A long body: read piece by piece as it is consumed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::{JoinHandle, coop};

use super::buffers::PIECE;
use super::files::{Files, failed};
use super::together::Together;
use storehouse_objectstore::{Error, Key, Operation, Result};

/// A cached piece shorter than this is not worth giving: the rest is read along with it, off
/// thread.
const MIN_PIECE: usize = 64 * 1024;

/// The pieces of a range of a file, none of them empty, at most [`PIECE`] bytes each, fewer while
/// many are out. Two of them are in memory at most, and nine in one that two threads copy.
///
/// Each is first tried from the cache on the spot. Once one would wait for the disk, a blocking
/// task reads it, and goes on one piece ahead of the consumer for as long as the disk is what
/// limits.
pub(super) struct Pieces {
    source: Arc<Source>,
    range: Range<u64>,
    /// Where the next read starts.
    at: u64,
    reading: Option<JoinHandle<io::Result<Read>>>,
    together: Option<Together>,
    /// Whether all that was read so far was there at once.
    hot: bool,
    failed: bool,
}

pub(super) struct Source {
    pub(super) files: Arc<Files>,
    pub(super) file: File,
    key: Key,
}

impl Drop for Source {
    fn drop(&mut self) {
        self.files.streams.closed();
    }
}

struct Read {
    /// Empty at the file's end.
    piece: Bytes,
    /// Whether the disk was waited for.
    waited: bool,
}

impl Pieces {
    pub(super) fn new(files: Arc<Files>, key: Key, file: File, range: Range<u64>) -> Self {
        files.streams.opened();
        let source = Arc::new(Source { files, file, key });
        Self {
            source,
            at: range.start,
            range,
            reading: None,
            together: None,
            hot: true,
            failed: false,
        }
    }

    /// How much of a buffer to fill at `at`.
    fn want(at: u64, end: u64) -> usize {
        usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE))
    }

    fn truncated(&self) -> Error {
        let expected = self.range.end - self.range.start;
        Error::Truncated {
            key: self.source.key.clone(),
            expected,
            received: self.at - self.range.start,
        }
    }

    fn unreadable(&self, source: io::Error) -> Error {
        failed(
            Operation::Get,
            Some(&self.source.key),
            "the file cannot be read",
            source,
        )
    }

    /// The next piece, if it is cached.
    fn cached(&mut self) -> Option<Result<Bytes>> {
        let want = Self::want(self.at, self.range.end);
        let mut buffer = self.source.files.buffers.take(want);
        let bytes = buffer.bytes(want);
        let room = bytes.len();
        match self
            .source
            .files
            .sys
            .read_cached(&self.source.file, bytes, self.at)?
        {
            Ok(0) => Some(Err(self.truncated())),
            Ok(n) if n < room.min(MIN_PIECE) => None,
            Ok(n) => {
                self.at += n as u64;
                Some(Ok(buffer.into_bytes(n)))
            }
            Err(e) => Some(Err(self.unreadable(e))),
        }
    }

    fn read_ahead(&mut self) {
        let (source, at, end) = (Arc::clone(&self.source), self.at, self.range.end);
        self.reading = Some(tokio::task::spawn_blocking(move || source.read(at, end)));
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(reading) = &mut self.reading {
                let read = ready!(Pin::new(reading).poll(cx))
                    .map_err(io::Error::other)
                    .and_then(|read| read);
                self.reading = None;
                return Poll::Ready(Some(match read {
                    Ok(read) if read.piece.is_empty() => Err(self.truncated()),
                    Ok(read) => {
                        self.at += read.piece.len() as u64;
                        if read.waited && self.at < self.range.end {
                            self.read_ahead();
                        }
                        Ok(read.piece)
                    }
                    Err(e) => Err(self.unreadable(e)),
                }));
            }
            if self.at >= self.range.end {
                return Poll::Ready(None);
            }
            // Cached pieces are always ready: without this a long body would keep its thread from
            // other tasks.
            let progress = ready!(coop::poll_proceed(cx));
            if let Some(together) = &self.together {
                let piece = ready!(together.poll_piece(cx));
                progress.made_progress();
                if let Some(piece) = piece {
                    self.at += piece.len() as u64;
                    return Poll::Ready(Some(Ok(piece)));
                }
                (self.together, self.hot) = (None, false);
                continue;
            }
            progress.made_progress();
            match self.cached() {
                Some(piece) => {
                    if self.hot {
                        self.together = Together::new(&self.source, self.at, self.range.end);
                    }
                    return Poll::Ready(Some(piece));
                }
                None => {
                    self.hot = false;
                    self.read_ahead();
                }
            }
        }
    }
}

impl Source {
    /// A piece, as long as its buffer; shorter only at the file's end.
    fn read(&self, at: u64, end: u64) -> io::Result<Read> {
        let want = Pieces::want(at, end);
        let mut buffer = self.files.buffers.take(want);
        let bytes = buffer.bytes(want);
        let mut filled = match self.files.sys.read_cached(&self.file, bytes, at) {
            Some(read) => read?,
            None => 0,
        };
        let waited = filled < bytes.len();
        while filled < bytes.len() {
            match self
                .files
                .sys
                .read(&self.file, &mut bytes[filled..], at + filled as u64)
            {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Read {
            piece: buffer.into_bytes(filled),
            waited,
        })
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        let piece = ready!(this.poll_piece(cx));
        this.failed = matches!(piece, Some(Err(_)));
        Poll::Ready(piece)
    }
}
