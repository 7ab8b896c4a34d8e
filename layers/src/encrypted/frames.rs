//! Content becomes frames, and frames content.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{Body, Error, ErrorClass, Key, Operation, Result, SizedBody};

use super::format::{FRAME, HEADER, Header, ObjectCipher, TAG, frames, stored_len};
use super::keys::EncryptionKeys;
use crate::parts::ExactReader;

pub(super) fn failed(operation: Operation, key: &Key, what: impl Into<String>) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: what.into(),
        source: None,
    }
}

/// An object that this layer did not write under this key, or that was changed since.
pub(super) fn not_ours(operation: Operation, key: &Key, what: &str) -> Error {
    let message = format!("the stored object is not the one that was encrypted: {what}");
    failed(operation, key, message)
}

/// The cipher of an object that is there.
pub(super) fn cipher_of(
    operation: Operation,
    keys: &EncryptionKeys,
    header: &[u8],
    key: &Key,
    size: u64,
) -> Result<ObjectCipher> {
    let header = Header::parse(header).map_err(|what| not_ours(operation, key, what))?;
    ObjectCipher::new(keys, &header, key, size).ok_or_else(|| {
        let id = header.id();
        failed(
            operation,
            key,
            format!("there is no key {id:?} to decrypt it with"),
        )
    })
}

/// Header and cipher of a new object.
fn begin(
    operation: Operation,
    keys: &EncryptionKeys,
    key: &Key,
    size: u64,
) -> Result<(Bytes, ObjectCipher)> {
    let header = Header::new(keys).map_err(|error| Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: "the system gives no random numbers".into(),
        source: Some(error.into()),
    })?;
    let header = header.to_bytes();
    let cipher = cipher_of(operation, keys, &header, key, size)?;
    Ok((Bytes::copy_from_slice(&header), cipher))
}

fn seal(cipher: &ObjectCipher, key: &Key, frame: u64, content: &[u8]) -> Result<Bytes> {
    let mut sealed = Vec::with_capacity(content.len() + TAG as usize);
    sealed.extend_from_slice(content);
    if cipher.seal(frame, &mut sealed) {
        Ok(sealed.into())
    } else {
        Err(failed(Operation::Put, key, "a frame cannot be encrypted"))
    }
}

fn open(
    operation: Operation,
    cipher: &ObjectCipher,
    key: &Key,
    frame: u64,
    stored: Bytes,
) -> Result<Bytes> {
    let mut content = Vec::from(stored);
    if cipher.open(frame, &mut content) {
        Ok(content.into())
    } else {
        Err(not_ours(operation, key, "a frame is not authentic"))
    }
}

/// The object of a whole content.
pub(super) fn whole(
    operation: Operation,
    keys: &EncryptionKeys,
    key: &Key,
    content: &[u8],
) -> Result<Bytes> {
    let size = content.len() as u64;
    let (header, cipher) = begin(operation, keys, key, size)?;
    let mut all = BytesMut::with_capacity(stored_len(size) as usize);
    all.extend_from_slice(&header);
    let mut pieces = content.chunks(FRAME as usize);
    for frame in 0..frames(size) {
        let piece = pieces.next().unwrap_or_default();
        all.extend_from_slice(&seal(&cipher, key, frame, piece)?);
    }
    Ok(all.freeze())
}

/// The content of a whole object.
pub(super) fn content_of(
    operation: Operation,
    keys: &EncryptionKeys,
    key: &Key,
    stored: &Bytes,
    size: u64,
) -> Result<Bytes> {
    let cipher = cipher_of(operation, keys, stored, key, size)?;
    let mut rest = stored.slice(HEADER..);
    let mut all = BytesMut::with_capacity(size as usize);
    for frame in 0..frames(size) {
        let next = rest.split_to(rest.len().min((FRAME + TAG) as usize));
        all.extend_from_slice(&open(operation, &cipher, key, frame, next)?);
    }
    Ok(all.freeze())
}

/// Bodies in memory of at most this size, in bytes, are encrypted in one piece.
const AT_ONCE: u64 = 256 * 1024;

struct Sealing {
    body: SizedBody,
    rest: Bytes,
    cipher: ObjectCipher,
    next: u64,
    key: Key,
}

/// The object of a body, as it streams.
pub(super) fn sealed(keys: &EncryptionKeys, key: &Key, body: SizedBody) -> Result<Body> {
    let size = body.declared();
    if let Some(content) = body.as_bytes().filter(|_| size <= AT_ONCE) {
        return whole(Operation::Put, keys, key, content).map(Body::from);
    }
    let (header, cipher) = begin(Operation::Put, keys, key, size)?;
    let sealing = Sealing {
        body,
        rest: Bytes::new(),
        cipher,
        next: 0,
        key: key.clone(),
    };
    let pieces = stream::try_unfold(sealing, move |mut this| async move {
        if this.next == frames(size) {
            return Ok(None);
        }
        let len = FRAME.min(size - this.next * FRAME) as usize;
        let mut content = BytesMut::with_capacity(len);
        loop {
            let room = len - content.len();
            content.extend_from_slice(&this.rest.split_to(room.min(this.rest.len())));
            // The last frame is given once the body has ended well.
            if content.len() == len && this.next + 1 < frames(size) {
                break;
            }
            match this.body.next().await.transpose()? {
                Some(piece) => this.rest = piece,
                None => break,
            }
        }
        let frame = seal(&this.cipher, &this.key, this.next, &content)?;
        this.next += 1;
        Ok::<_, Error>(Some((frame, this)))
    });
    let pieces = stream::iter([Ok(header)]).chain(pieces);
    Ok(Body::from_stream(pieces.boxed()).with_size(stored_len(size)))
}

/// The bytes in `range` of a content of `size` bytes. `reader` gives the frames from `first` on
/// that have them.
pub(super) fn opened(
    key: &Key,
    cipher: ObjectCipher,
    reader: ExactReader,
    size: u64,
    frames: Range<u64>,
    range: Range<u64>,
) -> Body {
    let len = range.end - range.start;
    let (key, end) = (key.clone(), frames.end);
    let pieces = stream::try_unfold(
        (reader, cipher, frames.start),
        move |(mut reader, cipher, frame)| {
            let (key, range) = (key.clone(), range.clone());
            async move {
                if frame == end {
                    reader.end().await?;
                    return Ok(None);
                }
                let from = frame * FRAME;
                let stored = FRAME.min(size - from) + TAG;
                let stored = reader.take(stored as usize).await?;
                let content = open(Operation::Get, &cipher, &key, frame, stored)?;
                let to = from + content.len() as u64;
                let cut = range.start.clamp(from, to) - from..range.end.clamp(from, to) - from;
                let cut = content.slice(cut.start as usize..cut.end as usize);
                Ok::<_, Error>(Some((cut, (reader, cipher, frame + 1))))
            }
        },
    );
    // The only frame of an empty content has none.
    let pieces = pieces.try_filter(|piece| future::ready(!piece.is_empty()));
    Body::from_stream(pieces.boxed()).with_size(len)
}
