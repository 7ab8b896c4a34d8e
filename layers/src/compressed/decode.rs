//! Frames become content.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, Error, ErrorClass, Key, Operation, Result};
use zstd::bulk::Decompressor;

use super::format::{Flaw, Frame};
use crate::parts::ExactReader;

/// An object that is not what this layer writes.
pub(super) fn not_ours(operation: Operation, key: &Key, flaw: Flaw) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: format!("the stored object is not a compressed one: {flaw}"),
        source: None,
    }
}

/// The content of one frame.
fn frame(decompressor: &mut Decompressor<'_>, frame: &Frame, stored: Bytes) -> io::Result<Bytes> {
    if frame.as_it_is {
        return Ok(stored);
    }
    // No more than its length is given room.
    let content = decompressor.decompress(&stored, frame.len)?;
    if content.len() != frame.len {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the frame has less content than it should",
        ));
    }
    Ok(content.into())
}

/// The content of frames that lie one behind the other.
pub(super) fn bytes_of(frames: &[Frame], mut stored: Bytes) -> io::Result<Vec<u8>> {
    let mut decompressor = Decompressor::new()?;
    let mut all = Vec::new();
    for one in frames {
        let len = (one.stored.end - one.stored.start) as usize;
        if stored.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        all.extend_from_slice(&frame(&mut decompressor, one, stored.split_to(len))?);
    }
    Ok(all)
}

struct Decoding {
    frames: VecDeque<Frame>,
    reader: ExactReader,
    decompressor: Decompressor<'static>,
    /// The bytes to give, from the beginning of the next frame's content.
    range: Range<u64>,
    key: Key,
}

/// The bytes in `range` of what `frames` have, counted from the first one's beginning. `reader`
/// gives the frames.
pub(super) fn decoded(
    key: &Key,
    frames: Vec<Frame>,
    reader: ExactReader,
    range: Range<u64>,
) -> Result<Body> {
    let size = range.end - range.start;
    let damaged = |key: &Key, error| {
        Error::io(
            Operation::Get,
            Some(key),
            "a compressed frame is damaged",
            error,
        )
    };
    let decoding = Decoding {
        frames: frames.into(),
        reader,
        decompressor: Decompressor::new().map_err(|error| damaged(key, error))?,
        range,
        key: key.clone(),
    };
    let pieces = stream::try_unfold(decoding, move |mut this| async move {
        let Some(next) = this.frames.pop_front() else {
            // For what the inner store has to say at the end.
            this.reader.end().await?;
            return Ok(None);
        };
        let stored = (next.stored.end - next.stored.start) as usize;
        let stored = this.reader.take(stored).await?;
        let content = frame(&mut this.decompressor, &next, stored);
        let content = content.map_err(|error| damaged(&this.key, error))?;
        let len = content.len() as u64;
        let part =
            content.slice(this.range.start.min(len) as usize..this.range.end.min(len) as usize);
        this.range = this.range.start.saturating_sub(len)..this.range.end.saturating_sub(len);
        Ok::<_, Error>(Some((part, this)))
    });
    Ok(Body::from_stream(pieces.boxed()).with_size(size))
}
