//! What several tests use: the vectors.

#![allow(dead_code)]

use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) fn vectors() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors"))
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(vectors().join(name)).unwrap()).unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes and decoded fields of every record of a kind, checked against the index.
pub(crate) fn records(kind: &str) -> Vec<(Bytes, Value)> {
    let index = json("index.json");
    let records: Vec<_> = index["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["kind"] == kind)
        .map(|record| {
            let bytes = std::fs::read(vectors().join(record["file"].as_str().unwrap())).unwrap();
            assert_eq!(sha256(&bytes), record["sha256"].as_str().unwrap());
            (bytes.into(), record["fields"].clone())
        })
        .collect();
    assert!(!records.is_empty(), "{kind}");
    records
}

/// Key and SHA-256 of every record in a list of `leveldb.json` or `s3.json`.
pub(crate) fn listed(file: &str, name: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    json(file)[name]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (text(&record["key"]), text(&record["sha256"])))
        .collect()
}

/// Spaces whose DIDs have every character that a method's own encoding may leave as it is: each is
/// found under its own key, and listed.
pub(crate) async fn spaces_round_trip<S: storehouse_objectstore::ObjectStore>(
    store: S,
    layout: &storehouse_stores::Layout,
) {
    use futures_util::TryStreamExt;
    use storehouse_blobstore::HashFunction;
    use storehouse_stores::{Allocation, AllocationStore, BlobRef, Did};

    let store = AllocationStore::new(store, layout);
    let digest = storehouse_blobstore::Digest::of(HashFunction::Sha2_256, b"hello");
    let mut spaces: Vec<Did> = [
        "did:mailto:example.com:o'brien",
        "did:mailto:example.com:jane+tag",
        "did:mailto:example.com:jane%20tag",
        "did:mailto:example.com:jane@home",
        "did:mailto:example.com:!~*'()$&,=",
        "did:web:localhost%3A3000",
    ]
    .iter()
    .map(|text| text.parse().unwrap())
    .collect();
    spaces.extend(
        "!~*'()$&,=+@"
            .chars()
            .map(|c| format!("did:x:a{c}b").parse().unwrap()),
    );
    spaces.sort();
    for (expires, space) in (1..).zip(&spaces) {
        let allocation = Allocation {
            space: space.clone(),
            blob: BlobRef {
                digest: digest.clone(),
                size: 5,
            },
            expires,
            cause: storehouse_formats::car::dag_cbor_cid_of(b""),
        };
        store.put(&allocation).await.unwrap();
        assert_eq!(store.get(&digest, space).await.unwrap(), allocation);
    }
    for (expires, space) in (1..).zip(&spaces) {
        assert_eq!(store.get(&digest, space).await.unwrap().expires, expires);
    }
    let mut listed: Vec<Did> = store
        .list(Some(&digest))
        .map_ok(|allocation| allocation.space)
        .try_collect()
        .await
        .unwrap();
    listed.sort();
    assert_eq!(listed, spaces);
    for space in &spaces {
        store.delete(&digest, space).await.unwrap();
        assert!(store.get(&digest, space).await.unwrap_err().is_not_found());
    }
}
