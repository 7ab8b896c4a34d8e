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
