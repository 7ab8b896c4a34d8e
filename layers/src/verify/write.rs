//! Content becomes an object of the inner store.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use sha2::{Digest, Sha256};
use storehouse_objectstore::{Body, Error, Key, Result, SizedBody};

use super::tree::{Trailer, TreeHasher, stored_len};

/// Bodies in memory of at most this size, in bytes, are joined with what follows them.
const JOINED: u64 = 256 * 1024;

/// What is hashed while a body passes.
struct Hashing {
    tree: TreeHasher,
    sha256: Option<(Sha256, [u8; 32])>,
    outboards: bool,
    size: u64,
}

impl Hashing {
    fn update(&mut self, piece: &[u8]) {
        self.tree.update(piece);
        if let Some((hasher, _)) = &mut self.sha256 {
            hasher.update(piece);
        }
    }

    /// What stands behind the content.
    fn finish(self, key: &Key) -> Result<Bytes> {
        if let Some((hasher, declared)) = self.sha256
            && <[u8; 32]>::from(hasher.finalize()) != declared
        {
            return Err(Error::ChecksumMismatch { key: key.clone() });
        }
        let (mut all, hash) = self.tree.finish();
        if !self.outboards {
            all.clear();
        }
        let trailer = Trailer {
            size: self.size,
            outboards: self.outboards,
            hash,
        };
        all.extend_from_slice(&trailer.to_bytes());
        Ok(all.into())
    }
}

/// The object of a whole content.
pub(super) fn whole(
    key: &Key,
    content: &[u8],
    outboards: bool,
    sha256: Option<[u8; 32]>,
) -> Result<Bytes> {
    let size = content.len() as u64;
    let mut hashing = Hashing {
        tree: TreeHasher::new(size),
        sha256: sha256.map(|declared| (Sha256::new(), declared)),
        outboards,
        size,
    };
    hashing.update(content);
    let behind = hashing.finish(key)?;
    let mut all = BytesMut::with_capacity(content.len() + behind.len());
    all.extend_from_slice(content);
    all.extend_from_slice(&behind);
    Ok(all.freeze())
}

/// The object of a body, as it streams.
pub(super) fn streamed(
    key: &Key,
    body: SizedBody,
    outboards: bool,
    sha256: Option<[u8; 32]>,
) -> Result<Body> {
    let size = body.declared();
    if let Some(bytes) = body.as_bytes().filter(|_| size <= JOINED) {
        return whole(key, bytes, outboards, sha256).map(Body::from);
    }
    let hashing = Hashing {
        tree: TreeHasher::new(size),
        sha256: sha256.map(|declared| (Sha256::new(), declared)),
        outboards,
        size,
    };
    let key = key.clone();
    let state = Some((body, hashing));
    let pieces = stream::try_unfold(state, move |state| {
        let key = key.clone();
        async move {
            let Some((mut body, mut hashing)) = state else {
                return Ok(None);
            };
            match body.next().await.transpose()? {
                Some(piece) => {
                    hashing.update(&piece);
                    Ok::<_, Error>(Some((piece, Some((body, hashing)))))
                }
                None => Ok(Some((hashing.finish(&key)?, None))),
            }
        }
    });
    Ok(Body::from_stream(pieces).with_size(stored_len(size, outboards)))
}
