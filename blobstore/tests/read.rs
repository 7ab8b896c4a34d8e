//! Reading, deleting, listing and scrubbing, over the store in memory.

mod support;

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use storehouse_blobstore::{
    BlobStore, Digest, Error, FlatfsKeys, HashFunction, KeyEncoder, ListBlobs, PlainKeys, S3Keys,
    Scrub, ScrubOutcome, Scrubbed,
};
use storehouse_objectstore::{ByteRange, ErrorClass, Key, Memory, ObjectStore, ObjectStoreExt};
use support::{all_blobs, all_keys, vectors};

/// The vectors' blobs in memory, put as any blob is.
async fn filled<E: KeyEncoder>(keys: E) -> BlobStore<Memory, E> {
    let blobs = BlobStore::new(Memory::new(), keys);
    for vector in vectors() {
        blobs.put(&vector.digest(), vector.bytes()).await.unwrap();
    }
    blobs
}

/// Moves a blob to where Piri v0.2.3 would have put it.
async fn make_legacy(blobs: &BlobStore<Memory, S3Keys>, digest: &Digest) -> Key {
    let (own, legacy) = (
        blobs.key(digest).unwrap(),
        S3Keys.encode_legacy(digest).unwrap().unwrap(),
    );
    blobs
        .store()
        .put(
            &legacy,
            blobs.store().get_bytes(&own, u64::MAX).await.unwrap(),
        )
        .await
        .unwrap();
    blobs.store().delete(&own).await.unwrap();
    legacy
}

