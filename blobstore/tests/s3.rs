//! Blobs on an S3 server: in this process, or the one that the environment names (see
//! CONTRIBUTING).

#[path = "../../objectstore/s3/tests/support/mod.rs"]
mod s3;
mod support;

use std::time::Duration;

use futures_util::TryStreamExt;
use s3::Server;
use storehouse_blobstore::{
    BlobStore, Digest, HashFunction, KeyEncoder, ListBlobs, PutBlob, PutOutcome, S3Keys, Scrub,
    ScrubOutcome, Scrubbed,
};
use storehouse_objectstore::{Body, ObjectStore, ObjectStoreExt};
use storehouse_s3::S3;
use support::{all_blobs, all_keys, in_pieces, noise, vectors};

const MIB: usize = 1 << 20;

async fn blobs(server: &Server) -> BlobStore<S3, S3Keys> {
    BlobStore::new(server.store().await, S3Keys)
}

/// The methods of the requests since the last call, each with the query's name if it has one.
fn requests(server: &Server) -> Vec<String> {
    let short = |request: &String| {
        let (method, url) = request.split_once(' ').unwrap();
        let query = url
            .split_once('?')
            .map(|(_, query)| query.split(['=', '&']).next().unwrap());
        query.map_or(method.to_owned(), |query| format!("{method}?{query}"))
    };
    server.take_requests().iter().map(short).collect()
}

fn sized(bytes: &[u8]) -> PutBlob {
    PutBlob::default().size(bytes.len() as u64)
}

#[tokio::test]
async fn each_operation_takes_the_requests_it_needs_and_no_more() {
    let server = Server::in_process().await;
    let blobs = blobs(&server).await;
    let capabilities = blobs.store().capabilities();
    assert!(
        capabilities.create && capabilities.remote,
        "{capabilities:?}"
    );
    requests(&server);
    for (len, put, again) in [
        (0, &["PUT"][..], &["PUT", "HEAD"][..]),
        (1000, &["PUT"], &["PUT", "HEAD"]),
        (MIB, &["PUT"], &["PUT", "HEAD"]),
        (MIB + 1, &["HEAD", "PUT"], &["HEAD"]),
        // More than one part, were it not for the digest.
        (12 * MIB, &["HEAD", "PUT"], &["HEAD"]),
    ] {
        for piece in [None, Some(100_000)] {
            let bytes = noise(len, 1);
            let digest = Digest::of(HashFunction::Sha2_256, &bytes);
            let body = || {
                piece.map_or_else(
                    || Body::from(bytes.clone()),
                    |piece| in_pieces(&bytes, piece),
                )
            };
            assert_eq!(
                blobs
                    .put_opts(&digest, body(), sized(&bytes))
                    .await
                    .unwrap(),
                PutOutcome::Stored
            );
            assert_eq!(requests(&server), put, "put {len} {piece:?}");
            assert_eq!(
                blobs
                    .put_opts(&digest, body(), sized(&bytes))
                    .await
                    .unwrap(),
                PutOutcome::AlreadyExists
            );
            assert_eq!(requests(&server), again, "put {len} {piece:?} again");
            assert_eq!(
                blobs
                    .put_opts(&digest, body(), sized(&bytes).replace(true))
                    .await
                    .unwrap(),
                PutOutcome::Stored
            );
            assert_eq!(requests(&server), ["PUT"], "replace {len} {piece:?}");
            let blob = blobs.get(&digest).await.unwrap();
            assert_eq!(blob.body.collect(u64::MAX).await.unwrap(), bytes);
            assert_eq!(requests(&server), ["GET"], "get {len}");
            assert_eq!(blobs.head(&digest).await.unwrap().size, len as u64);
            assert_eq!(requests(&server), ["HEAD"], "head {len}");
            blobs.delete(&digest).await.unwrap();
            assert_eq!(
                requests(&server),
                ["POST?delete"],
                "delete {len}, with the legacy key"
            );
        }
    }
}

