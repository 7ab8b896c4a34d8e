//! Blobs in a flatfs directory: one that Piri wrote, and one of our own.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use storehouse_blobstore::{
    BlobStore, Digest, FlatfsKeys, HashFunction, ListBlobs, PutBlob, PutOutcome, Scrub,
    ScrubOutcome, Scrubbed,
};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_objectstore::{ErrorClass, ObjectStore};
use support::{all_blobs, all_keys, in_pieces, noise, vectors, vectors_dir};
use tempfile::TempDir;

type Blobs = BlobStore<FlatFs, FlatfsKeys>;

async fn open(dir: &Path) -> Blobs {
    BlobStore::new(
        FlatFs::open(dir, FlatFsOptions::default()).await.unwrap(),
        FlatfsKeys,
    )
}

/// Piri's directory, copied, and open.
async fn piri() -> (TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    for file in files_under(&vectors_dir().join("datastore")) {
        let copy = dir
            .path()
            .join(file.strip_prefix(vectors_dir().join("datastore")).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, copy).unwrap();
    }
    let blobs = open(dir.path()).await;
    (dir, blobs)
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path))
        } else {
            files.push(path)
        }
    }
    files
}

#[tokio::test]
async fn what_piri_wrote_is_read_listed_and_verified() {
    let (_dir, blobs) = piri().await;
    for vector in vectors() {
        let digest = vector.digest();
        let blob = blobs.get(&digest).await.unwrap();
        assert_eq!(blob.size, vector.size);
        assert_eq!(
            blob.body.collect(vector.size).await.unwrap(),
            vector.bytes()
        );
        if vector.size > 1 {
            let blob = blobs.get_range(&digest, 1..vector.size).await.unwrap();
            assert_eq!(
                blob.body.collect(vector.size).await.unwrap(),
                vector.bytes()[1..]
            );
        }
        blobs.verify(&digest).await.unwrap();
        assert_eq!(
            blobs.put(&digest, vector.bytes()).await.unwrap(),
            PutOutcome::AlreadyExists
        );
    }
    let listed = all_blobs(&blobs, ListBlobs::default()).await;
    let mut expected: Vec<_> = vectors()
        .iter()
        .map(|vector| (vector.s3_key.clone(), vector.digest(), vector.size))
        .collect();
    expected.sort();
    // The store's order is that of paths, which is also that of the S3 keys.
    assert_eq!(
        listed
            .iter()
            .map(|blob| (&blob.digest, blob.size))
            .collect::<Vec<_>>(),
        expected
            .iter()
            .map(|(_, digest, size)| (digest, *size))
            .collect::<Vec<_>>()
    );
    for (n, blob) in listed.iter().enumerate() {
        assert_eq!(
            all_blobs(&blobs, ListBlobs::default().start_after(blob.key.clone())).await,
            listed[n + 1..]
        );
    }
    let report: Vec<Scrubbed> = blobs.scrub(Scrub::default()).try_collect().await.unwrap();
    assert_eq!(report.len(), 26);
    assert!(
        report
            .iter()
            .all(|item| matches!(item.outcome, ScrubOutcome::Intact))
    );
}

#[tokio::test]
async fn what_is_put_lies_where_piri_looks_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    for vector in vectors() {
        blobs
            .put_opts(
                &vector.digest(),
                in_pieces(&vector.bytes(), 10_000),
                PutBlob::default().size(vector.size),
            )
            .await
            .unwrap();
        assert_eq!(
            fs::read(dir.path().join(&vector.s3_key)).unwrap(),
            vector.bytes()
        );
        blobs.delete(&vector.digest()).await.unwrap();
        assert!(!dir.path().join(&vector.s3_key).exists());
    }
}

#[tokio::test]
async fn damage_on_disk_is_found_and_mended_by_a_put() {
    let (dir, blobs) = piri().await;
    let (flipped, emptied) = (&vectors()[4], &vectors()[2]);
    let mut bytes = flipped.bytes();
    bytes[65_536] ^= 0x80;
    fs::write(dir.path().join(&flipped.s3_key), &bytes).unwrap();
    fs::write(dir.path().join(&emptied.s3_key), "").unwrap();
    for vector in [flipped, emptied] {
        let error = blobs.verify(&vector.digest()).await.unwrap_err();
        assert!(
            error.is_data_inconsistent() && error.class() == ErrorClass::Fatal,
            "{error:?}"
        );
    }
    let report: Vec<Scrubbed> = blobs.scrub(Scrub::default()).try_collect().await.unwrap();
    let damaged = report
        .iter()
        .filter(|item| !matches!(item.outcome, ScrubOutcome::Intact));
    for item in damaged.clone() {
        let expected = Digest::of(
            HashFunction::Sha2_256,
            &fs::read(dir.path().join(find(&item.blob.digest))).unwrap(),
        );
        assert!(
            matches!(&item.outcome, ScrubOutcome::Damaged { actual } if *actual == expected),
            "{item:?}"
        );
    }
    let mut damaged: Vec<_> = damaged.map(|item| item.blob.digest.to_string()).collect();
    damaged.sort();
    let mut expected = [flipped.digest.clone(), emptied.digest.clone()];
    expected.sort();
    assert_eq!(damaged, expected);
    // The put sees that the one is too short, and has to be told about the other.
    assert_eq!(
        blobs.put(&emptied.digest(), emptied.bytes()).await.unwrap(),
        PutOutcome::Stored
    );
    assert_eq!(
        blobs.put(&flipped.digest(), flipped.bytes()).await.unwrap(),
        PutOutcome::AlreadyExists
    );
    assert_eq!(
        blobs
            .put_opts(
                &flipped.digest(),
                flipped.bytes(),
                PutBlob::default().replace(true)
            )
            .await
            .unwrap(),
        PutOutcome::Stored
    );
    for vector in [flipped, emptied] {
        blobs.verify(&vector.digest()).await.unwrap();
    }
}

fn find(digest: &Digest) -> String {
    vectors()
        .into_iter()
        .find(|vector| vector.digest() == *digest)
        .unwrap()
        .s3_key
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_blob_leaves_no_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = open(dir.path()).await;
    let before = files_under(dir.path());
    for len in [1, 70_000, 3 << 20] {
        let (right, mut wrong) = (noise(len, 1), noise(len, 1));
        wrong[len / 2] ^= 1;
        for function in HashFunction::ALL {
            let digest = Digest::of(function, &right);
            let options = PutBlob::default().size(len as u64);
            let longer = [right.as_slice(), b"!"].concat();
            for body in [&wrong[..], &right[..len - 1], &longer[..]] {
                blobs
                    .put_opts(&digest, in_pieces(body, 50_000), options.clone())
                    .await
                    .unwrap_err();
            }
            assert!(blobs.get(&digest).await.unwrap_err().is_not_found());
        }
    }
    assert!(all_keys(blobs.store()).await.is_empty());
    assert_eq!(files_under(dir.path()), before);
    blobs.store().health().await.unwrap();
}