#[tokio::test]
async fn ranges_are_exact_and_sizes_whole() {
    let blobs = BlobStore::new(Memory::new(), PlainKeys);
    let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    blobs.put(&digest, "hello").await.unwrap();
    for (range, expected) in [
        (ByteRange::WHOLE, Some(0..5)),
        (ByteRange::from(1..3), Some(1..3)),
        (ByteRange::inclusive(0, Some(4)), Some(0..5)),
        (ByteRange::suffix(2), Some(3..5)),
        (ByteRange::from(5..), None),
        (ByteRange::from(0..6), None),
        (ByteRange::from(2..2), None),
        (ByteRange::suffix(6), None),
        (ByteRange::inclusive(u64::MAX, None), None),
    ] {
        match (blobs.get_range(&digest, range).await, expected) {
            (Ok(blob), Some(expected)) => {
                assert_eq!(
                    (blob.size, &blob.range, &blob.digest),
                    (5, &expected, &digest)
                );
                assert_eq!(
                    blob.body.collect(5).await.unwrap(),
                    b"hello"[expected.start as usize..expected.end as usize]
                );
            }
            (
                Err(Error::RangeNotSatisfiable {
                    range: asked, size, ..
                }),
                None,
            ) => assert_eq!((asked, size), (range, 5)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_can_be_deleted() {
    let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    for keys in [
        Arc::new(FlatfsKeys) as Arc<dyn KeyEncoder>,
        Arc::new(S3Keys),
        Arc::new(PlainKeys),
    ] {
        let blobs: BlobStore =
            BlobStore::new(Arc::new(Memory::new()) as Arc<dyn ObjectStore>, keys);
        assert!(blobs.get(&digest).await.unwrap_err().is_not_found());
        assert!(blobs.head(&digest).await.unwrap_err().is_not_found());
        assert_eq!(
            blobs.verify(&digest).await.unwrap_err().to_string(),
            format!("verify {digest}: not found")
        );
        assert!(!blobs.exists(&digest).await.unwrap());
        blobs.delete(&digest).await.unwrap();
    }
}

#[tokio::test]
async fn every_blob_is_listed_once_and_from_every_key_on() {
    let blobs = filled(S3Keys).await;
    // A blob under its legacy key alone, one under both, and objects that are no blobs: all between
    // the others.
    let only = make_legacy(&blobs, &vectors()[3].digest()).await;
    let both = S3Keys
        .encode_legacy(&vectors()[5].digest())
        .unwrap()
        .unwrap();
    blobs
        .store()
        .put(&both, vectors()[5].bytes())
        .await
        .unwrap();
    for other in [
        "a",
        "ci",
        "qj/readme.data",
        "zz/ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja.data",
    ] {
        blobs
            .store()
            .put(&Key::new(other).unwrap(), "no blob")
            .await
            .unwrap();
    }
    let all = all_blobs(&blobs, ListBlobs::default()).await;
    let mut expected: Vec<_> = vectors()
        .iter()
        .map(|vector| (vector.digest(), vector.size))
        .collect();
    let mut listed: Vec<_> = all
        .iter()
        .map(|blob| (blob.digest.clone(), blob.size))
        .collect();
    assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
    assert!(all.iter().any(|blob| blob.key == only) && !all.iter().any(|blob| blob.key == both));
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    for (n, blob) in all.iter().enumerate() {
        assert_eq!(
            all_blobs(&blobs, ListBlobs::default().start_after(blob.key.clone())).await,
            all[n + 1..]
        );
        assert_eq!(
            all_blobs(&blobs, ListBlobs::default().limit(n)).await,
            all[..n]
        );
        let prefix = &blob.key.as_str()[..6];
        let with_prefix: Vec<_> = all
            .iter()
            .filter(|blob| blob.key.as_str().starts_with(prefix))
            .cloned()
            .collect();
        assert_eq!(
            all_blobs(&blobs, ListBlobs::default().prefix(prefix)).await,
            with_prefix
        );
        assert_eq!(blobs.head(&blob.digest).await.unwrap(), *blob);
    }
}

#[tokio::test]
async fn a_blob_under_its_legacy_key_is_there_until_it_is_deleted() {
    let blobs = filled(S3Keys).await;
    let vector = &vectors()[0];
    let digest = vector.digest();
    let legacy = make_legacy(&blobs, &digest).await;
    assert_eq!(
        blobs
            .get(&digest)
            .await
            .unwrap()
            .body
            .collect(100)
            .await
            .unwrap(),
        vector.bytes()
    );
    assert_eq!(blobs.head(&digest).await.unwrap().key, legacy);
    blobs.verify(&digest).await.unwrap();
    // Put again, it is under both keys. Deleted, it is under neither.
    blobs.put(&digest, vector.bytes()).await.unwrap();
    assert_eq!(
        blobs.head(&digest).await.unwrap().key.as_str(),
        vector.s3_key
    );
    blobs.delete(&digest).await.unwrap();
    assert!(!blobs.exists(&digest).await.unwrap());
    assert_eq!(all_keys(blobs.store()).await.len(), vectors().len() - 1);
}

#[tokio::test]
async fn damage_is_found_by_verify_and_by_scrub_and_does_not_end_it() {
    let blobs = filled(FlatfsKeys).await;
    let (flipped, cut, healthy) = (
        vectors()[4].digest(),
        vectors()[2].digest(),
        vectors()[0].digest(),
    );
    let mut bytes = vectors()[4].bytes();
    bytes[40_000] ^= 1;
    let actual = Digest::of(HashFunction::Sha2_256, &bytes);
    blobs
        .store()
        .put(&blobs.key(&flipped).unwrap(), bytes)
        .await
        .unwrap();
    blobs
        .store()
        .put(&blobs.key(&cut).unwrap(), "")
        .await
        .unwrap();
    // A blob of a function that this crate cannot compute.
    let unknown: Digest = "f1114aabbccddeeff00112233445566778899aabbccdd"
        .parse()
        .unwrap();
    blobs
        .store()
        .put(&blobs.key(&unknown).unwrap(), "?")
        .await
        .unwrap();

    blobs.verify(&healthy).await.unwrap();
    let error = blobs.verify(&flipped).await.unwrap_err();
    assert!(
        matches!(&error, Error::DataInconsistent { actual: Some(found), .. } if *found == actual),
        "{error:?}"
    );
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(blobs.verify(&cut).await.unwrap_err().is_data_inconsistent());
    assert!(matches!(
        blobs.verify(&unknown).await,
        Err(Error::UnknownHash { code: 0x11, .. })
    ));

    let listed = all_blobs(&blobs, ListBlobs::default()).await;
    for concurrency in [1, 3, 100] {
        let scrub = Scrub::default().concurrency(NonZeroUsize::new(concurrency).unwrap());
        let report: Vec<Scrubbed> = blobs.scrub(scrub).try_collect().await.unwrap();
        assert_eq!(
            report
                .iter()
                .map(|item| item.blob.clone())
                .collect::<Vec<_>>(),
            listed
        );
        for item in report {
            match item.outcome {
                ScrubOutcome::Damaged { actual: found } if item.blob.digest == flipped => {
                    assert_eq!(found, actual)
                }
                ScrubOutcome::Damaged { actual } if item.blob.digest == cut => {
                    assert_eq!(actual, Digest::of(HashFunction::Sha2_256, b""))
                }
                ScrubOutcome::Unreadable(Error::UnknownHash { .. })
                    if item.blob.digest == unknown => {}
                ScrubOutcome::Intact
                    if ![&flipped, &cut, &unknown].contains(&&item.blob.digest) => {}
                other => panic!("{}: {other:?}", item.blob.digest),
            }
        }
    }
    let last = Scrub::default().blobs(ListBlobs::default().start_after(listed[20].key.clone()));
    assert_eq!(blobs.scrub(last).count().await, listed.len() - 21);
}
