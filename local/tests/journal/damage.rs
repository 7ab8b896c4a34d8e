//! Damage that no torn write explains: nothing is thrown away.

use std::fs;

use storehouse_local::journal::{BatchReader, Journal};

use crate::support::{OPEN, archive, batch_frames, open, tempdir};

#[tokio::test]
async fn a_batch_with_any_byte_changed_is_set_aside_whole() {
    let source = tempdir();
    let journal = open(source.path()).await;
    for n in 10..16 {
        journal.append(archive(n).into()).await.unwrap();
    }
    // Long enough for a length of two bytes.
    journal.append(vec![7; 300].into()).await.unwrap();
    drop(journal);
    let whole = fs::read(source.path().join(OPEN)).unwrap();

    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            let dir = tempdir();
            fs::write(dir.path().join(OPEN), &damaged).unwrap();
            let journal = open(dir.path()).await;
            let recovery = journal.recovery();
            let aside = recovery
                .set_aside
                .as_ref()
                .unwrap_or_else(|| panic!("byte {at} ^ {flip:#x}: {recovery:?}"));
            assert_eq!(recovery.torn, 0);
            assert_eq!(
                fs::read(&aside.path).unwrap(),
                damaged,
                "byte {at} ^ {flip:#x}"
            );
            assert!(aside.offset <= at as u64);
            assert_eq!(fs::metadata(dir.path().join(OPEN)).unwrap().len(), 18);
            assert!(journal.list().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn appending_goes_on_and_what_is_whole_can_be_read_and_appended_again() {
    let dir = tempdir();
    let path = dir.path().join(OPEN);
    for round in 1..=3 {
        let journal = open(dir.path()).await;
        for n in 0..5 {
            journal.append(archive(n).into()).await.unwrap();
        }
        drop(journal);
        let mut file = fs::read(&path).unwrap();
        let third = file
            .windows(8)
            .position(|window| window == 2_u64.to_le_bytes())
            .unwrap();
        file[third] ^= 1;
        fs::write(&path, &file).unwrap();

        let journal = open(dir.path()).await;
        let aside = journal.recovery().set_aside.clone().unwrap();
        assert_eq!(aside.frames, 2);
        assert!(
            aside
                .path
                .ends_with(format!("egress.car.wip.damaged-{round}")),
            "{aside:?}"
        );

        let frames: Vec<_> = BatchReader::new(fs::File::open(&aside.path).unwrap())
            .unwrap()
            .collect();
        assert_eq!(
            frames.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, true, false, true, true]
        );
        for frame in frames.into_iter().flatten() {
            journal.append(frame.archive.into()).await.unwrap();
        }
        let batch = journal.force_rotate().await.unwrap().unwrap();
        assert_eq!(
            batch_frames(&journal, &batch).await,
            [0, 1, 3, 4].map(archive)
        );
        drop(journal);
        assert_eq!(open(dir.path()).await.recovery(), &Default::default());
    }
}
