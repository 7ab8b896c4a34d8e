//! Bodies that come from the cache, or fill it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, ETag, Key, Metadata, Result};

use super::blocks::{BlockId, Blocks};

/// Caches the whole blocks of what passes.
pub(super) struct Filler {
    blocks: Arc<Blocks>,
    key: Key,
    etag: ETag,
    size: u64,
    /// Where it began, and the offset in the object of the next byte.
    start: u64,
    at: u64,
    /// The block that is being gathered, from its start; `None` until one starts.
    block: Option<BytesMut>,
}

impl Filler {
    pub(super) fn new(blocks: &Arc<Blocks>, key: &Key, metadata: &Metadata, at: u64) -> Self {
        Self {
            blocks: Arc::clone(blocks),
            key: key.clone(),
            etag: metadata.etag.clone(),
            size: metadata.size,
            start: at,
            at,
            block: None,
        }
    }

    fn pass(&mut self, mut piece: &[u8]) {
        let size = self.blocks.size;
        while !piece.is_empty() && self.at < self.size {
            let start = self.at - self.at % size;
            if self.at == start {
                self.block = Some(BytesMut::new());
            }
            let end = self.size.min(start + size);
            let len = (end - self.at).min(piece.len() as u64);
            // At most the length of the piece.
            let (part, rest) = piece.split_at(len as usize);
            if let Some(block) = &mut self.block {
                block.extend_from_slice(part);
            }
            (piece, self.at) = (rest, self.at + len);
            if self.at == end
                && let Some(block) = self.block.take()
            {
                let id = BlockId {
                    key: self.key.clone(),
                    etag: self.etag.clone(),
                    index: start / size,
                };
                self.blocks.insert(id, block.freeze());
            }
        }
    }
}

impl Filler {
    /// Takes back what it cached: a source that failed may have given wrong bytes before.
    fn take_back(&self) {
        let size = self.blocks.size;
        for index in self.start / size..self.at.div_ceil(size) {
            self.blocks.remove(&BlockId {
                key: self.key.clone(),
                etag: self.etag.clone(),
                index,
            });
        }
    }
}

/// The blocks of a range that are cached, from its start to the first that is missing, cut to the
/// range; and where that one starts, if any is missing.
pub(super) fn cached(
    blocks: &Blocks,
    key: &Key,
    etag: &ETag,
    range: &Range<u64>,
) -> (VecDeque<Bytes>, Option<u64>) {
    let (mut found, mut at) = (VecDeque::new(), range.start);
    while at < range.end {
        let index = at / blocks.size;
        let id = BlockId {
            key: key.clone(),
            etag: etag.clone(),
            index,
        };
        let start = index * blocks.size;
        let Some(block) = blocks.get(&id) else {
            return (found, Some(start));
        };
        // Within a block, whose length is that of a `Bytes`.
        let end = range.end.min(start + block.len() as u64);
        found.push_back(block.slice((at - start) as usize..(end - start) as usize));
        at = end;
    }
    (found, None)
}

/// What follows the cached blocks: a body of the inner store from `start` on.
pub(super) struct Rest {
    pub(super) body: Body,
    pub(super) filler: Filler,
}

/// A body of `range`: first the blocks, then the rest, of which it gives what the range has.
pub(super) fn joined(blocks: VecDeque<Bytes>, rest: Option<Rest>, range: Range<u64>) -> Body {
    let size = range.end - range.start;
    if rest.is_none() && blocks.len() <= 1 {
        return blocks.into_iter().next().unwrap_or_default().into();
    }
    let state = (blocks, rest, range);
    let pieces = stream::unfold(state, |(mut blocks, mut rest, mut left)| async move {
        if let Some(block) = blocks.pop_front() {
            left.start += block.len() as u64;
            return Some((Ok(block), (blocks, rest, left)));
        }
        let piece = next_of_rest(rest.as_mut()?, &mut left).await?;
        if piece.is_err() {
            rest = None;
        }
        Some((piece, (blocks, rest, left)))
    });
    Body::from_stream(pieces).with_size(size)
}

async fn next_of_rest(rest: &mut Rest, left: &mut Range<u64>) -> Option<Result<Bytes>> {
    loop {
        let start = rest.filler.at;
        let piece = match rest.body.next().await? {
            Ok(piece) => piece,
            Err(error) => {
                rest.filler.take_back();
                return Some(Err(error));
            }
        };
        rest.filler.pass(&piece);
        // The rest begins and ends with a block: more than was asked for.
        let end = start + piece.len() as u64;
        let (from, to) = (left.start.max(start), left.end.min(end));
        if from < to {
            left.start = to;
            return Some(Ok(
                piece.slice((from - start) as usize..(to - start) as usize)
            ));
        }
    }
}
