//! Rotation: by size, by force, through crashes at every step and through failures.

use std::fs;

use sha2::{Digest, Sha256};
use storehouse_formats::car::car_cid;
use storehouse_local::Error;
use storehouse_local::journal::{
    FsJournal, Journal, MAX_ARCHIVE, MemoryJournal, Retention, SyncPolicy,
};

use crate::support::{OPEN, archive, batch_frames, open, open_frames, rotating_at, tempdir};

#[tokio::test]
async fn the_append_that_reaches_the_limit_rotates() {
    let dir = tempdir();
    // A header of 18 bytes and frames of 1 + 37 + 10.
    for (limit, per_batch) in [(18 + 48 * 3, 3), (18 + 48 * 3 + 1, 4), (1, 1)] {
        let journal = FsJournal::open(
            dir.path().join(limit.to_string()),
            rotating_at(limit, SyncPolicy::EveryAppend),
        )
        .await
        .unwrap();
        let rotations = journal.rotations();
        for n in 0..12_u64 {
            let mut archive = n.to_le_bytes().to_vec();
            archive.resize(10, 0);
            let appended = journal.append(archive.into()).await.unwrap();
            assert_eq!(
                appended.rotated.is_some(),
                (n + 1) % per_batch == 0,
                "limit {limit}, append {n}"
            );
            if let Some(batch) = appended.rotated {
                assert_eq!(batch_frames(&journal, &batch).await.len() as u64, per_batch);
            }
        }
        assert_eq!(*rotations.borrow(), 12 / per_batch);
        assert_eq!(
            journal.pending().await.unwrap().len() as u64,
            12 / per_batch
        );
    }
}

