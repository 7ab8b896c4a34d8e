//! The journal by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use storehouse_local::journal::{
    FsJournal, Handled, Journal, Retention, Rotator, RotatorOptions, SyncPolicy,
};
use tokio::sync::mpsc;

use crate::support::{archive, batch_frames, open, rotating_at, tempdir};

fn every(rotate: Duration) -> RotatorOptions {
    RotatorOptions::default().rotate_every(rotate)
}

fn unexpected(error: storehouse_local::Error) {
    panic!("{error:?}");
}

#[tokio::test]
async fn batches_are_handed_over_and_acknowledged() {
    let dir = tempdir();
    let journal = FsJournal::open(dir.path(), rotating_at(1000, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    // Left by the run before.
    journal.append(archive(1).into()).await.unwrap();
    let left = journal.force_rotate().await.unwrap().unwrap();

    let (sender, mut batches) = mpsc::unbounded_channel();
    let hand_over = move |batch| {
        sender.send(batch).unwrap();
        Box::pin(async { Handled::Acknowledge }) as _
    };
    let rotator = Rotator::spawn(
        journal.clone(),
        every(Duration::from_secs(3600)),
        hand_over,
        unexpected,
    );
    assert_eq!(batches.recv().await.unwrap().cid, left);
    // By size: handed over at once, though the clock is far off.
    let by_size = journal
        .append(vec![1; 2000].into())
        .await
        .unwrap()
        .rotated
        .unwrap();
    assert_eq!(batches.recv().await.unwrap().cid, by_size);
    rotator.stop().await;
    assert!(journal.pending().await.unwrap().is_empty());
    assert_eq!(journal.list().await.unwrap().len(), 2);
}

/// Never is an interval too.
#[tokio::test]
async fn intervals_without_end() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    journal.append(archive(1).into()).await.unwrap();
    let options = every(Duration::MAX).gc_every(Duration::MAX);
    let (sender, mut batches) = mpsc::unbounded_channel();
    let hand_over = move |batch| {
        sender.send(batch).unwrap();
        Box::pin(async { Handled::Later }) as _
    };
    let rotator = Rotator::spawn(journal.clone(), options, hand_over, unexpected);
    let batch = journal.force_rotate().await.unwrap().unwrap();
    assert_eq!(batches.recv().await.unwrap().cid, batch);
    rotator.stop().await;
    assert_eq!(journal.pending().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_clock_rotates_and_offers_again_what_was_put_off() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let (sender, mut batches) = mpsc::unbounded_channel();
    let mut offered = 0;
    let hand_over = move |batch: storehouse_local::journal::BatchInfo| {
        offered += 1;
        let handled = if offered < 3 {
            Handled::Later
        } else {
            Handled::Acknowledge
        };
        sender.send((batch.cid, handled)).unwrap();
        Box::pin(async move { handled }) as _
    };
    let rotator = Rotator::spawn(
        journal.clone(),
        every(Duration::from_millis(20)),
        hand_over,
        unexpected,
    );
    journal.append(archive(7).into()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(batches.recv().await.unwrap());
    }
    rotator.stop().await;
    assert!(seen.iter().all(|(cid, _)| *cid == seen[0].0), "{seen:?}");
    assert_eq!(batch_frames(&journal, &seen[0].0).await, [archive(7)]);
    assert!(journal.pending().await.unwrap().is_empty());
}

/// Stop waits for the batch that is being handed over, and nothing happens after it.
#[tokio::test]
async fn stop_waits_for_what_is_in_flight() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let (began, mut begun) = mpsc::unbounded_channel();
    let done = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let hand_over = {
        let (done, calls) = (done.clone(), calls.clone());
        move |_| {
            let (done, began) = (done.clone(), began.clone());
            calls.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                began.send(()).unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
                done.store(true, Ordering::SeqCst);
                Handled::Acknowledge
            }) as _
        }
    };
    let rotator = Rotator::spawn(
        journal.clone(),
        every(Duration::from_millis(5)),
        hand_over,
        unexpected,
    );
    for n in 0..2 {
        journal.append(archive(n).into()).await.unwrap();
        journal.force_rotate().await.unwrap();
    }
    begun.recv().await.unwrap();
    rotator.stop().await;
    assert!(done.load(Ordering::SeqCst));
    let acknowledged = journal.list().await.unwrap().len() - journal.pending().await.unwrap().len();
    assert_eq!((acknowledged, calls.load(Ordering::SeqCst)), (1, 1));
    // The directory is free: no task holds the journal.
    drop(journal);
    open(dir.path()).await;
}

#[tokio::test]
async fn garbage_is_collected_by_the_clock() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let options = RotatorOptions::default()
        .gc_every(Duration::from_millis(10))
        .retention(Retention::default().older_than(Duration::ZERO));
    let mut first = true;
    let hand_over = move |_| {
        let handled = if std::mem::take(&mut first) {
            Handled::Acknowledge
        } else {
            Handled::Later
        };
        Box::pin(async move { handled }) as _
    };
    let rotator = Rotator::spawn(journal.clone(), options, hand_over, unexpected);
    for n in 0..2 {
        journal.append(archive(n).into()).await.unwrap();
        journal.force_rotate().await.unwrap();
    }
    while journal.list().await.unwrap().len() > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    rotator.stop().await;
    assert_eq!(journal.pending().await.unwrap().len(), 1);
}
