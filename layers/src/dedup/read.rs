//! Manifests become content.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Body, ByteRange, Entry, Error, ErrorClass, GetOptions, Key, Metadata, Object, ObjectStore,
    Operation, Result,
};

use super::format::{Chunk, Flaw, HEADER, Header};
use super::pins::Pinned;
use super::shared::{Shared, damaged};
use crate::parts::ExactReader;

/// How much of a manifest a range reads first, in bytes: with header and last bytes at least.
const READ_FIRST: u64 = 32 * 1024;

/// How many chunks of one body are read at a time.
const READS: usize = 4;

/// The largest piece of a body, in bytes.
const PIECE: usize = 1024 * 1024;

/// How often an object is read anew because it was replaced between two reads.
const ATTEMPTS: usize = 16;

/// A manifest, or the part of it that a range needs.
pub(super) struct OpenManifest {
    /// That of the object.
    pub(super) metadata: Metadata,
    range: Range<u64>,
    pub(super) chunks: Vec<Chunk>,
    /// Where the first of these begins in the content.
    begin: u64,
    /// The part of the range that stands in the manifest.
    tail: Bytes,
    /// Keeps the chunks.
    pub(super) pinned: Option<Pinned>,
}

/// The answer to a read of one version, `None` if there is another one.
fn unless_replaced<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.is_not_found() || error.is_precondition() => Ok(None),
        Err(error) => Err(error),
    }
}

fn flawed(key: &Key, flaw: Flaw) -> Error {
    damaged(Operation::Get, key, flaw)
}

impl<I: ObjectStore, C: ObjectStore> Shared<I, C> {
    pub(super) async fn get(self: &Arc<Self>, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        let manifest = self.open(key, &options).await?;
        let (metadata, range) = (manifest.metadata.clone(), manifest.range.clone());
        Ok(Object {
            metadata,
            range,
            body: self.body(key, manifest),
        })
    }

    /// The manifest of an object, whose chunks no collection takes as long as it is held.
    pub(super) async fn open(&self, key: &Key, options: &GetOptions) -> Result<OpenManifest> {
        for _ in 0..ATTEMPTS {
            let sweeps = self.pins.sweeps();
            let read = if options.range.is_none_or(ByteRange::is_whole) {
                Some(self.read_whole(key, options).await?)
            } else {
                self.read_part(key, options).await?
            };
            let Some(mut manifest) = read else {
                continue;
            };
            let digests = manifest.chunks.iter().map(|chunk| chunk.digest).collect();
            let (pinned, is_safe) = self.pins.hold_since(digests, sweeps);
            manifest.pinned = Some(pinned);
            if is_safe || manifest.chunks.is_empty() {
                return Ok(manifest);
            }
            // A sweep may have taken chunks of a version that was replaced. Of the one that is
            // there now it takes none.
            match self.index.head(key).await {
                Ok(now) if now.etag == manifest.metadata.etag => return Ok(manifest),
                Ok(_) => {}
                Err(error) => return Err(error.map_operation(Operation::Get)),
            }
        }
        Err(Error::Backend {
            operation: Operation::Get,
            key: Some(key.clone()),
            class: ErrorClass::Transient,
            message: format!("the object was replaced {ATTEMPTS} times while it was read"),
            source: None,
        })
    }

    /// All of a manifest, by one request.
    async fn read_whole(&self, key: &Key, options: &GetOptions) -> Result<OpenManifest> {
        let object = self.index.get_opts(key, options.clone()).await?;
        whole_manifest(key, object.metadata, object.body).await
    }

    /// The part of a manifest that a range needs; `None` if the object was replaced between the
    /// reads.
    async fn read_part(&self, key: &Key, options: &GetOptions) -> Result<Option<OpenManifest>> {
        let flawed = |flaw| flawed(key, flaw);
        let first = ByteRange::from(0..READ_FIRST).clamped();
        let first = match self.index.get_opts(key, options.clone().range(first)).await {
            Err(Error::RangeNotSatisfiable { .. }) => return Err(flawed("it is empty")),
            first => first?,
        };
        let (stored, etag) = (first.metadata.size, first.metadata.etag.clone());
        let head = first.body.collect(READ_FIRST).await?;
        let header = Header::parse(&head, stored).map_err(flawed)?;
        let range = options.resolve_range(key, header.size)?;
        let section = async |section: Range<u64>| {
            if section.end <= head.len() as u64 {
                return Ok(Some(
                    head.slice(section.start as usize..section.end as usize),
                ));
            }
            let len = section.end - section.start;
            let same = GetOptions::default().range(section).if_match(etag.clone());
            match unless_replaced(self.index.get_opts(key, same).await)? {
                Some(object) => object.body.collect(len).await.map(Some),
                None => Ok(None),
            }
        };
        let Some(tail) = section(header.tail()).await? else {
            return Ok(None);
        };
        header.check_tail(&tail).map_err(flawed)?;
        let Some(lens) = section(header.lens()).await? else {
            return Ok(None);
        };
        let span = header.span(&lens, &range).map_err(flawed)?;
        let chunks = if span.lens.is_empty() {
            Vec::new()
        } else {
            let Some(digests) = section(header.digests_of(&span)).await? else {
                return Ok(None);
            };
            span.chunks(&digests).map_err(flawed)?
        };
        let chunked = header.chunked();
        let in_tail = range.start.max(chunked) - chunked..range.end.max(chunked) - chunked;
        Ok(Some(OpenManifest {
            metadata: Metadata {
                size: header.size,
                ..first.metadata
            },
            range,
            chunks,
            begin: span.begin,
            tail: tail.slice(in_tail.start as usize..in_tail.end as usize),
            pinned: None,
        }))
    }