#[tokio::test]
async fn blobs_lie_where_piri_looks_for_them_and_come_back() {
    let server = Server::start().await;
    let blobs = blobs(&server).await;
    for vector in vectors() {
        blobs
            .put_opts(
                &vector.digest(),
                in_pieces(&vector.bytes(), 10_000),
                PutBlob::default().size(vector.size),
            )
            .await
            .unwrap();
    }
    let mut expected: Vec<_> = vectors().into_iter().map(|vector| vector.s3_key).collect();
    expected.sort();
    assert_eq!(all_keys(blobs.store()).await, expected);
    for vector in vectors() {
        let blob = blobs.get(&vector.digest()).await.unwrap();
        assert_eq!(
            blob.body.collect(vector.size).await.unwrap(),
            vector.bytes()
        );
    }
    let listed = all_blobs(&blobs, ListBlobs::default()).await;
    assert_eq!(
        listed
            .iter()
            .map(|blob| blob.key.to_string())
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        all_blobs(
            &blobs,
            ListBlobs::default().start_after(listed[10].key.clone())
        )
        .await,
        listed[11..]
    );
    let report: Vec<Scrubbed> = blobs.scrub(Scrub::default()).try_collect().await.unwrap();
    assert_eq!(report.len(), 26);
    assert!(
        report
            .iter()
            .all(|item| matches!(item.outcome, ScrubOutcome::Intact))
    );
    s3::remove(blobs.store()).await;
}

#[tokio::test]
async fn a_blob_where_an_older_piri_put_it_is_found_listed_and_deleted() {
    let server = Server::start().await;
    let blobs = blobs(&server).await;
    let (old, new) = (&vectors()[0], &vectors()[2]);
    let legacy = S3Keys.encode_legacy(&old.digest()).unwrap().unwrap();
    blobs.store().put(&legacy, old.bytes()).await.unwrap();
    blobs.put(&new.digest(), new.bytes()).await.unwrap();

    let blob = blobs.get_range(&old.digest(), 1..).await.unwrap();
    assert_eq!(blob.body.collect(100).await.unwrap(), old.bytes()[1..]);
    assert_eq!(blobs.head(&old.digest()).await.unwrap().key, legacy);
    blobs.verify(&old.digest()).await.unwrap();
    let listed = all_blobs(&blobs, ListBlobs::default()).await;
    assert_eq!(
        listed
            .iter()
            .map(|blob| blob.digest.clone())
            .collect::<Vec<_>>(),
        [old.digest(), new.digest()]
    );
    // Under both keys it is still one blob, and gone when it is deleted.
    blobs.put(&old.digest(), old.bytes()).await.unwrap();
    assert_eq!(all_blobs(&blobs, ListBlobs::default()).await.len(), 2);
    blobs.delete(&old.digest()).await.unwrap();
    assert!(!blobs.exists(&old.digest()).await.unwrap());
    assert_eq!(all_keys(blobs.store()).await, [new.s3_key.as_str()]);
    s3::remove(blobs.store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_blob_leaves_no_object_and_no_upload() {
    let server = Server::start().await;
    let blobs = blobs(&server).await;
    // In one piece, gathered by the store, in one streamed request, and in parts.
    for len in [1, 70_000, 3 * MIB, 12 * MIB] {
        let (right, mut wrong) = (noise(len, 1), noise(len, 1));
        wrong[len / 2] ^= 1;
        for function in [HashFunction::Sha2_256, HashFunction::Blake3] {
            let digest = Digest::of(function, &right);
            let longer = [right.as_slice(), b"!"].concat();
            for (body, what) in [
                (&wrong[..], "does not match"),
                (&right[..len - 1], "ended after"),
                (&longer[..], "is larger than"),
            ] {
                let error = blobs
                    .put_opts(&digest, in_pieces(body, 90_000), sized(&right))
                    .await
                    .unwrap_err();
                assert!(
                    error.to_string().contains(what),
                    "{function} {len}: {error:?}"
                );
            }
            assert!(blobs.get(&digest).await.unwrap_err().is_not_found());
        }
    }
    assert!(all_keys(blobs.store()).await.is_empty());
    // The server takes a moment to notice that a connection was cut.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !server.leftovers(blobs.store()).await.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "left behind: {:?}",
            server.leftovers(blobs.store()).await
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The server refuses to remove a bucket with anything in it.
    s3::remove(blobs.store()).await;
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_written_again_whether_or_not_the_server_honours_conditions() {
    let server = Server::start().await;
    let blobs = blobs(&server).await;
    for len in [5, 70_000, MIB, MIB + 1] {
        let bytes = noise(len, 5);
        for function in HashFunction::ALL {
            let digest = Digest::of(function, &bytes);
            for (body, outcome) in [
                (in_pieces(&bytes, 30_000), PutOutcome::Stored),
                (in_pieces(&bytes, 30_000), PutOutcome::AlreadyExists),
                (bytes.clone().into(), PutOutcome::AlreadyExists),
            ] {
                assert_eq!(
                    blobs.put_opts(&digest, body, sized(&bytes)).await.unwrap(),
                    outcome,
                    "{function} {len}"
                );
            }
            blobs.verify(&digest).await.unwrap();
        }
    }
    s3::remove(blobs.store()).await;
}
