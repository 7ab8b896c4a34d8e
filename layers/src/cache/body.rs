//! Bodies that come from the cache, or fill it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, Key, Metadata, ObjectStore, Operation, Result,
};

use super::fill::Filler;
use super::leases::Lease;
use super::levels::{Levels, Part};

/// A body of the inner store, which fills the cache.
pub(super) struct Rest {
    body: Body,
    filler: Filler,
    ended: bool,
}

impl Rest {
    pub(super) fn new(body: Body, filler: Filler) -> Self {
        Self {
            body,
            filler,
            ended: false,
        }
    }

    /// The next piece of `left`, which moves on; the source may begin and end with more.
    async fn next(&mut self, left: &mut Range<u64>) -> Option<Result<Bytes>> {
        while !self.ended {
            let start = self.filler.at();
            let piece = match self.body.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    self.filler.take_back();
                    return Some(Err(error));
                }
                None => {
                    self.ended = true;
                    if self.filler.is_at_end() {
                        self.filler.finish();
                    }
                    return None;
                }
            };
            self.filler.pass(&piece);
            if self.filler.is_at_end()
                && let Some(Err(error)) = self.end().await
            {
                return Some(Err(error));
            }
            let end = start + piece.len() as u64;
            let (from, to) = (left.start.max(start), left.end.min(end));
            if from < to {
                left.start = to;
                // Both within the piece.
                let part = (from - start) as usize..(to - start) as usize;
                return Some(Ok(piece.slice(part)));
            }
        }
        None
    }

    /// After the last byte: who reads this may not ask again.
    async fn end(&mut self) -> Option<Result<()>> {
        match self.body.next().await {
            None => {
                self.ended = true;
                self.filler.finish();
                None
            }
            Some(Ok(_)) => Some(Ok(())),
            Some(Err(error)) => {
                self.filler.take_back();
                Some(Err(error))
            }
        }
    }
}

/// Opens an object of this version from the start of a block to the end of that in which `end` is.
///
/// # Errors
/// Those of the store: of its precondition, if it has another version by now.
pub(super) async fn open_rest<S: ObjectStore>(
    store: &S,
    levels: &Arc<Levels>,
    (key, metadata): (&Key, &Metadata),
    start: u64,
    end: u64,
) -> Result<Rest> {
    let end = end.next_multiple_of(levels.block_size()).min(metadata.size);
    let get = GetOptions::default()
        .range(start..end)
        .if_match(metadata.etag.clone());
    let object = store.get_opts(key, get).await?;
    let filler = Filler::new(levels, key, metadata, (start, end));
    Ok(Rest::new(object.body, filler))
}

/// A range that is being read.
pub(super) struct Reading<S> {
    /// Which is read for blocks that cannot be had any more.
    pub(super) store: S,
    pub(super) levels: Arc<Levels>,
    pub(super) key: Key,
    pub(super) metadata: Metadata,
    /// First these, then the rest.
    pub(super) parts: VecDeque<Part>,
    pub(super) rest: Option<Rest>,
    /// What has not been given.
    pub(super) left: Range<u64>,
    /// So that the blocks on disk stay.
    pub(super) lease: Option<Lease>,
}

impl<S: ObjectStore> Reading<S> {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        while let Some(part) = self.parts.pop_front() {
            match part {
                Part::Memory(bytes) => {
                    self.left.start += bytes.len() as u64;
                    return Some(Ok(bytes));
                }
                Part::Disk(index) => {
                    let start = index * self.levels.block_size();
                    if let Some(bytes) = self.levels.block(&self.key, &self.metadata, index).await {
                        let end = self.left.end.min(start + bytes.len() as u64);
                        // Both within the block.
                        let part = (self.left.start - start) as usize..(end - start) as usize;
                        self.left.start = end;
                        return Some(Ok(bytes.slice(part)));
                    }
                    self.parts.clear();
                    let of = (&self.key, &self.metadata);
                    let end = self.left.end;
                    match open_rest(&self.store, &self.levels, of, start, end).await {
                        Ok(rest) => self.rest = Some(rest),
                        Err(error) => return Some(Err(self.broke(error))),
                    }
                }
            }
        }
        self.lease = None;
        self.rest.as_mut()?.next(&mut self.left).await
    }

    fn broke(&self, error: Error) -> Error {
        if !error.is_precondition() && !error.is_not_found() {
            return error;
        }
        Error::Backend {
            operation: Operation::Get,
            key: Some(self.key.clone()),
            class: ErrorClass::Transient,
            message: String::from("a cached block was lost, and the store has another version"),
            source: None,
        }
    }
}

/// The body of a range.
pub(super) fn body_of<S: ObjectStore>(mut reading: Reading<S>) -> Body {
    if reading.rest.is_none() && reading.parts.len() <= 1 {
        match reading.parts.pop_front() {
            None => return Body::empty(),
            Some(Part::Memory(bytes)) => return bytes.into(),
            Some(part) => reading.parts.push_front(part),
        }
    }
    let size = reading.left.end - reading.left.start;
    let pieces = stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(piece) => Some((Ok(piece), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces).with_size(size)
}
