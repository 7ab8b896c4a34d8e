//! Adding bytes whose digest and size are not known beforehand.

mod support;

use std::io;

use futures_util::{StreamExt, stream};
use storehouse_blobstore::{
    AddBlob, BlobStore, Digest, Error, HashFunction, PlainKeys, PutOutcome,
};
use storehouse_objectstore::{Body, Memory};
use support::{all_keys, in_pieces, noise};

fn blobs() -> BlobStore<Memory, PlainKeys> {
    BlobStore::new(Memory::new(), PlainKeys)
}

/// Nothing, within memory, its last byte, the first past it, and several batches of a spool.
const SIZES: [usize; 6] = [0, 1, 1000, 1001, 5000, 3 << 20];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_files_and_streams_are_found_under_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    for len in SIZES {
        let bytes = noise(len, 5);
        let path = dir.path().join("body");
        std::fs::write(&path, &bytes).unwrap();
        for function in HashFunction::ALL {
            let digest = Digest::of(function, &bytes);
            for body in [
                Body::from(bytes.clone()),
                Body::from_path(&path).await.unwrap(),
                in_pieces(&bytes, 333),
            ] {
                let blobs = blobs();
                let spool = dir.path().join("spool");
                std::fs::create_dir_all(&spool).unwrap();
                let options = AddBlob::default()
                    .function(function)
                    .memory(1000)
                    .spool(&spool);
                let added = blobs.add_opts(body, options).await.unwrap();
                assert_eq!((&added.digest, added.size), (&digest, len as u64));
                assert_eq!(added.outcome, PutOutcome::Stored);
                let blob = blobs.get(&digest).await.unwrap();
                assert_eq!(blob.body.collect(u64::MAX).await.unwrap(), bytes);
                assert_eq!(
                    std::fs::read_dir(&spool).unwrap().count(),
                    0,
                    "a name in the spool"
                );
                let again =
                    blobs.add_opts(in_pieces(&bytes, 77), AddBlob::default().function(function));
                assert_eq!(again.await.unwrap().outcome, PutOutcome::AlreadyExists);
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_stores_nothing() {
    for before in [0, 10, 2000] {
        let blobs = blobs();
        let pieces = stream::repeat_with(|| Ok("0123456789".into())).take(before / 10);
        let failing = pieces.chain(stream::iter([Err(io::Error::other("the source broke"))]));
        let options = AddBlob::default().memory(100);
        let error = blobs
            .add_opts(Body::from_stream(failing), options)
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("add"), "{error}");
        assert!(all_keys(blobs.store()).await.is_empty());
    }
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let blobs = blobs();
    let endless = Body::from_stream(stream::repeat_with(|| io::Result::Ok("0123456789".into())));
    let options = AddBlob::default().memory(100).limit(1000);
    let error = blobs.add_opts(endless, options).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 1000, .. }),
        "{error}"
    );
    let exact = in_pieces(&noise(1000, 1), 10);
    blobs
        .add_opts(exact, AddBlob::default().limit(1000))
        .await
        .unwrap();
    assert_eq!(all_keys(blobs.store()).await.len(), 1);
}

#[tokio::test]
async fn a_spool_that_is_not_there_is_named() {
    let options = AddBlob::default().memory(10).spool("/nowhere/at/all");
    let error = blobs()
        .add_opts(in_pieces(&noise(100, 1), 10), options)
        .await
        .unwrap_err();
    let mut chain = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    assert!(chain.contains("/nowhere/at/all"), "{chain}");
}
