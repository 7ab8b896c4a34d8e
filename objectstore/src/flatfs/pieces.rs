//! A long body: read piece by piece as it is consumed.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::{JoinHandle, coop};

use super::buffers::{Buffer, PIECE};
use super::files::{Files, failed};
use crate::{Error, Key, Operation, Result};

/// How many pieces a blocking task reads at a time. One such batch is consumed while the next is read.
const BATCH: usize = 4;

/// A cached piece shorter than this is not worth giving: the rest is read along with it, off thread.
const MIN_PIECE: usize = 64 * 1024;

/// The pieces of a range of a file, none of them empty, at most [`PIECE`] bytes each.
///
/// Each is first tried from the cache on the spot. Once one would wait for the disk, a blocking task reads a batch, and goes on ahead of the consumer for as
/// long as the disk is what limits.
pub(super) struct Pieces {
    source: Arc<Source>,
    range: Range<u64>,
    /// Where the next read starts; bytes before it are given or in `ready`.
    at: u64,
    ready: VecDeque<Bytes>,
    reading: Option<JoinHandle<io::Result<Batch>>>,
    failed: bool,
}

struct Source {
    files: Arc<Files>,
    file: File,
    key: Key,
}

struct Batch {
    pieces: VecDeque<Bytes>,
    len: u64,
    /// Whether the disk was waited for.
    waited: bool,
}

impl Pieces {
    pub(super) fn new(files: Arc<Files>, key: Key, file: File, range: Range<u64>) -> Self {
        let source = Arc::new(Source { files, file, key });
        Self { source, at: range.start, range, ready: VecDeque::new(), reading: None, failed: false }
    }

    /// How much of a buffer to fill at `at`.
    fn want(at: u64, end: u64) -> usize {
        usize::try_from(end - at).map_or(PIECE, |left| left.min(PIECE))
    }

    fn truncated(&self) -> Error {
        let expected = self.range.end - self.range.start;
        Error::Truncated { key: self.source.key.clone(), expected, received: self.at - self.range.start }
    }

    fn unreadable(&self, source: io::Error) -> Error {
        failed(Operation::Get, Some(&self.source.key), "the file cannot be read", source)
    }

    /// The next piece, if it is cached.
    fn cached(&mut self) -> Option<Result<Bytes>> {
        let mut buffer = self.source.files.buffers.take();
        let want = Self::want(self.at, self.range.end);
        match self.source.files.sys.read_cached(&self.source.file, &mut buffer.bytes[..want], self.at)? {
            Ok(0) => Some(Err(self.truncated())),
            Ok(n) if n < want.min(MIN_PIECE) => None,
            Ok(n) => {
                self.at += n as u64;
                Some(Ok(buffer.into_bytes(n)))
            }
            Err(e) => Some(Err(self.unreadable(e))),
        }
    }

    fn read_ahead(&mut self) {
        let (source, at, end) = (Arc::clone(&self.source), self.at, self.range.end);
        self.reading = Some(tokio::task::spawn_blocking(move || source.read_batch(at, end)));
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if let Some(reading) = &mut self.reading {
                let batch = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).and_then(|batch| batch);
                self.reading = None;
                match batch {
                    Ok(batch) if batch.len == 0 => return Poll::Ready(Some(Err(self.truncated()))),
                    Ok(batch) => {
                        self.at += batch.len;
                        self.ready = batch.pieces;
                        if batch.waited && self.at < self.range.end {
                            self.read_ahead();
                        }
                    }
                    Err(e) => return Poll::Ready(Some(Err(self.unreadable(e)))),
                }
                continue;
            }
            if self.at >= self.range.end {
                return Poll::Ready(None);
            }
            // Cached pieces are always ready: without this a long body would keep its thread from other tasks.
            let progress = ready!(coop::poll_proceed(cx));
            progress.made_progress();
            match self.cached() {
                Some(piece) => return Poll::Ready(Some(piece)),
                None => self.read_ahead(),
            }
        }
    }
}

impl Source {
    /// Up to [`BATCH`] pieces; fewer at the file's end, none past it.
    fn read_batch(&self, mut at: u64, end: u64) -> io::Result<Batch> {
        let mut batch = Batch { pieces: VecDeque::with_capacity(BATCH), len: 0, waited: false };
        while batch.pieces.len() < BATCH && at < end {
            let mut buffer = self.files.buffers.take();
            let want = Pieces::want(at, end);
            let len = match self.fill(&mut buffer, want, at, &mut batch.waited) {
                Ok(0) => break,
                Ok(len) => len,
                // What was read before it is good; the error comes again when this place is read next.
                Err(_) if batch.len > 0 => break,
                Err(e) => return Err(e),
            };
            batch.pieces.push_back(buffer.into_bytes(len));
            batch.len += len as u64;
            at += len as u64;
        }
        Ok(batch)
    }

    /// Reads `want` bytes, fewer only at the file's end.
    fn fill(&self, buffer: &mut Buffer, want: usize, at: u64, waited: &mut bool) -> io::Result<usize> {
        let mut filled = match self.files.sys.read_cached(&self.file, &mut buffer.bytes[..want], at) {
            Some(read) => read?,
            None => 0,
        };
        *waited |= filled < want;
        while filled < want {
            match self.file.read_at(&mut buffer.bytes[filled..want], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
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