    fn body(self: &Arc<Self>, key: &Key, manifest: OpenManifest) -> Body {
        let OpenManifest {
            range,
            chunks,
            begin,
            tail,
            pinned,
            ..
        } = manifest;
        if chunks.is_empty() {
            return tail.into();
        }
        let size = range.end - range.start;
        let mut at = begin;
        let parts = chunks.into_iter().map(move |chunk| {
            let end = at + u64::from(chunk.len);
            let cut = range.start.max(at) - at..range.end.min(end) - at;
            at = end;
            (chunk, cut)
        });
        let (shared, key) = (Arc::clone(self), key.clone());
        let pieces = stream::iter(parts)
            .map(move |(chunk, cut)| {
                let _ = &pinned;
                let (shared, key) = (Arc::clone(&shared), key.clone());
                async move {
                    let bytes = shared.chunk(&key, chunk).await?;
                    Ok(bytes.slice(cut.start as usize..cut.end as usize))
                }
            })
            .buffered(READS)
            .chain(stream::iter([Ok(tail)]))
            .map_ok(|bytes: Bytes| stream::iter(pieces_of(bytes).map(Ok::<_, Error>)))
            .try_flatten();
        Body::from_stream(pieces.boxed()).with_size(size)
    }
}

/// The manifest that is all of `body`.
pub(super) async fn whole_manifest(
    key: &Key,
    metadata: Metadata,
    body: Body,
) -> Result<OpenManifest> {
    let flawed = |flaw| flawed(key, flaw);
    let stored = metadata.size;
    let mut reader = ExactReader::new(key, body);
    let head = reader.take((HEADER as u64).min(stored) as usize).await?;
    let header = Header::parse(&head, stored).map_err(flawed)?;
    // As long as the object is.
    let mut take = async |range: Range<u64>| {
        let len = (range.end - range.start) as usize;
        reader.take(len).await
    };
    let tail = take(header.tail()).await?;
    let lens = take(header.lens()).await?;
    let digests = take(header.digests()).await?;
    reader.end().await?;
    header.check_tail(&tail).map_err(flawed)?;
    header.check_digests(&digests).map_err(flawed)?;
    let whole = 0..header.size;
    let span = header.span(&lens, &whole).map_err(flawed)?;
    Ok(OpenManifest {
        metadata: Metadata {
            size: header.size,
            ..metadata
        },
        range: whole,
        chunks: span.chunks(&digests).map_err(flawed)?,
        begin: 0,
        tail,
        pinned: None,
    })
}

fn pieces_of(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        (!piece.is_empty()).then_some(piece)
    })
}

/// What is known of an object, by the header of its manifest.
pub(super) async fn head_of<I: ObjectStore>(
    index: &I,
    key: &Key,
    operation: Operation,
) -> Result<Metadata> {
    let header = GetOptions::default().range(ByteRange::from(0..HEADER as u64).clamped());
    let object = match index.get_opts(key, header).await {
        Err(Error::RangeNotSatisfiable { .. }) => {
            return Err(damaged(operation, key, "it is empty"));
        }
        object => object.map_err(|error| error.map_operation(operation))?,
    };
    let head = object.body.collect(HEADER as u64).await?;
    let header =
        Header::parse(&head, object.metadata.size).map_err(|flaw| damaged(operation, key, flaw))?;
    Ok(Metadata {
        size: header.size,
        ..object.metadata
    })
}

/// The caller's entry for one of the index; none if it is gone meanwhile.
pub(super) async fn entry_of<I: ObjectStore, C: ObjectStore>(
    shared: Arc<Shared<I, C>>,
    entry: Entry,
    inline_values: Option<u64>,
) -> Result<Option<Entry>> {
    let key = &entry.key;
    let Some(stored) = &entry.value else {
        return match head_of(&shared.index, key, Operation::List).await {
            Ok(metadata) => Ok(Some(Entry { metadata, ..entry })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        };
    };
    let flawed = |flaw| damaged(Operation::List, key, flaw);
    let header = Header::parse(stored, stored.len() as u64).map_err(flawed)?;
    let mut value = None;
    if header.is_inline() && inline_values.is_some_and(|most| header.size <= most) {
        let tail = header.tail();
        let tail = stored.slice(tail.start as usize..tail.end as usize);
        header.check_tail(&tail).map_err(flawed)?;
        value = Some(tail);
    }
    Ok(Some(Entry {
        metadata: Metadata {
            size: header.size,
            ..entry.metadata
        },
        value,
        key: entry.key,
    }))
}