/// What each step of a rotation leaves if it is the last one before a crash. The batch is in the
/// open file or pending, never gone, never both.
#[tokio::test]
async fn a_crash_at_any_step_of_a_rotation() {
    let source = tempdir();
    let journal = open(source.path()).await;
    journal.append(archive(1).into()).await.unwrap();
    journal.append(archive(2).into()).await.unwrap();
    drop(journal);
    let batch = fs::read(source.path().join(OPEN)).unwrap();
    let cid = car_cid(Sha256::digest(&batch).into());

    // Renamed; then no open batch, or one with `header` bytes of its header.
    for header in [None].into_iter().chain((0..=18).map(Some)) {
        let dir = tempdir();
        fs::write(dir.path().join(format!("egress.{cid}.car")), &batch).unwrap();
        if let Some(header) = header {
            fs::write(dir.path().join(OPEN), &batch[..header]).unwrap();
        }
        let journal = open(dir.path()).await;
        assert_eq!(journal.recovery().set_aside, None);
        assert_eq!(
            journal
                .pending()
                .await
                .unwrap()
                .iter()
                .map(|batch| batch.cid.clone())
                .collect::<Vec<_>>(),
            [cid.clone()],
            "{header:?}"
        );
        journal.append(archive(3).into()).await.unwrap();
        assert_eq!(open_frames(dir.path()), [archive(3)]);
    }

    // Not renamed yet: the open batch is as it was.
    let dir = tempdir();
    fs::write(dir.path().join(OPEN), &batch).unwrap();
    let journal = open(dir.path()).await;
    assert!(journal.pending().await.unwrap().is_empty());
    assert_eq!(journal.force_rotate().await.unwrap(), Some(cid.clone()));
    drop(journal);

    // Acknowledged half way: the temporary file of the acknowledgement does not count.
    fs::write(
        dir.path().join("acknowledged").join(format!(".{cid}.tmp")),
        b"17",
    )
    .unwrap();
    let journal = open(dir.path()).await;
    assert_eq!(journal.pending().await.unwrap().len(), 1);
    journal.acknowledge(&cid).await.unwrap();
    drop(journal);
    assert!(open(dir.path()).await.pending().await.unwrap().is_empty());

    // Removed half way: the batch is gone, its acknowledgement is not. Rotated again, the same
    // batch is pending again.
    fs::remove_file(dir.path().join(format!("egress.{cid}.car"))).unwrap();
    fs::write(dir.path().join(OPEN), &batch).unwrap();
    let journal = open(dir.path()).await;
    assert_eq!(
        fs::read_dir(dir.path().join("acknowledged"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(journal.force_rotate().await.unwrap(), Some(cid.clone()));
    assert_eq!(journal.pending().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_receipts_again_are_pending_again() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let mut cids = Vec::new();
    for _ in 0..2 {
        journal.append(archive(1).into()).await.unwrap();
        cids.push(journal.force_rotate().await.unwrap().unwrap());
        assert_eq!(journal.pending().await.unwrap().len(), 1);
        journal.acknowledge(&cids[0]).await.unwrap();
        assert!(journal.pending().await.unwrap().is_empty());
    }
    assert_eq!(cids[0], cids[1]);
}

/// Piri keeps a closed file after a failed rotation, and every later append fails.
#[tokio::test]
async fn a_rotation_that_fails_leaves_the_journal_usable() {
    let dir = tempdir();
    let journal = FsJournal::open(dir.path(), rotating_at(100, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    journal.append(archive(1).into()).await.unwrap();
    let in_the_way = |bytes: &[u8]| {
        let path = dir.path().join(format!(
            "egress.{}.car",
            car_cid(Sha256::digest(bytes).into())
        ));
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"").unwrap();
    };
    in_the_way(&fs::read(dir.path().join(OPEN)).unwrap());
    let error = journal.force_rotate().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Io {
                operation: "rotate",
                ..
            }
        ),
        "{error:?}"
    );

    // A rotation that was due after an append: the append stands, and the next one tries again.
    let mut next = fs::read(dir.path().join(OPEN)).unwrap();
    let long = vec![5; 200];
    next.extend([0xed, 0x01, 0x01, 0x82, 0x04, 0x12, 0x20]);
    next.extend(Sha256::digest(&long));
    next.extend(&long);
    in_the_way(&next);
    let appended = journal.append(long.clone().into()).await.unwrap();
    assert!(
        appended.rotated.is_none() && appended.rotation_error.is_some(),
        "{appended:?}"
    );
    assert_eq!(fs::read(dir.path().join(OPEN)).unwrap(), next);

    let batch = journal
        .append(archive(3).into())
        .await
        .unwrap()
        .rotated
        .unwrap();
    assert_eq!(
        batch_frames(&journal, &batch).await,
        [archive(1), long, archive(3)]
    );
    assert_eq!(journal.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn sizes_that_do_not_fit_are_refused() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    for size in [0, MAX_ARCHIVE + 1] {
        let error = journal.append(vec![0; size].into()).await.unwrap_err();
        assert!(matches!(error, Error::FrameSize { .. }), "{error}");
    }
    journal.append(vec![1; MAX_ARCHIVE].into()).await.unwrap();
    drop(journal);
    let journal = open(dir.path()).await;
    assert!(journal.recovery().is_clean());
    assert_eq!(journal.status().await.unwrap().frames, 1);
}

#[tokio::test]
async fn only_what_is_acknowledged_is_collected() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let mut batches = Vec::new();
    for n in 0..6 {
        journal.append(vec![n; 1000].into()).await.unwrap();
        batches.push(journal.force_rotate().await.unwrap().unwrap());
    }
    for acknowledged in [1, 3, 4] {
        journal.acknowledge(&batches[acknowledged]).await.unwrap();
    }
    let listed = |batches: &[storehouse_local::journal::BatchInfo]| {
        batches
            .iter()
            .map(|batch| batch.cid.clone())
            .collect::<Vec<_>>()
    };
    let size = journal.list().await.unwrap()[0].size;

    assert_eq!(journal.gc(Retention::default()).await.unwrap(), []);
    let old = Retention::default().older_than(std::time::Duration::from_secs(3600));
    assert_eq!(journal.gc(old).await.unwrap(), []);
    // Room for five: the oldest acknowledged one goes.
    let removed = journal
        .gc(Retention::default().total_above(5 * size))
        .await
        .unwrap();
    assert_eq!(listed(&removed), [batches[1].clone()]);
    // No room at all: everything acknowledged goes, and nothing else.
    let removed = journal
        .gc(Retention::default()
            .older_than(Default::default())
            .total_above(0))
        .await
        .unwrap();
    assert_eq!(listed(&removed), [batches[3].clone(), batches[4].clone()]);
    assert_eq!(
        listed(&journal.pending().await.unwrap()),
        [0, 2, 5].map(|at| batches[at].clone())
    );

    journal.remove(&batches[0]).await.unwrap();
    journal.remove(&batches[0]).await.unwrap();
    assert!(
        journal
            .get_batch(&batches[0])
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        journal
            .acknowledge(&batches[0])
            .await
            .unwrap_err()
            .is_not_found()
    );
}

/// Policies that sync less do sync when they say so.
#[tokio::test]
async fn sync_policies() {
    let dir = tempdir();
    let unsynced = async |journal: &FsJournal| journal.status().await.unwrap().unsynced;
    let journal = FsJournal::open(
        dir.path().join("a"),
        rotating_at(1 << 20, SyncPolicy::OnRotation),
    )
    .await
    .unwrap();
    journal.append(vec![1; 1000].into()).await.unwrap();
    assert!(unsynced(&journal).await > 1000);
    journal.sync().await.unwrap();
    assert_eq!(unsynced(&journal).await, 0);

    let policy = SyncPolicy::Interval {
        bytes: 3000,
        time: std::time::Duration::from_millis(50),
    };
    let journal = FsJournal::open(dir.path().join("b"), rotating_at(1 << 20, policy))
        .await
        .unwrap();
    journal.append(vec![1; 1000].into()).await.unwrap();
    journal.append(vec![2; 1000].into()).await.unwrap();
    journal.append(vec![3; 1000].into()).await.unwrap();
    assert_eq!(unsynced(&journal).await, 0);
    journal.append(vec![4; 1000].into()).await.unwrap();
    while unsynced(&journal).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let journal = open(&dir.path().join("c")).await;
    journal.append(vec![1; 1000].into()).await.unwrap();
    assert_eq!(unsynced(&journal).await, 0);
}

/// Appends that wait are committed, and the directory is free at once, although handles are left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing() {
    let dir = tempdir();
    for policy in [SyncPolicy::EveryAppend, SyncPolicy::OnRotation] {
        let path = dir.path().join(format!("{policy:?}"));
        let journal = FsJournal::open(&path, rotating_at(1 << 20, policy))
            .await
            .unwrap();
        let appends: Vec<_> = (0..50)
            .map(|n| {
                let journal = journal.clone();
                tokio::spawn(async move { journal.append(archive(n).into()).await.is_ok() })
            })
            .collect();
        tokio::task::yield_now().await;
        journal.close().await.unwrap();
        let again = open(&path).await;
        let mut appended = 0;
        for append in appends {
            appended += u64::from(append.await.unwrap());
        }
        assert_eq!(again.status().await.unwrap().frames, appended);
        journal.close().await.unwrap();
        let cid = car_cid([0; 32]);
        for result in [
            journal.append(archive(1).into()).await.map(|_| ()),
            journal.sync().await,
            journal.list().await.map(|_| ()),
            journal.get_batch(&cid).await.map(|_| ()),
        ] {
            assert!(matches!(result, Err(Error::Closed)), "{result:?}");
        }
    }
    let memory = MemoryJournal::new(100);
    memory.close().await.unwrap();
    memory.close().await.unwrap();
    assert!(matches!(memory.status().await, Err(Error::Closed)));
}
