//! Damage that no torn write explains: the file is set aside, and every frame whose hash is right
//! goes on in a new batch.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use storehouse_local::journal::{BatchReader, FsJournal, Journal, MAX_ARCHIVE, Recovery, SetAside};

use crate::support::{OPEN, Random, archive, batch_frames, open, open_frames, tempdir};

/// A batch with these archives, and where each frame begins and ends in it.
async fn batch_of(archives: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let dir = tempdir();
    let journal = open(dir.path()).await;
    let mut starts = Vec::new();
    for archive in archives {
        let appended = journal.append(archive.clone().into()).await.unwrap();
        starts.push(appended.offset as usize);
    }
    journal.close().await.unwrap();
    let batch = fs::read(dir.path().join(OPEN)).unwrap();
    let ends = starts.iter().skip(1).copied().chain([batch.len()]);
    let frames = starts.iter().zip(ends).map(|(&start, end)| start..end);
    (batch.clone(), frames.collect())
}

/// Opens a directory whose open batch has these bytes.
async fn open_with(dir: &Path, batch: &[u8]) -> FsJournal {
    fs::write(dir.join(OPEN), batch).unwrap();
    open(dir).await
}

fn aside(journal: &FsJournal) -> SetAside {
    let recovery = journal.recovery();
    recovery
        .set_aside
        .clone()
        .unwrap_or_else(|| panic!("{recovery:?}"))
}

/// The bytes of a frame's length and of the start of its CID do not matter if the rest is whole:
/// only a flip in the hash or in the archive takes a frame away, and that one alone.
#[tokio::test]
async fn one_flipped_bit_takes_one_frame_at_most() {
    // The last ones are long enough for lengths of two and three bytes.
    let mut archives: Vec<_> = (10..15).map(archive).collect();
    archives.extend([vec![7; 300], archive(16), vec![8; 17_000], archive(17)]);
    let (whole, frames) = batch_of(&archives).await;
    let width = |frame: &Range<usize>, archive: &[u8]| frame.len() - 37 - archive.len();

    let near = |at: usize| {
        frames
            .iter()
            .any(|frame| at < frame.start + 60 && frame.start <= at)
    };
    for at in (0..whole.len()).filter(|&at| near(at) || at % 97 == 0 || at < 18) {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let dir = tempdir();
            let journal = open_with(dir.path(), &damaged).await;
            let case = format!("byte {at} ^ {flip:#x}");

            let aside = aside(&journal);
            assert_eq!(journal.recovery().torn, 0, "{case}");
            assert_eq!(fs::read(&aside.path).unwrap(), damaged, "{case}");
            assert!(aside.offset <= at as u64 && aside.complete, "{case}");
            let hit = frames.iter().zip(&archives).position(|(frame, archive)| {
                (frame.start + width(frame, archive) + 5..frame.end).contains(&at)
            });
            let kept: Vec<_> = (0..archives.len()).filter(|n| Some(*n) != hit).collect();
            let expected: Vec<_> = kept.iter().map(|&n| archives[n].clone()).collect();
            assert_eq!(open_frames(dir.path()), expected, "{case}");
            let status = journal.status().await.unwrap();
            assert_eq!(status.frames, expected.len() as u64, "{case}");
            assert_eq!(aside.frames, status.frames, "{case}");
            assert_eq!(status.recovery, journal.recovery(), "{case}");
            let lost = match hit {
                Some(hit) => frames[hit].len(),
                None if at < 18 => 18,
                None => 0,
            };
            assert_eq!(aside.lost, lost as u64, "{case}");

            // Appending goes on, and the next opening finds nothing wrong.
            if at % 16 == 0 {
                journal.append(archive(99).into()).await.unwrap();
                journal.close().await.unwrap();
                let journal = open(dir.path()).await;
                assert!(journal.recovery().is_clean(), "{case}");
                let batch = journal.force_rotate().await.unwrap().unwrap();
                let found = batch_frames(&journal, &batch).await;
                assert_eq!(found, [expected, vec![archive(99)]].concat(), "{case}");
            }
        }
    }
}

