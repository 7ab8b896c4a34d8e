//! What several test files need.
#![allow(
    dead_code,
    reason = "each test file is its own crate and uses its own part"
)]

mod watched;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use storehouse_blobstore::{BlobInfo, BlobStore, Digest, HashFunction, KeyEncoder, ListBlobs};
use storehouse_objectstore::{Body, Entry, ListOptions, ObjectStore};
#[allow(unused_imports, reason = "as above")]
pub(crate) use watched::{Counts, Watched};

/// A blob that Piri wrote.
pub(crate) struct Vector {
    pub(crate) digest: String,
    pub(crate) size: u64,
    pub(crate) flatfs_key: String,
    pub(crate) s3_key: String,
}

impl Vector {
    pub(crate) fn digest(&self) -> Digest {
        self.digest.parse().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // flatfs and S3 lay blobs out alike.
        std::fs::read(vectors_dir().join("datastore").join(&self.s3_key)).unwrap()
    }
}

pub(crate) fn vectors_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/piri")
}

pub(crate) fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(vectors_dir().join("blobs.json")).unwrap();
    let json: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(json.len(), 26);
    let text = |blob: &serde_json::Value, name: &str| blob[name].as_str().unwrap().to_owned();
    json.iter()
        .map(|blob| Vector {
            digest: text(blob, "digest"),
            size: blob["size"].as_u64().unwrap(),
            flatfs_key: text(blob, "flatfs_key"),
            s3_key: text(blob, "s3_key"),
        })
        .collect()
}

pub(crate) fn any_function() -> impl Strategy<Value = HashFunction> {
    prop::sample::select(HashFunction::ALL.to_vec())
}

/// A body that comes in pieces of `piece` bytes and does not know its size.
pub(crate) fn in_pieces(bytes: &[u8], piece: usize) -> Body {
    let pieces: Vec<_> = bytes
        .chunks(piece)
        .map(Bytes::copy_from_slice)
        .map(Ok::<_, std::io::Error>)
        .collect();
    Body::from_stream(stream::iter(pieces))
}

/// `len` bytes that no compression or shift maps onto themselves.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// All keys in the object store, blobs' or not.
pub(crate) async fn all_keys(store: &impl ObjectStore) -> Vec<String> {
    let entries: Vec<Entry> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    entries
        .into_iter()
        .map(|entry| entry.key.to_string())
        .collect()
}

pub(crate) async fn all_blobs<S: ObjectStore, E: KeyEncoder>(
    blobs: &BlobStore<S, E>,
    options: ListBlobs,
) -> Vec<BlobInfo> {
    blobs.list(options).map(Result::unwrap).collect().await
}
