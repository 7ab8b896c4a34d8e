//! Putting: what is stored, what is refused, and that a refusal leaves nothing behind.

mod support;

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use proptest::prelude::*;
use storehouse_blobstore::{
    BlobStore, Digest, Error, FlatfsKeys, HashFunction, PlainKeys, PutBlob, PutOutcome,
};
use storehouse_objectstore::{self as objectstore, Body, ErrorClass, Memory, ObjectStoreExt};
use support::{all_keys, any_function, in_pieces, noise};

const MIB: usize = 1 << 20;

fn memory() -> BlobStore<Memory, PlainKeys> {
    BlobStore::new(Memory::new(), PlainKeys)
}

async fn read(blobs: &BlobStore<Memory, PlainKeys>, digest: &Digest) -> Bytes {
    blobs
        .get(digest)
        .await
        .unwrap()
        .body
        .collect(u64::MAX)
        .await
        .unwrap()
}

fn sized(bytes: &[u8]) -> PutBlob {
    PutBlob::default().size(bytes.len() as u64)
}

/// Sizes around every boundary of the way a body takes: verified beforehand or while it streams,
/// hashed on the spot or elsewhere.
const SIZES: [(usize, &str); 9] = [
    (0, "nothing"),
    (1, "one byte"),
    (4096, "the last tiny piece"),
    (65_536, "the last that is hashed on the spot"),
    (65_537, "the first that is not"),
    (262_144, "a whole batch"),
    (MIB, "the last that is verified beforehand, if in memory"),
    (MIB + 1, "the first that streams in any case"),
    (5 * MIB, "more than may wait"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_blobs_are_stored_and_read_back() {
    for (len, why) in SIZES {
        let bytes = noise(len, 7);
        for function in HashFunction::ALL {
            let digest = Digest::of(function, &bytes);
            for body in [
                Body::from(bytes.clone()),
                in_pieces(&bytes, 300_001),
                in_pieces(&bytes, 8 * MIB),
            ] {
                let blobs = memory();
                assert_eq!(
                    blobs.put_opts(&digest, body, sized(&bytes)).await.unwrap(),
                    PutOutcome::Stored,
                    "{why}"
                );
                assert_eq!(read(&blobs, &digest).await, bytes, "{why}");
                blobs.verify(&digest).await.unwrap();
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Cut,
    Grow,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_damaged_body_is_refused_and_leaves_nothing(
        function in any_function(), len in 1usize..400_000, piece in 1000usize..200_000, at in any::<prop::sample::Index>(),
        bit in 0u8..8, damage in prop::sample::select(vec![Damage::Flip, Damage::Cut, Damage::Grow]), in_memory in any::<bool>(),
    ) {
        let mut bytes = noise(len, 3);
        let (digest, declared) = (Digest::of(function, &bytes), sized(&bytes));
        match damage {
            Damage::Flip => bytes[at.index(len)] ^= 1 << bit,
            Damage::Cut => bytes.truncate(at.index(len)),
            Damage::Grow => bytes.push(0),
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let blobs = memory();
            let body = if in_memory { bytes.clone().into() } else { in_pieces(&bytes, piece) };
            let error = blobs.put_opts(&digest, body, declared).await.unwrap_err();
            match (damage, &error) {
                (Damage::Flip, Error::DataInconsistent { actual: Some(actual), .. }) => assert_eq!(*actual, Digest::of(function, &bytes)),
                (Damage::Cut, Error::TooSmall { declared, received, .. }) => assert_eq!((*declared, *received), (len as u64, bytes.len() as u64)),
                (Damage::Grow, Error::TooLarge { limit, .. }) => assert_eq!(*limit, len as u64),
                other => panic!("{other:?}"),
            }
            assert_eq!(error.class(), ErrorClass::InvalidInput);
            assert!(all_keys(blobs.store()).await.is_empty());
        });
    }
}

#[tokio::test]
async fn a_damaged_large_body_is_refused_while_it_streams() {
    let bytes = noise(3 * MIB, 1);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    for at in [0, MIB, 3 * MIB - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        for body in [Body::from(damaged.clone()), in_pieces(&damaged, 100_000)] {
            let blobs = memory();
            assert!(
                blobs
                    .put_opts(&digest, body, sized(&bytes))
                    .await
                    .unwrap_err()
                    .is_data_inconsistent()
            );
            assert!(all_keys(blobs.store()).await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_refused_with_the_first_byte_too_many() {
    let blobs = memory();
    let endless = Body::from_stream(stream::repeat_with(|| {
        Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1000]))
    }));
    let error = blobs
        .put_opts(
            &Digest::of(HashFunction::Sha2_256, b"another"),
            endless,
            PutBlob::default().size(10_000),
        )
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 10_000, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused_before_anything_is_read() {
    let blobs = memory();
    let unread = || {
        Body::from_stream(stream::poll_fn(
            |_| -> std::task::Poll<Option<std::io::Result<Bytes>>> { panic!("read") },
        ))
    };
    let unknown: Digest = "f1114aabbccddeeff00112233445566778899aabbccdd"
        .parse()
        .unwrap();
    let error = blobs
        .put_opts(&unknown, unread(), PutBlob::default().size(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::UnknownHash { code: 0x11, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("unknown hash function 0x11"),
        "{error}"
    );
    let truncated: Digest = "f1202aabb".parse().unwrap();
    let error = blobs
        .put_opts(&truncated, unread(), PutBlob::default().size(1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::HashLength { len: 2, .. }),
        "{error:?}"
    );
    let digest = Digest::of(HashFunction::Sha2_256, b"");
    let error = blobs.put(&digest, unread()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Store {
                source: objectstore::Error::InvalidRequest { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let error = blobs
        .put_opts(&digest, unread(), PutBlob::default().size(u64::MAX))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
    let error = blobs
        .put_opts(&digest, unread().with_size(3), PutBlob::default().size(2))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 2, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_body_that_fails_says_so_and_leaves_nothing() {
    let bytes = noise(2 * MIB, 1);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    for good in [0, 1, 20] {
        let mut pieces: Vec<_> = bytes
            .chunks(100_000)
            .take(good)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        pieces.push(Err(std::io::Error::other("the cable was pulled")));
        let blobs = memory();
        let error = blobs
            .put_opts(
                &digest,
                Body::from_stream(stream::iter(pieces)),
                sized(&bytes),
            )
            .await
            .unwrap_err();
        let Error::Store {
            source: objectstore::Error::Body { source, .. },
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(source.to_string(), "the cable was pulled");
        assert!(all_keys(blobs.store()).await.is_empty());
    }
}

#[tokio::test]
async fn a_put_that_is_dropped_leaves_nothing() {
    let bytes = noise(2 * MIB, 1);
    let digest = Digest::of(HashFunction::Blake3, &bytes);
    for good in 0..=20 {
        let blobs = memory();
        // The rest never comes; with all 20 pieces given, what is missing is the end.
        let start: Vec<_> = bytes
            .chunks(bytes.len().div_ceil(20))
            .take(good)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let body = Body::from_stream(
            stream::iter(start).chain(stream::pending::<std::io::Result<Bytes>>()),
        );
        let mut put = Box::pin(blobs.put_opts(&digest, body, sized(&bytes)));
        assert!(
            tokio::time::timeout(Duration::from_millis(5), &mut put)
                .await
                .is_err()
        );
        drop(put);
        assert!(all_keys(blobs.store()).await.is_empty());
    }
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_read_again_unless_asked() {
    for len in [100, 2 * MIB] {
        let (blobs, bytes) = (memory(), noise(len, 1));
        let digest = Digest::of(HashFunction::Sha2_256, &bytes);
        assert_eq!(
            blobs.put(&digest, bytes.clone()).await.unwrap(),
            PutOutcome::Stored
        );
        let first = blobs
            .store()
            .head(&blobs.key(&digest).unwrap())
            .await
            .unwrap()
            .etag;
        let unread = Body::from_stream(stream::poll_fn(
            |_| -> std::task::Poll<Option<std::io::Result<Bytes>>> { panic!("read") },
        ));
        assert_eq!(
            blobs
                .put_opts(&digest, unread, sized(&bytes))
                .await
                .unwrap(),
            PutOutcome::AlreadyExists
        );
        assert_eq!(
            blobs
                .store()
                .head(&blobs.key(&digest).unwrap())
                .await
                .unwrap()
                .etag,
            first
        );
        assert_eq!(
            blobs
                .put_opts(&digest, bytes, PutBlob::default().replace(true))
                .await
                .unwrap(),
            PutOutcome::Stored
        );
        assert_ne!(
            blobs
                .store()
                .head(&blobs.key(&digest).unwrap())
                .await
                .unwrap()
                .etag,
            first
        );
    }
}

#[tokio::test]
async fn a_blob_that_lost_its_end_is_replaced_by_the_whole_one_and_by_nothing_else() {
    let (blobs, bytes) = (memory(), noise(5000, 1));
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    let key = blobs.key(&digest).unwrap();
    blobs
        .store()
        .put(&key, bytes[..4096].to_vec())
        .await
        .unwrap();
    // A wrong size declared for what would be the right bytes, and the right size for wrong bytes:
    // what is there stays.
    assert!(matches!(
        blobs
            .put_opts(
                &digest,
                in_pieces(&bytes, 500),
                PutBlob::default().size(4999)
            )
            .await,
        Err(Error::TooLarge { .. })
    ));
    assert!(
        blobs
            .put(&digest, noise(5000, 2))
            .await
            .unwrap_err()
            .is_data_inconsistent()
    );
    assert_eq!(read(&blobs, &digest).await, bytes[..4096]);
    assert_eq!(
        blobs.put(&digest, bytes.clone()).await.unwrap(),
        PutOutcome::Stored
    );
    assert_eq!(read(&blobs, &digest).await, bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn puts_of_one_blob_at_once_all_succeed() {
    let (blobs, bytes) = (memory(), noise(300_000, 1));
    let digest = Digest::of(HashFunction::Sha2_512, &bytes);
    let puts = (0..16).map(|n| {
        let (blobs, digest, bytes) = (blobs.clone(), digest.clone(), bytes.clone());
        tokio::spawn(async move {
            blobs
                .put_opts(&digest, in_pieces(&bytes, 1000 * (n + 1)), sized(&bytes))
                .await
        })
    });
    for put in futures_util::future::join_all(puts).await {
        put.unwrap().unwrap();
    }
    assert_eq!(read(&blobs, &digest).await, bytes);
    assert_eq!(all_keys(blobs.store()).await, [digest.to_string()]);
}

#[test]
fn large_pieces_are_hashed_off_the_async_threads_and_a_small_blob_on_the_spot() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        // While the only blocking thread is taken, nothing large can be hashed: the put waits, and
        // the async thread is free.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let taken = tokio::task::spawn_blocking(move || gate.recv());
        let blobs = memory();
        let large = noise(8 * MIB, 1);
        let digest = Digest::of(HashFunction::Sha2_256, &large);
        let mut put = pin!(blobs.put_opts(&digest, in_pieces(&large, 100_000), sized(&large)));
        for _ in 0..100 {
            assert!(put.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        let small = noise(65_536, 2);
        let other = Digest::of(HashFunction::Sha2_512, &small);
        assert_eq!(
            blobs
                .put_opts(&other, in_pieces(&small, 10_000), sized(&small))
                .now_or_never()
                .unwrap()
                .unwrap(),
            PutOutcome::Stored
        );
        open.send(()).unwrap();
        taken.await.unwrap().unwrap();
        assert_eq!(put.await.unwrap(), PutOutcome::Stored);
    });
}

#[test]
fn a_runtime_that_shut_down_fails_the_put_and_does_not_hang_it() {
    let dead = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .handle()
        .clone();
    let _entered = dead.enter();
    let (blobs, bytes) = (memory(), noise(3 * MIB, 1));
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    let error = blobs
        .put_opts(&digest, in_pieces(&bytes, 100_000), sized(&bytes))
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, Error::Store { source: objectstore::Error::Body { source, .. }, .. } if source.to_string().contains("shutting down")),
        "{error:?}"
    );
    assert!(all_keys(blobs.store()).now_or_never().unwrap().is_empty());
}

#[test]
fn memory_works_without_a_runtime() {
    let bytes = noise(3 * MIB, 1);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    let blobs = BlobStore::new(Memory::new(), FlatfsKeys);
    assert_eq!(
        blobs
            .put_opts(&digest, in_pieces(&bytes, 100_000), sized(&bytes))
            .now_or_never()
            .unwrap()
            .unwrap(),
        PutOutcome::Stored
    );
    blobs.verify(&digest).now_or_never().unwrap().unwrap();
}
