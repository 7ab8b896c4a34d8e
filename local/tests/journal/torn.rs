//! A crash in the middle of a write leaves the beginning of a frame. Piri reads nothing after that,
//! for good; here it is cut off.

use std::fs;

use storehouse_local::journal::{FsJournal, Journal};

use crate::support::{OPEN, archive, batch_frames, open, open_frames, tempdir};

#[tokio::test]
async fn a_journal_cut_at_any_byte_keeps_its_whole_frames() {
    let source = tempdir();
    let journal = open(source.path()).await;
    let mut ends = Vec::new();
    for n in 0..50 {
        ends.push(journal.append(archive(n).into()).await.unwrap().offset);
    }
    ends.push(journal.status().await.unwrap().size);
    ends.remove(0);
    drop(journal);
    let whole = fs::read(source.path().join(OPEN)).unwrap();
    assert_eq!(
        (ends.len(), *ends.last().unwrap()),
        (50, whole.len() as u64)
    );

    for cut in 0..=whole.len() {
        let dir = tempdir();
        fs::write(dir.path().join(OPEN), &whole[..cut]).unwrap();
        let journal = open(dir.path()).await;

        let kept = ends.iter().filter(|&&end| end <= cut as u64).count();
        let end = if kept > 0 {
            ends[kept - 1]
        } else {
            18.min(cut as u64)
        };
        let expected: Vec<_> = (0..kept as u64).map(archive).collect();
        assert_eq!(open_frames(dir.path()), expected, "cut at {cut}");
        assert_eq!(
            journal.status().await.unwrap().frames,
            kept as u64,
            "cut at {cut}"
        );
        assert_eq!(journal.recovery().set_aside, None, "cut at {cut}");
        // Less than a header is torn altogether.
        let torn = if cut < 18 {
            cut as u64
        } else {
            cut as u64 - end
        };
        assert_eq!(journal.recovery().torn, torn, "cut at {cut}");

        journal.append(archive(1000).into()).await.unwrap();
        let batch = journal.force_rotate().await.unwrap().unwrap();
        let frames = batch_frames(&journal, &batch).await;
        assert_eq!(
            frames,
            expected
                .into_iter()
                .chain([archive(1000)])
                .collect::<Vec<_>>(),
            "cut at {cut}"
        );
    }
}

/// After a power failure a file may have its length without its bytes.
#[tokio::test]
async fn zeros_after_the_last_frame_are_a_torn_tail() {
    for zeros in [1, 2, 100, 5000] {
        let dir = tempdir();
        let journal = open(dir.path()).await;
        journal.append(archive(1).into()).await.unwrap();
        drop(journal);
        let path = dir.path().join(OPEN);
        let mut file = fs::read(&path).unwrap();
        file.resize(file.len() + zeros, 0);
        fs::write(&path, file).unwrap();

        let journal = open(dir.path()).await;
        assert_eq!(
            (
                journal.recovery().torn,
                journal.recovery().set_aside.clone()
            ),
            (zeros as u64, None)
        );
        assert_eq!(open_frames(dir.path()), [archive(1)]);
    }
    let dir = tempdir();
    fs::write(dir.path().join(OPEN), [0; 64]).unwrap();
    let journal = open(dir.path()).await;
    assert_eq!(
        (
            journal.recovery().torn,
            journal.recovery().set_aside.clone()
        ),
        (64, None)
    );
}

/// An archive may hold what looks like a frame; torn in there, it is torn all the same unless that
/// frame is whole.
#[tokio::test]
async fn frames_within_frames() {
    let inner = tempdir();
    let journal = open(inner.path()).await;
    journal.append(archive(39).into()).await.unwrap();
    drop(journal);
    let nested = fs::read(inner.path().join(OPEN)).unwrap();

    let dir = tempdir();
    let journal = open(dir.path()).await;
    journal.append(nested.clone().into()).await.unwrap();
    drop(journal);
    let path = dir.path().join(OPEN);
    let whole = fs::read(&path).unwrap();
    for cut in 19..whole.len() - 1 {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(
            open(dir.path()).await.recovery().torn,
            cut as u64 - 18,
            "cut at {cut}"
        );
    }
}

#[tokio::test]
async fn a_second_handle_is_refused_and_a_closed_one_makes_room() {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let second = FsJournal::open(dir.path(), Default::default()).await;
    assert!(
        matches!(second, Err(storehouse_local::Error::InUse { .. })),
        "{second:?}"
    );
    drop(journal);
    open(dir.path()).await;
}
