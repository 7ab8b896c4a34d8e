//! Reading: from the copy, from a fill, or from the slow tier.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Body, ByteRange, ETag, Error, ErrorClass, GetOptions, Key, Metadata, Object, ObjectStore,
    Operation, Result,
};

use super::fill::{Next, Reader};
use super::trailer;

/// A copy in the fast tier.
pub(super) struct Copy {
    pub(super) metadata: Metadata,
    /// Of the copy.
    etag: ETag,
    /// The end of the object's bytes, which came with the trailer.
    tail: Bytes,
}

/// How much of a copy's end is read to find its trailer, in bytes: enough for a small object too.
const END: u64 = 8 * 1024;

/// Looks the copy up; `None` if there is none, or the fast tier cannot tell.
pub(super) async fn look_up<F: ObjectStore>(fast: &F, key: &Key) -> Option<Copy> {
    let end = ByteRange::suffix(END).clamped();
    let options = GetOptions::default().range(end);
    let object = fast.get_opts(key, options).await.ok()?;
    let Metadata {
        size,
        etag,
        attributes,
        ..
    } = object.metadata;
    let end = object.body.collect(END).await.ok()?;
    let metadata = trailer::read(&end, size)?.attributes(attributes);
    let tail = end.slice(..end.len().checked_sub(trailer::LEN as usize)?);
    Some(Copy {
        metadata,
        etag,
        tail,
    })
}

/// Opens a range of the copy; `None` if it is gone meanwhile.
pub(super) async fn open_copy<F: ObjectStore>(
    fast: &F,
    key: &Key,
    copy: &Copy,
    range: &Range<u64>,
) -> Option<Body> {
    let tail_start = copy.metadata.size - copy.tail.len() as u64;
    if range.start >= tail_start {
        let (from, to) = (range.start - tail_start, range.end - tail_start);
        return Some(copy.tail.slice(from as usize..to as usize).into());
    }
    let options = GetOptions::default()
        .range(range.clone())
        .if_match(copy.etag.clone());
    Some(fast.get_opts(key, options).await.ok()?.body)
}

/// Opens the rest of an object in the slow tier, if it is still that version.
pub(super) async fn open_slow<S: ObjectStore>(
    slow: &S,
    key: &Key,
    etag: &ETag,
    left: Range<u64>,
) -> Option<Body> {
    let options = GetOptions::default().if_match(etag.clone());
    if left.is_empty() {
        // No range says that. All bytes are there, so it only has to be the version still.
        let metadata = slow.head(key).await.ok()?;
        return (metadata.etag == *etag).then(Body::empty);
    }
    let object = slow.get_opts(key, options.range(left)).await.ok()?;
    Some(object.body)
}

enum From {
    Fill(Reader),
    Copy(Body),
    Slow(Body),
}

/// A body that goes on elsewhere if it has to.
struct TierBody<S> {
    slow: Arc<S>,
    key: Key,
    etag: ETag,
    left: Range<u64>,
    from: From,
}

impl<S: ObjectStore> TierBody<S> {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let copy = match &mut self.from {
                From::Fill(reader) => match reader.next().await {
                    Next::Piece(piece) => return Some(Ok(self.gave(piece))),
                    Next::End => return None,
                    Next::Rest(rest) => rest,
                },
                From::Copy(body) => match body.next().await {
                    Some(Ok(piece)) => return Some(Ok(self.gave(piece))),
                    None if self.left.is_empty() => return None,
                    None | Some(Err(_)) => None,
                },
                From::Slow(body) => return body.next().await,
            };
            self.from = match copy {
                Some(body) => From::Copy(body),
                None => {
                    let left = self.left.clone();
                    match open_slow(&*self.slow, &self.key, &self.etag, left).await {
                        Some(body) => From::Slow(body),
                        None => return Some(Err(self.broke())),
                    }
                }
            };
        }
    }

    fn gave(&mut self, piece: Bytes) -> Bytes {
        self.left.start = self.left.end.min(self.left.start + piece.len() as u64);
        piece
    }

    fn broke(&self) -> Error {
        Error::Backend {
            operation: Operation::Get,
            key: Some(self.key.clone()),
            class: ErrorClass::Transient,
            message: String::from("the fast tier failed, and the slow one has another version"),
            source: None,
        }
    }
}

fn tier_body<S: ObjectStore>(body: TierBody<S>) -> Body {
    let size = body.left.end - body.left.start;
    let pieces = stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match body.next().await? {
            Ok(piece) => Some((Ok(piece), Some(body))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces).with_size(size)
}

/// The object of a copy that was opened.
pub(super) fn from_copy<S: ObjectStore>(
    slow: &Arc<S>,
    key: &Key,
    metadata: Metadata,
    range: Range<u64>,
    body: Body,
) -> Object {
    let body = if body.as_bytes().is_some() {
        body
    } else {
        tier_body(TierBody {
            slow: Arc::clone(slow),
            key: key.clone(),
            etag: metadata.etag.clone(),
            left: range.clone(),
            from: From::Copy(body),
        })
    };
    Object {
        metadata,
        range,
        body,
    }
}

/// The object of a fill.
pub(super) fn from_fill<S: ObjectStore>(
    slow: &Arc<S>,
    key: &Key,
    (metadata, range, reader): (Metadata, Range<u64>, Reader),
) -> Object {
    let body = tier_body(TierBody {
        slow: Arc::clone(slow),
        key: key.clone(),
        etag: metadata.etag.clone(),
        left: range.clone(),
        from: From::Fill(reader),
    });
    Object {
        metadata,
        range,
        body,
    }
}
