//! Long bodies, read piece by piece as they are consumed.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use storehouse_objectstore::{Error, Key, Operation, Result};
use tokio::task::{JoinHandle, coop};

use super::buffers::{Buffers, PIECE};
use super::error::failed;
use super::sys::Sys;

/// The shortest cached piece worth yielding, in bytes: shorter, the rest is read along with it, off
/// thread.
const MIN_PIECE: usize = 64 * 1024;

/// A range of a file as a stream of pieces of at most 1 MiB, shorter while many are in use. Holds
/// at most two.
///
/// Each piece is first tried from the page cache on the spot. Once one would block, a blocking task
/// reads it, and stays one piece ahead of the consumer for as long as the disk is the bottleneck.
pub(super) struct ReadStream {
    source: Arc<StreamSource>,
    key: Key,
    range: Range<u64>,
    /// Where the next read starts.
    at: u64,
    prefetch: Option<JoinHandle<io::Result<FilePiece>>>,
    failed: bool,
}

/// What a prefetch task needs.
struct StreamSource {
    sys: Arc<dyn Sys>,
    buffers: Buffers,
    file: File,
}

struct FilePiece {
    /// Empty at the file's end.
    bytes: Bytes,
    /// Whether reading it blocked.
    blocked: bool,
}

impl ReadStream {
    pub(super) fn new(
        sys: Arc<dyn Sys>,
        buffers: Buffers,
        key: Key,
        file: File,
        range: Range<u64>,
    ) -> Self {
        Self {
            source: Arc::new(StreamSource { sys, buffers, file }),
            key,
            at: range.start,
            range,
            prefetch: None,
            failed: false,
        }
    }

    /// How many bytes to read at `at`.
    fn want(at: u64, end: u64) -> usize {
        usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE))
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            key: self.key.clone(),
            expected: self.range.end - self.range.start,
            received: self.at - self.range.start,
            source: None,
        }
    }

    fn unreadable(&self, source: io::Error) -> Error {
        let message = "the file cannot be read";
        failed(Operation::Get, Some(&self.key), message, source)
    }

    /// The next piece, if it is cached.
    fn cached(&mut self) -> Option<Result<Bytes>> {
        let want = Self::want(self.at, self.range.end);
        let mut buffer = self.source.buffers.take(want);
        let bytes = buffer.bytes(want);
        let room = bytes.len();
        match self
            .source
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

    fn start_prefetch(&mut self) {
        let (source, at, end) = (Arc::clone(&self.source), self.at, self.range.end);
        self.prefetch = Some(tokio::task::spawn_blocking(move || source.read(at, end)));
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(prefetch) = &mut self.prefetch {
                let read = ready!(Pin::new(prefetch).poll(cx))
                    .map_err(io::Error::other)
                    .and_then(|read| read);
                self.prefetch = None;
                return Poll::Ready(Some(match read {
                    Ok(piece) if piece.bytes.is_empty() => Err(self.truncated()),
                    Ok(piece) => {
                        self.at += piece.bytes.len() as u64;
                        if piece.blocked && self.at < self.range.end {
                            self.start_prefetch();
                        }
                        Ok(piece.bytes)
                    }
                    Err(e) => Err(self.unreadable(e)),
                }));
            }
            if self.at >= self.range.end {
                return Poll::Ready(None);
            }
            // Cached pieces are always ready: without a budget a long body would starve the other
            // tasks of its thread.
            let budget = ready!(coop::poll_proceed(cx));
            budget.made_progress();
            match self.cached() {
                Some(piece) => return Poll::Ready(Some(piece)),
                None => self.start_prefetch(),
            }
        }
    }
}

impl StreamSource {
    /// A piece that fills its buffer; shorter only at the file's end. Blocks.
    fn read(&self, at: u64, end: u64) -> io::Result<FilePiece> {
        let want = ReadStream::want(at, end);
        let mut buffer = self.buffers.take(want);
        let bytes = buffer.bytes(want);
        let mut filled = match self.sys.read_cached(&self.file, bytes, at) {
            Some(read) => read?,
            None => 0,
        };
        let blocked = filled < bytes.len();
        while filled < bytes.len() {
            let rest = &mut bytes[filled..];
            match self.sys.read(&self.file, rest, at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(FilePiece {
            bytes: buffer.into_bytes(filled),
            blocked,
        })
    }
}

impl Stream for ReadStream {
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
