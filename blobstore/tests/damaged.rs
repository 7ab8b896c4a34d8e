//! Objects whose size alone tells that they are not the blob: a program that did not sync before a
//! power cut leaves empty files, and such a file once went out as a blob, with a strong entity tag.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, header};
use storehouse_blobstore::http::respond;
use storehouse_blobstore::{
    BlobStore, Digest, HashFunction, KeyEncoder, KnownSizes, ListBlobs, PlainKeys, PutBlob,
    PutOutcome, S3Keys, Scrub, ScrubOutcome,
};
use storehouse_objectstore::{Memory, ObjectStoreExt};
use support::in_pieces;

const BLOB: &[u8] = b"a blob";

async fn emptied<E: KeyEncoder>(keys: E, function: HashFunction) -> (BlobStore<Memory, E>, Digest) {
    let blobs = BlobStore::new(Memory::new(), keys);
    let digest = Digest::of(function, BLOB);
    let key = blobs.key(&digest).unwrap();
    blobs.store().put(&key, Bytes::new()).await.unwrap();
    (blobs, digest)
}

#[tokio::test]
async fn no_reader_takes_an_empty_object_for_a_blob() {
    for function in HashFunction::ALL {
        let (blobs, digest) = emptied(PlainKeys, function).await;
        let wrong = |error: storehouse_blobstore::Error| {
            assert!(error.is_damaged(), "{error}");
            assert!(error.to_string().contains(&digest.to_string()), "{error}");
        };
        wrong(blobs.get(&digest).await.unwrap_err());
        // A range of nothing cannot be satisfied, but that is not what is wrong here.
        wrong(blobs.get_range(&digest, 0..3).await.unwrap_err());
        wrong(blobs.head(&digest).await.unwrap_err());
        assert!(!blobs.exists(&digest).await.unwrap());
        let listed: Vec<_> = blobs
            .list(ListBlobs::default())
            .try_collect()
            .await
            .unwrap();
        assert!(listed.len() == 1 && listed[0].damaged, "{listed:?}");
        assert!(
            blobs
                .verify(&digest)
                .await
                .unwrap_err()
                .is_data_inconsistent()
        );
        let scrubbed: Vec<_> = blobs.scrub(Scrub::default()).try_collect().await.unwrap();
        assert!(matches!(scrubbed[0].outcome, ScrubOutcome::Damaged { .. }));
    }
}

#[tokio::test]
async fn http_gives_no_answer_with_a_tag() {
    let (blobs, digest) = emptied(PlainKeys, HashFunction::Sha2_256).await;
    for (name, value) in [
        (header::ACCEPT, "*/*".to_owned()),
        (header::RANGE, "bytes=0-1".to_owned()),
        (header::RANGE, "bytes=-1".to_owned()),
        (header::IF_NONE_MATCH, format!("\"{digest}\"")),
        (header::IF_MATCH, "\"other\"".to_owned()),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
            let error = respond(&blobs, &digest, &method, &headers)
                .await
                .unwrap_err();
            assert!(error.is_damaged(), "{method} {name}: {value}: {error}");
        }
    }
}

#[tokio::test]
async fn a_put_heals_it() {
    for streamed in [false, true] {
        let (blobs, digest) = emptied(PlainKeys, HashFunction::Sha2_256).await;
        let body = if streamed {
            in_pieces(BLOB, 2)
        } else {
            BLOB.into()
        };
        let size = PutBlob::default().size(BLOB.len() as u64);
        assert_eq!(
            blobs.put_opts(&digest, body, size).await.unwrap(),
            PutOutcome::Stored
        );
        let blob = blobs.get(&digest).await.unwrap();
        assert_eq!(blob.body.collect(100).await.unwrap(), BLOB);
    }
}

#[tokio::test]
async fn a_put_that_declares_no_bytes_is_not_that_blob_either() {
    // It once found the empty object there, of the size that it declared, and was content.
    let (blobs, digest) = emptied(PlainKeys, HashFunction::Sha2_256).await;
    let put = blobs.put(&digest, Bytes::new()).await;
    assert!(put.unwrap_err().is_data_inconsistent());
    // And nothing but no bytes is the empty blob.
    let empty = Digest::of(HashFunction::Sha2_256, b"");
    assert!(
        blobs
            .put(&empty, "x")
            .await
            .unwrap_err()
            .is_data_inconsistent()
    );
    assert_eq!(
        blobs.put(&empty, Bytes::new()).await.unwrap(),
        PutOutcome::Stored
    );
    assert_eq!(blobs.get(&empty).await.unwrap().size, 0);
}

#[tokio::test]
async fn the_whole_one_under_the_legacy_key_is_found() {
    let (blobs, digest) = emptied(S3Keys, HashFunction::Sha2_256).await;
    assert!(blobs.get(&digest).await.unwrap_err().is_damaged());
    let legacy = S3Keys.encode_legacy(&digest).unwrap().unwrap();
    blobs.store().put(&legacy, BLOB).await.unwrap();
    let blob = blobs.get(&digest).await.unwrap();
    assert_eq!(blob.body.collect(100).await.unwrap(), BLOB);
    assert_eq!(blobs.head(&digest).await.unwrap().key, legacy);
}

#[tokio::test]
async fn of_an_unknown_function_nothing_is_certain() {
    let blobs = BlobStore::new(Memory::new(), PlainKeys);
    let digest = Digest::from_bytes([0x11, 2, 1, 2]).unwrap();
    let key = blobs.key(&digest).unwrap();
    blobs.store().put(&key, Bytes::new()).await.unwrap();
    assert_eq!(blobs.get(&digest).await.unwrap().size, 0);
}

/// Knows that the blob has six bytes.
#[derive(Debug)]
struct Six;

impl KnownSizes for Six {
    fn rule_out<'a>(&'a self, _: &'a Digest, size: u64) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(size != BLOB.len() as u64))
    }
}

#[tokio::test]
async fn a_size_that_is_known_from_elsewhere_rules_an_object_out() {
    let plain = BlobStore::new(Memory::new(), PlainKeys);
    let digest = Digest::of(HashFunction::Sha2_256, BLOB);
    let key = plain.key(&digest).unwrap();
    plain.store().put(&key, &BLOB[..4]).await.unwrap();
    assert_eq!(plain.get(&digest).await.unwrap().size, 4);

    let blobs = plain.clone().with_known_sizes(Arc::new(Six));
    assert!(blobs.get(&digest).await.unwrap_err().is_damaged());
    assert!(
        blobs
            .get_range(&digest, 1..2)
            .await
            .unwrap_err()
            .is_damaged()
    );
    assert!(
        blobs
            .get_range(&digest, 5..6)
            .await
            .unwrap_err()
            .is_damaged()
    );
    assert!(blobs.head(&digest).await.unwrap_err().is_damaged());
    assert!(!blobs.exists(&digest).await.unwrap());
    let listed: Vec<_> = blobs
        .list(ListBlobs::default())
        .try_collect()
        .await
        .unwrap();
    assert!(listed.len() == 1 && listed[0].damaged, "{listed:?}");
    let headers = HeaderMap::new();
    let answer = respond(&blobs, &digest, &Method::GET, &headers).await;
    assert!(answer.unwrap_err().is_damaged());

    assert_eq!(blobs.put(&digest, BLOB).await.unwrap(), PutOutcome::Stored);
    assert_eq!(blobs.get(&digest).await.unwrap().size, 6);
    assert!(blobs.exists(&digest).await.unwrap());
}
