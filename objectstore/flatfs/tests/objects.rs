//! Objects: what lies in their place that is none, files that shrink, tags, and bodies that keep
//! the store waiting.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_flatfs::SystemCalls;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_objectstore::{
    Body, Durability, Error, Key, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// A store with each kind of system calls.
async fn stores() -> Vec<(TempDir, FlatFs)> {
    let mut stores = Vec::new();
    for system_calls in [SystemCalls::Native, SystemCalls::Portable] {
        let dir = tempfile::tempdir().unwrap();
        let store = FlatFs::open(
            dir.path(),
            FlatFsOptions::default().system_calls(system_calls),
        )
        .await
        .unwrap();
        stores.push((dir, store));
    }
    stores
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn path(store: &FlatFs, key: &Key) -> PathBuf {
    store.path().join(format!(
        "{}/{key}.data",
        store.options().shard.shard(key.as_str())
    ))
}

fn left_behind(store: &FlatFs) -> usize {
    fs::read_dir(store.path().join(".temp")).unwrap().count()
}

#[tokio::test]
async fn what_is_no_regular_file_is_an_error_and_hangs_nobody() {
    for (_dir, store) in stores().await {
        let shard = store.path().join("bc");
        fs::create_dir(&shard).unwrap();
        let mkfifo = std::process::Command::new("mkfifo")
            .arg(shard.join("fbcd.data"))
            .status()
            .unwrap();
        assert!(mkfifo.success());
        fs::create_dir(shard.join("dbcd.data")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", shard.join("sbcd.data")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(shard.join("ubcd.data")).unwrap();
        for name in ["fbcd", "dbcd", "sbcd", "ubcd"] {
            let failed = [
                store.get(&key(name)).await.map(drop),
                store.head(&key(name)).await.map(drop),
            ];
            for error in failed.map(Result::unwrap_err) {
                assert!(matches!(error, Error::Backend { .. }), "{name}: {error:?}");
                assert!(
                    error.to_string().contains("no regular file"),
                    "{name}: {error}"
                );
            }
            // None has a tag that could match.
            let replace = PutOptions::default()
                .mode(PutMode::Replace(storehouse_objectstore::ETag::new("x")));
            assert!(
                store
                    .put_opts(&key(name), "x".into(), replace)
                    .await
                    .unwrap_err()
                    .is_precondition()
            );
        }
        // A shard that is none.
        fs::write(store.path().join("yy"), "x").unwrap();
        assert!(matches!(
            store.get(&key("yyy")).await,
            Err(Error::Backend { .. })
        ));
        assert!(matches!(
            store.put(&key("yyy"), "x").await,
            Err(Error::Backend { .. })
        ));
        assert!(matches!(
            store.put(&key("dbcd"), "x").await,
            Err(Error::Backend { .. })
        ));
        // A shard that is a link is not written to, so that nothing is put that could not be read.
        std::os::unix::fs::symlink("bc", store.path().join("ll")).unwrap();
        assert!(matches!(
            store.put(&key("lll"), "x").await,
            Err(Error::Backend { .. })
        ));
        assert_eq!(left_behind(&store), 0);
    }
}

#[tokio::test]
async fn a_file_that_shrinks_under_a_reader_is_truncated_not_short() {
    for (_dir, store) in stores().await {
        let (name, size) = (key("shrinking"), 5 * MIB);
        store.put(&name, vec![7; size]).await.unwrap();
        let mut body = store.get(&name).await.unwrap().body;
        let first = body.next().await.unwrap().unwrap().len();
        fs::OpenOptions::new()
            .write(true)
            .open(path(&store, &name))
            .unwrap()
            .set_len(2 * MIB as u64 + 5)
            .unwrap();
        let (mut received, mut end) = (first, None);
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => received += piece.len(),
                Err(e) => end = Some(e),
            }
        }
        match end {
            Some(Error::Truncated {
                expected,
                received: said,
                ..
            }) => {
                assert_eq!((expected, said), (size as u64, received as u64));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn no_two_versions_share_a_tag_however_fast_they_follow_each_other() {
    for (_dir, store) in stores().await {
        let name = key("versions");
        let mut tags = std::collections::HashSet::new();
        for round in 0..300 {
            // Deleting in between frees the inode, so that the next version is likely to have it
            // again.
            if round % 2 == 0 {
                store.delete(&name).await.unwrap();
            }
            let options = PutOptions::default().durability(Durability::Relaxed);
            let put = store
                .put_opts(&name, "same".into(), options)
                .await
                .unwrap()
                .etag;
            assert_eq!(store.head(&name).await.unwrap().etag, put);
            assert!(tags.insert(put.as_str().to_owned()), "{put} again");
        }
    }
}

#[tokio::test]
async fn a_tag_outlives_the_store() {
    for (dir, store) in stores().await {
        let name = key("tagged");
        let put = store.put(&name, "x").await.unwrap().etag;
        drop(store);
        let store = FlatFs::open(dir.path(), FlatFsOptions::default())
            .await
            .unwrap();
        assert_eq!(store.head(&name).await.unwrap().etag, put);
        store
            .put_opts(
                &name,
                "y".into(),
                PutOptions::default().mode(PutMode::Replace(put)),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn reading_every_length_around_the_boundaries() {
    // 64 KiB are read at once, pieces have 1 MiB, buffers from 512 KiB on are used again; the disk
    // is made to start writing every 8 MiB.
    let sizes = [
        0,
        1,
        64 * 1024,
        64 * 1024 + 1,
        MIB / 2,
        MIB / 2 + 1,
        MIB,
        MIB + 1,
        3 * MIB - 1,
        8 * MIB,
        17 * MIB + 5,
    ];
    for (_dir, store) in stores().await {
        for size in sizes {
            let (name, content) = (
                key("boundary"),
                Bytes::from((0..size).map(|i| (i * 31 % 251) as u8).collect::<Vec<_>>()),
            );
            // Pieces that fit no boundary.
            let pieces: Vec<Bytes> = (0..size)
                .step_by(70_001)
                .map(|at| content.slice(at..size.min(at + 70_001)))
                .collect();
            let body = Body::from_stream(stream::iter(
                pieces.into_iter().map(Ok::<_, std::io::Error>),
            ));
            store
                .put_opts(&name, body, PutOptions::default().size(size as u64))
                .await
                .unwrap();
            let mut body = store.get(&name).await.unwrap().body;
            let mut at = 0;
            while let Some(piece) = body.next().await.transpose().unwrap() {
                assert!(
                    piece.len() <= MIB && !piece.is_empty(),
                    "a piece of {} bytes",
                    piece.len()
                );
                assert!(
                    piece == content[at..at + piece.len()],
                    "other bytes at {at} of {size}"
                );
                at += piece.len();
            }
            assert_eq!(at, size);
            let range = size as u64 / 3..size as u64 - size as u64 / 5;
            if !range.is_empty() {
                let got = store
                    .get_range(&name, range.clone())
                    .await
                    .unwrap()
                    .body
                    .collect(u64::MAX)
                    .await
                    .unwrap();
                assert!(
                    got == content[range.start as usize..range.end as usize],
                    "{range:?} of {size}"
                );
            }
        }
    }
}

#[test]
fn bodies_that_keep_the_store_waiting_take_no_thread_from_others() {
    // One thread for all that blocks: a single put that waited on it for its caller would stop
    // everything.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (_dir, store) in stores().await {
            let stalled: Vec<_> = (0..50)
                .map(|i| {
                    let store = store.clone();
                    // More than is gathered in memory before the file is made.
                    let first = stream::once(async {
                        Ok::<_, std::io::Error>(Bytes::from(vec![7; 2 * MIB]))
                    });
                    let body = Body::from_stream(first.chain(stream::pending()));
                    let put = async move {
                        store
                            .put_opts(
                                &key(&format!("stalled{i}")),
                                body,
                                PutOptions::default().size(9 << 20),
                            )
                            .await
                    };
                    tokio::spawn(put)
                })
                .collect();
            while left_behind(&store) < stalled.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for i in 0..20 {
                let name = key(&format!("flowing{i}"));
                store.put(&name, vec![i; 100_000]).await.unwrap();
                assert_eq!(
                    store.get_bytes(&name, u64::MAX).await.unwrap(),
                    vec![i; 100_000]
                );
            }
            stalled.iter().for_each(tokio::task::JoinHandle::abort);
            for put in stalled {
                assert!(put.await.unwrap_err().is_cancelled());
            }
            assert_eq!(left_behind(&store), 0, "a dropped put takes its file along");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_puts_at_once_are_all_there() {
    for (_dir, store) in stores().await {
        let puts = (0..1000u32).map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .put(&key(&format!("object{i}")), i.to_le_bytes().to_vec())
                    .await
            })
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
        for i in 0..1000u32 {
            assert_eq!(
                store
                    .get_bytes(&key(&format!("object{i}")), 4)
                    .await
                    .unwrap(),
                i.to_le_bytes().to_vec()
            );
        }
        assert_eq!(left_behind(&store), 0);
        let all = stream::iter((0..1000u32).map(|i| key(&format!("object{i}")))).boxed();
        let deleted = store
            .delete_many(all)
            .filter(|deleted| std::future::ready(deleted.is_ok()))
            .count()
            .await;
        assert_eq!(deleted, 1000);
        assert_eq!(store.list_prefix("").count().await, 0);
    }
}

/// A thousand clients that read slowly had a piece of 1 MiB each, together a gigabyte.
#[tokio::test]
async fn pieces_that_many_readers_keep_are_short() {
    for (_dir, store) in stores().await {
        let content: Bytes = (0..3 * MIB)
            .map(|at| (at / 1000) as u8)
            .collect::<Vec<_>>()
            .into();
        store.put(&key("large"), content.clone()).await.unwrap();
        let mut readers = Vec::new();
        for _ in 0..200 {
            let mut body = store.get(&key("large")).await.unwrap().body;
            let first = body.next().await.unwrap().unwrap();
            readers.push((first, body));
        }
        let kept: usize = readers.iter().map(|(first, _)| first.len()).sum();
        assert!(kept <= 64 * MIB + 200 * MIB / 32, "{kept} bytes are kept");
        for (first, body) in readers {
            let rest = body.collect(u64::MAX).await.unwrap();
            assert!(content.starts_with(&first) && content[first.len()..] == rest);
        }
        // Once they are done, pieces are long again.
        let first = store
            .get(&key("large"))
            .await
            .unwrap()
            .body
            .next()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(first.len(), MIB);
    }
}
