//! Verified bodies.

use std::ops::Range;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, Error, ErrorClass, Key, Operation, Result};

use super::tree::{GROUP, Node, TRAILER, Trailer, TreeHasher, hash_group};
use crate::parts::ExactReader;

/// How many groups are verified at a time.
const STEP: u64 = 16;

/// The largest piece of a whole content, in bytes.
const PIECE: u64 = 256 * 1024;

/// Bytes that are not those that were put.
pub(super) fn damaged(operation: Operation, key: &Key, what: &str) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: format!("the stored object is not what was put: {what}"),
        source: None,
    }
}

/// The content at the beginning of a whole inner object.
pub(super) fn content_of(
    operation: Operation,
    key: &Key,
    stored: &Bytes,
    size: u64,
    outboards: bool,
) -> Result<Bytes> {
    let trailer =
        Trailer::parse(stored, size, outboards).map_err(|flaw| damaged(operation, key, flaw))?;
    let content = stored.slice(..size as usize);
    let mut hasher = TreeHasher::new(size);
    hasher.update(&content);
    let (tree, hash) = hasher.finish();
    if hash != trailer.hash {
        return Err(damaged(operation, key, "its content has another hash"));
    }
    let behind = &stored[size as usize..stored.len() - TRAILER];
    if outboards && tree != behind {
        return Err(damaged(operation, key, "its hash tree is another"));
    }
    Ok(content)
}

struct Whole {
    reader: ExactReader,
    hasher: TreeHasher,
    left: u64,
    size: u64,
    outboards: bool,
    key: Key,
}

/// A whole content, whose last piece comes once all of it was right.
pub(super) fn whole(key: &Key, body: Body, size: u64, outboards: bool) -> Body {
    let whole = Whole {
        reader: ExactReader::new(key, body),
        hasher: TreeHasher::new(size),
        left: size,
        size,
        outboards,
        key: key.clone(),
    };
    let pieces = stream::try_unfold(Some(whole), |whole| async move {
        let Some(mut whole) = whole else {
            return Ok(None);
        };
        let piece = whole.reader.take(whole.left.min(PIECE) as usize).await?;
        whole.hasher.update(&piece);
        whole.left -= piece.len() as u64;
        if whole.left > 0 {
            return Ok(Some((piece, Some(whole))));
        }
        whole.judge().await?;
        // An empty content has no piece.
        Ok::<_, Error>((!piece.is_empty()).then_some((piece, None)))
    });
    Body::from_stream(pieces.boxed()).with_size(size)
}

impl Whole {
    async fn judge(mut self) -> Result<()> {
        let damaged = |what| damaged(Operation::Get, &self.key, what);
        let (tree, hash) = self.hasher.finish();
        if self.outboards {
            // Compared in pieces: it may be as long as a small content.
            let mut tree = &tree[..];
            while !tree.is_empty() {
                let (now, later) = tree.split_at(tree.len().min(PIECE as usize));
                if self.reader.take(now.len()).await? != now {
                    return Err(damaged("its hash tree is another"));
                }
                tree = later;
            }
        }
        let trailer = self.reader.take(TRAILER).await?;
        let trailer = Trailer::parse(&trailer, self.size, self.outboards).map_err(damaged)?;
        if !self.reader.end().await? {
            return Err(damaged("it is longer than it was"));
        }
        if hash != trailer.hash {
            return Err(damaged("its content has another hash"));
        }
        Ok(())
    }
}

/// How the groups of a range are known.
pub(super) enum Expected {
    /// The only group, by the hash.
    Only(Node),
    /// Each by its node.
    Nodes(Vec<Node>),
}

/// The bytes in `range` of a content of `size` bytes. `reader` gives the groups that have them,
/// from `groups.start` on; each is verified before it is given.
pub(super) fn groups(
    key: &Key,
    reader: ExactReader,
    size: u64,
    groups: Range<u64>,
    expected: Expected,
    range: Range<u64>,
) -> Body {
    let len = range.end - range.start;
    let (key, state) = (key.clone(), (reader, groups.start));
    let expected = std::sync::Arc::new(expected);
    let pieces = stream::try_unfold(state, move |(mut reader, next)| {
        let (key, range, expected) = (key.clone(), range.clone(), expected.clone());
        let (first, end) = (groups.start, groups.end);
        async move {
            if next == end {
                reader.end().await?;
                return Ok(None);
            }
            let last = end.min(next + STEP);
            let from = next * GROUP;
            let piece = reader
                .take((size.min(last * GROUP) - from) as usize)
                .await?;
            for (n, group) in (next..).zip(piece.chunks(GROUP as usize)) {
                let right = match &*expected {
                    Expected::Only(hash) => blake3::hash(group) == *hash,
                    Expected::Nodes(nodes) => {
                        nodes.get((n - first) as usize) == Some(&hash_group(n, group))
                    }
                };
                if !right {
                    return Err(damaged(
                        Operation::Get,
                        &key,
                        "its content has another hash",
                    ));
                }
            }
            // An empty content is one group without bytes.
            let to = from + piece.len() as u64;
            let cut = range.start.clamp(from, to) - from..range.end.clamp(from, to) - from;
            let cut = piece.slice(cut.start as usize..cut.end as usize);
            Ok::<_, Error>(Some((cut, (reader, last))))
        }
    });
    Body::from_stream(pieces.boxed()).with_size(len)
}
