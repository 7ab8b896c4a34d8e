//! A disk that is full in the middle of an append and of a rotation, and then has space again. The
//! disk's part is played by a file-size limit of a child process, which needs no privilege; the
//! error is another, the place is the same.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use storehouse_local::journal::{FsJournal, Journal, Retention, SyncPolicy};

use crate::support::{
    OPEN, archive, batch_frames, child, child_dir, open_frames, rotating_at, tempdir,
};

fn limit_files_to(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: bytes.or(maximum),
            maximum,
        },
    )
    .unwrap();
}

#[test]
fn a_full_disk() {
    let dir = tempdir();
    for part in ["full::while_appending", "full::while_rotating"] {
        let output = child(part, &dir.path().join(part)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[tokio::test]
#[ignore = "the part of a child process"]
async fn while_appending() {
    for policy in [SyncPolicy::EveryAppend, SyncPolicy::OnRotation] {
        let dir = child_dir().join(format!("{policy:?}"));
        let journal = FsJournal::open(&dir, rotating_at(1 << 20, policy))
            .await
            .unwrap();
        let mut written = Vec::new();
        limit_files_to(Some(10_000));
        let error = loop {
            let frame = vec![written.len() as u8; 700];
            match journal.append(frame.clone().into()).await {
                Ok(_) => written.push(frame),
                Err(error) => break error,
            }
        };
        assert!(error.is_full(), "{error:?}");
        assert_eq!(written.len(), (10_000 - 18) / 739);
        // Still full: the same. The file holds whole frames only, every time.
        for _ in 0..3 {
            assert!(
                journal
                    .append(vec![9; 700].into())
                    .await
                    .unwrap_err()
                    .is_full()
            );
            assert_eq!(open_frames(&dir), written);
            assert_eq!(
                journal.status().await.unwrap().size,
                fs::metadata(dir.join(OPEN)).unwrap().len()
            );
        }
        // A smaller one fits still.
        journal.append(archive(1).into()).await.unwrap();
        written.push(archive(1));
        // Many at once: each is told for itself.
        let fit =
            futures_util::future::join_all((0..20).map(|n| journal.append(vec![n; 100].into())))
                .await;
        for (n, result) in fit.into_iter().enumerate() {
            if result.is_ok() {
                written.push(vec![n as u8; 100]);
            }
        }
        assert_eq!(open_frames(&dir), written);

        limit_files_to(None);
        journal.append(vec![8; 700].into()).await.unwrap();
        written.push(vec![8; 700]);
        let batch = journal.force_rotate().await.unwrap().unwrap();
        assert_eq!(batch_frames(&journal, &batch).await, written);
    }
}

#[tokio::test]
#[ignore = "the part of a child process"]
async fn while_rotating() {
    let dir = child_dir();
    let journal = FsJournal::open(&dir, rotating_at(1 << 20, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    journal.append(archive(1).into()).await.unwrap();

    // The batch is renamed; the next one's header finds no space.
    limit_files_to(Some(7));
    let first = journal.force_rotate().await.unwrap().unwrap();
    assert_eq!(batch_frames(&journal, &first).await, [archive(1)]);
    assert!(
        journal
            .append(archive(2).into())
            .await
            .unwrap_err()
            .is_full()
    );
    assert!(journal.status().await.unwrap_err().is_full());
    assert!(
        !dir.join(OPEN).exists(),
        "a batch without its header is left for readers to find"
    );
    assert!(journal.acknowledge(&first).await.unwrap_err().is_full());
    assert_eq!(journal.pending().await.unwrap().len(), 1);

    limit_files_to(None);
    journal.append(archive(3).into()).await.unwrap();
    let second = journal.force_rotate().await.unwrap().unwrap();
    assert_eq!(batch_frames(&journal, &second).await, [archive(3)]);
    journal.acknowledge(&first).await.unwrap();
    assert_eq!(
        journal
            .pending()
            .await
            .unwrap()
            .iter()
            .map(|batch| batch.cid.clone())
            .collect::<Vec<_>>(),
        [second]
    );
    assert!(journal.status().await.unwrap().background_error.is_none());

    // The process ends while the disk is full: the next one goes on all the same.
    limit_files_to(Some(7));
    journal.append(archive(4).into()).await.unwrap_err();
    drop(journal);
    limit_files_to(None);
    let journal = FsJournal::open(&dir, rotating_at(1 << 20, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    journal.append(archive(5).into()).await.unwrap();
    assert_eq!(open_frames(&dir), [archive(5)]);
}

/// A file system of its own, which is really full. The journal opens, hands over, acknowledges and
/// removes; appends go on once there is space.
#[test]
#[ignore = "needs to mount a file system, which not every machine lets a user do"]
fn a_full_file_system() {
    let dir = tempdir();
    let child = child("full::on_a_full_file_system", dir.path());
    let mount = "mount -t tmpfs -o size=1m storehouse \"$STOREHOUSE_TEST_DIR\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        mount,
        "sh",
    ]);
    command.arg(child.get_program()).args(child.get_args());
    let output = command
        .env("STOREHOUSE_TEST_DIR", dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Takes all space that is left.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    while file.write_all(&[1; 1024]).is_ok() {}
    while file.write_all(&[1]).is_ok() {}
}

#[tokio::test]
#[ignore = "the part of a child process"]
async fn on_a_full_file_system() {
    let dir = child_dir();
    let (filler, reserve) = (dir.join("filler"), dir.join("journal/.reserve"));
    let dir = dir.join("journal");
    let options = rotating_at(1 << 20, SyncPolicy::EveryAppend);
    let journal = FsJournal::open(&dir, options).await.unwrap();
    let mut batches = Vec::new();
    for n in 0..5 {
        journal.append(vec![n; 3000].into()).await.unwrap();
        batches.push(journal.force_rotate().await.unwrap().unwrap());
    }
    fill(&filler);
    let error = journal.append(vec![9; 100_000].into()).await.unwrap_err();
    assert!(error.is_full(), "{error:?}");
    // A rotation needs a new file, and the reserve makes room for it.
    journal.append(archive(1).into()).await.unwrap();
    batches.push(journal.force_rotate().await.unwrap().unwrap());
    assert!(!reserve.exists());
    journal.close().await.unwrap();

    // A crash took the open batch, and there is no space for another.
    fs::remove_file(dir.join(OPEN)).unwrap();
    fs::remove_file(&filler).unwrap();
    fill(&filler);
    let journal = FsJournal::open(&dir, options).await.unwrap();
    assert_eq!(journal.pending().await.unwrap().len(), 6);
    assert_eq!(batch_frames(&journal, &batches[0]).await, [vec![0; 3000]]);
    let error = journal.append(archive(2).into()).await.unwrap_err();
    assert!(error.is_full(), "{error:?}");
    assert!(journal.status().await.unwrap_err().is_full());
    // What is removed makes room, for an acknowledgement as for a new batch.
    journal.remove(&batches[0]).await.unwrap();
    journal.acknowledge(&batches[1]).await.unwrap();
    let everything = Retention::default().total_above(0);
    assert_eq!(journal.gc(everything).await.unwrap()[0].cid, batches[1]);

    fs::remove_file(&filler).unwrap();
    journal.append(archive(3).into()).await.unwrap();
    journal.remove(&batches[2]).await.unwrap();
    assert!(reserve.exists(), "the reserve is made again");
    fill(&filler);
    // Two acknowledgements on a disk that is full again.
    journal.acknowledge(&batches[3]).await.unwrap();
    journal.acknowledge(&batches[4]).await.unwrap();
    assert_eq!(journal.gc(everything).await.unwrap().len(), 2);
    assert_eq!(open_frames(&dir), [archive(3)]);
}