/// Zeroed and overwritten ranges, flipped bits and a torn end, several at once: every frame that
/// none of them touches is kept, in order, and no frame is made up.
#[tokio::test]
async fn untouched_frames_survive_any_damage() {
    let mut random = Random(2026);
    for round in 0..400 {
        let archives: Vec<_> = (0..2 + random.below(30))
            .map(|n| {
                let mut archive = archive(1000 * round + n);
                archive.resize(8 + random.below(400) as usize, n as u8);
                archive
            })
            .collect();
        let (whole, frames) = batch_of(&archives).await;
        let mut damaged = whole.clone();
        let mut touched = Vec::new();
        for _ in 0..1 + random.below(4) {
            let start = random.below(whole.len() as u64) as usize;
            let len = [1, 1, 16, 512][random.below(4) as usize].min(whole.len() - start);
            let kind = random.below(3);
            for byte in &mut damaged[start..start + len] {
                *byte = match kind {
                    0 => *byte ^ (1 << random.below(8)),
                    1 => 0,
                    _ => random.below(256) as u8,
                };
            }
            touched.push(start..start + len);
        }
        if random.below(3) == 0 {
            let end = damaged.len() - random.below(200).min(damaged.len() as u64 - 1) as usize;
            damaged.truncate(end);
            touched.push(end..whole.len());
        }

        let dir = tempdir();
        let journal = open_with(dir.path(), &damaged).await;
        let found = open_frames(dir.path());
        let mut left = found.iter();
        for (frame, archive) in frames.iter().zip(&archives) {
            let whole = touched
                .iter()
                .all(|t| t.end <= frame.start || frame.end <= t.start);
            if whole {
                assert!(
                    left.any(|found| found == archive),
                    "round {round}: the frame at {frame:?} is gone, with damage at {touched:?}"
                );
            }
        }
        assert!(
            found.iter().all(|found| archives.contains(found)),
            "round {round}"
        );
        assert_eq!(journal.status().await.unwrap().frames, found.len() as u64);
        if let Some(aside) = &journal.recovery().set_aside {
            assert_eq!(fs::read(&aside.path).unwrap(), damaged, "round {round}");
        }
    }
}

/// An archive that consists of what looks like the beginnings of large frames is searched at a
/// bounded cost, and what comes after it is found.
#[tokio::test]
async fn a_search_through_decoys_is_bounded() {
    // Each says that 1 MiB or 32 MiB follow.
    let decoy = |length: &[u8]| [length, &[0x01, 0x82, 0x04, 0x12, 0x20], &[0xff]].concat();
    let decoys = [decoy(&[0xff, 0xff, 0x3f]), decoy(&[0xff, 0xff, 0xff, 0x0f])].concat();
    let hostile = decoys.repeat(2_000_000 / decoys.len());
    let archives = [archive(1), hostile, archive(2), vec![3; 1100], archive(4)];
    let (whole, frames) = batch_of(&archives).await;
    let hostile = frames[1].start;
    for (damage, expected) in [
        // The length alone: the archive is whole.
        (hostile..hostile + 1, vec![0, 1, 2, 3, 4]),
        // The length, the CID and some of the archive.
        (hostile..hostile + 60, vec![0, 2, 3, 4]),
    ] {
        let mut damaged = whole.clone();
        damaged[damage].fill(0xaa);
        let dir = tempdir();
        let started = Instant::now();
        open_with(dir.path(), &damaged).await.close().await.unwrap();
        // Hashing each decoy to its end would be hundreds of gigabytes.
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
        let expected: Vec<_> = expected.into_iter().map(|n| &archives[n]).collect();
        assert!(open_frames(dir.path()).iter().eq(expected));
    }
}

