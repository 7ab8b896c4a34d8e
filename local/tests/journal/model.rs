//! Both journals against a model, under random operations and reopenings.

use std::collections::BTreeSet;
use std::sync::Arc;

use storehouse_formats::Cid;
use storehouse_local::journal::{FsJournal, Journal, MemoryJournal, Retention, SyncPolicy};

use crate::support::{Random, batch_frames, rotating_at, tempdir};

const ROTATE_AT: u64 = 2000;

#[derive(Default)]
struct Model {
    open: Vec<Vec<u8>>,
    /// Oldest first; whether acknowledged.
    batches: Vec<(Cid, Vec<Vec<u8>>, bool)>,
}

impl Model {
    fn size(&self) -> u64 {
        // Every frame is of 91 to 16,347 bytes with its CID, so its length takes 1 or 2.
        18 + self
            .open
            .iter()
            .map(|frame| frame.len() as u64 + 37 + if frame.len() + 37 < 128 { 1 } else { 2 })
            .sum::<u64>()
    }

    fn rotated(&mut self, cid: Cid) {
        let frames = std::mem::take(&mut self.open);
        self.batches.retain(|(other, ..)| *other != cid);
        self.batches.push((cid, frames, false));
    }

    async fn check(&self, journal: &dyn Journal) {
        let listed: Vec<_> = journal
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|batch| (batch.cid, batch.acknowledged.is_some()))
            .collect();
        let expected: Vec<_> = self
            .batches
            .iter()
            .map(|(cid, _, acknowledged)| (cid.clone(), *acknowledged))
            .collect();
        assert_eq!(listed, expected);
        let pending: Vec<_> = journal
            .pending()
            .await
            .unwrap()
            .into_iter()
            .map(|batch| batch.cid)
            .collect();
        assert_eq!(
            pending,
            expected
                .iter()
                .filter(|(_, acknowledged)| !acknowledged)
                .map(|(cid, _)| cid.clone())
                .collect::<Vec<_>>()
        );
        let status = journal.status().await.unwrap();
        assert_eq!(
            (status.size, status.frames),
            (self.size(), self.open.len() as u64)
        );
    }
}

#[tokio::test]
async fn random_operations() {
    for policy in [
        None,
        Some(SyncPolicy::EveryAppend),
        Some(SyncPolicy::OnRotation),
    ] {
        let dir = tempdir();
        let open = async || match policy {
            None => Arc::new(MemoryJournal::new(ROTATE_AT)) as Arc<dyn Journal>,
            Some(policy) => Arc::new(
                FsJournal::open(dir.path(), rotating_at(ROTATE_AT, policy))
                    .await
                    .unwrap(),
            ),
        };
        let mut journal = open().await;
        let (mut model, mut random) = (Model::default(), Random(99));
        for step in 0..600 {
            match random.below(20) {
                0..12 => {
                    let frame = vec![step as u8; 54 + random.below(300) as usize];
                    model.open.push(frame.clone());
                    let appended = journal.append(frame.into()).await.unwrap();
                    assert_eq!(appended.rotated.is_some(), model.size() >= ROTATE_AT);
                    if let Some(cid) = appended.rotated {
                        model.rotated(cid);
                    }
                }
                12 => match journal.force_rotate().await.unwrap() {
                    Some(cid) => model.rotated(cid),
                    None => assert!(model.open.is_empty()),
                },
                13..15 if !model.batches.is_empty() => {
                    let at = random.below(model.batches.len() as u64) as usize;
                    journal.acknowledge(&model.batches[at].0).await.unwrap();
                    model.batches[at].2 = true;
                }
                15 if !model.batches.is_empty() => {
                    let at = random.below(model.batches.len() as u64) as usize;
                    assert_eq!(
                        batch_frames(&*journal, &model.batches[at].0).await,
                        model.batches[at].1
                    );
                    if random.below(4) == 0 {
                        journal.remove(&model.batches.remove(at).0).await.unwrap();
                    }
                }
                16 => {
                    let removed = journal
                        .gc(Retention::default().older_than(Default::default()))
                        .await
                        .unwrap();
                    assert_eq!(
                        removed.len(),
                        model.batches.iter().filter(|batch| batch.2).count()
                    );
                    model.batches.retain(|batch| !batch.2);
                }
                17 if policy.is_some() => {
                    drop(journal);
                    journal = open().await;
                }
                _ => journal.sync().await.unwrap(),
            }
            model.check(&*journal).await;
        }
        assert!(model.batches.len() > 3);
    }
}

/// Appends that overlap: each is there once, and every batch is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once() {
    let dir = tempdir();
    let journal = FsJournal::open(dir.path(), rotating_at(20_000, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    let writers: Vec<_> = (0..16_u64)
        .map(|writer| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for number in 0..50_u64 {
                    journal
                        .append([writer.to_le_bytes(), number.to_le_bytes()].concat().into())
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    journal.force_rotate().await.unwrap();
    let batches = journal.pending().await.unwrap();
    assert!(batches.len() > 1);
    let mut seen = BTreeSet::new();
    for batch in batches {
        let mut last = [None; 16];
        for frame in batch_frames(&journal, &batch.cid).await {
            let (writer, number) = (usize::from(frame[0]), frame[8]);
            assert!(
                last[writer].replace(number) < Some(number),
                "writer {writer}: {number} in the wrong place"
            );
            assert!(seen.insert((writer, number)));
        }
    }
    assert_eq!(seen.len(), 16 * 50);
}