/// A crash while a damaged batch is replaced: the next opening does it again, and sets the same
/// file aside once.
#[tokio::test]
async fn a_crash_while_a_batch_is_replaced() {
    let (whole, frames) = batch_of(&[archive(1), archive(2), archive(3)]).await;
    let mut damaged = whole;
    damaged[frames[1].end - 1] ^= 1;
    let dir = tempdir();
    let path = dir.path().join(OPEN);
    fs::write(&path, &damaged).unwrap();
    // The new batch half written, and then the second name of the damaged one.
    fs::write(dir.path().join("egress.car.wip.salvaged"), &damaged[..30]).unwrap();
    fs::hard_link(&path, dir.path().join("egress.car.wip.damaged-1")).unwrap();

    let journal = open(dir.path()).await;
    let aside = aside(&journal);
    assert!(
        aside.path.ends_with("egress.car.wip.damaged-1"),
        "{aside:?}"
    );
    assert_eq!(fs::metadata(&aside.path).unwrap().nlink(), 1);
    assert_eq!(open_frames(dir.path()), [archive(1), archive(3)]);
    assert!(!dir.path().join("egress.car.wip.salvaged").exists());
    assert!(!dir.path().join("egress.car.wip.damaged-2").exists());
    let line = journal.recovery().to_string();
    assert!(
        line.contains("its 2 whole frames were kept") && !line.contains('\n'),
        "{line}"
    );
}

#[tokio::test]
async fn each_damaged_batch_is_set_aside_under_a_name_of_its_own() {
    let dir = tempdir();
    let path = dir.path().join(OPEN);
    let mut expected = Vec::new();
    for round in 1..=3 {
        let journal = open(dir.path()).await;
        for n in 0..5 {
            journal
                .append(archive(10 * round + n).into())
                .await
                .unwrap();
        }
        journal.close().await.unwrap();
        let mut file = fs::read(&path).unwrap();
        let third = file
            .windows(8)
            .position(|window| window == (10 * round + 2).to_le_bytes())
            .unwrap();
        file[third] ^= 1;
        fs::write(&path, &file).unwrap();

        let journal = open(dir.path()).await;
        let name = format!("egress.car.wip.damaged-{round}");
        let aside = aside(&journal);
        assert!(aside.path.ends_with(name), "{aside:?}");
        // The reader of batches tells the damaged frame from the others.
        let frames: Vec<_> = BatchReader::new(fs::File::open(&aside.path).unwrap())
            .unwrap()
            .map(|frame| frame.is_ok())
            .collect();
        assert_eq!(frames.iter().filter(|whole| !**whole).count(), 1);
        expected.extend([0, 1, 3, 4].map(|n| archive(10 * round + n)));
        assert_eq!(open_frames(dir.path()), expected);
        journal.close().await.unwrap();
    }
    let journal = open(dir.path()).await;
    assert_eq!(*journal.recovery(), Recovery::default());
    let batch = journal.force_rotate().await.unwrap().unwrap();
    assert_eq!(batch_frames(&journal, &batch).await, expected);
}

/// The largest frame there is, with its length damaged.
#[tokio::test]
async fn a_largest_frame_with_a_damaged_length_is_kept() {
    let archives = [archive(1), vec![1; MAX_ARCHIVE], archive(2)];
    let (mut batch, frames) = batch_of(&archives).await;
    batch[frames[1].start + 2] ^= 0x10;
    let dir = tempdir();
    open_with(dir.path(), &batch).await;
    assert!(open_frames(dir.path()) == archives);
}

/// A FIFO, a link to a device or a directory under a name of the journal's: nothing waits for it.
#[tokio::test]
async fn files_that_are_none() {
    for name in [OPEN, ".reserve"] {
        for kind in ["fifo", "device", "directory"] {
            let dir = tempdir();
            let journal = open(dir.path()).await;
            journal.append(archive(1).into()).await.unwrap();
            journal.close().await.unwrap();
            let path = dir.path().join(name);
            fs::remove_file(&path).unwrap();
            match kind {
                "fifo" => {
                    let made = std::process::Command::new("mkfifo").arg(&path).status();
                    assert!(made.unwrap().success());
                }
                "device" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let opened = FsJournal::open(dir.path(), Default::default());
            let opened = tokio::time::timeout(Duration::from_secs(10), opened);
            let opened = opened.await.expect("nothing hangs");
            // It works without its reserve.
            assert_eq!(
                opened.is_ok(),
                name == ".reserve",
                "{name} {kind}: {opened:?}"
            );
        }
    }
}
