//! A process that appends, and is killed at any time: every frame that it was told of is there, in
//! order, again and again in one directory.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use storehouse_local::journal::{FsJournal, Journal, SyncPolicy};
use tokio::sync::oneshot;

use crate::support::{Random, batch_frames, child, child_dir, open_frames, rotating_at, tempdir};

const WRITERS: u64 = 3;
/// Small, so that rotations are killed too.
const ROTATE_AT: u64 = 4000;

/// Which writer's frame of which number.
fn frame(writer: u64, number: u64) -> Vec<u8> {
    let mut frame = [writer.to_le_bytes(), number.to_le_bytes()].concat();
    frame.resize(16 + (number as usize * 13) % 200, 0);
    frame
}

fn parse(frame: &[u8]) -> (u64, u64) {
    let field = |at: usize| u64::from_le_bytes(frame[at..at + 8].try_into().unwrap());
    (field(0), field(8))
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_kill() {
    let kills = std::env::var("STOREHOUSE_TEST_KILLS").map_or(200, |kills| {
        kills.parse().expect("STOREHOUSE_TEST_KILLS is a number")
    });
    // On a disk, where files are synced.
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(4711);
    let mut next: BTreeMap<u64, u64> = (0..WRITERS).map(|writer| (writer, 0)).collect();
    let mut rotated = 0;
    for round in 0..kills {
        let from = next
            .values()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let mut process = child("kill::appending", dir.path())
            .env("STOREHOUSE_TEST_FROM", from)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("appending now") {
            line.clear();
            assert!(
                lines.read_line(&mut line).unwrap() > 0,
                "the child ended before it began"
            );
        }
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        process.kill().unwrap();
        process.wait().unwrap();
        let mut told = String::new();
        lines.read_to_string(&mut told).unwrap();

        let journal = FsJournal::open(dir.path(), rotating_at(ROTATE_AT, SyncPolicy::EveryAppend))
            .await
            .unwrap();
        assert_eq!(journal.recovery().set_aside, None, "kill {round}");
        // Whole batches first, by what they begin with: times of rotation may be equal.
        let mut batches = Vec::new();
        for batch in journal.pending().await.unwrap() {
            batches.push(batch_frames(&journal, &batch.cid).await);
            journal.remove(&batch.cid).await.unwrap();
        }
        rotated += batches.len();
        let position = |frames: &Vec<Vec<u8>>| {
            frames.iter().map(|frame| parse(frame)).fold(
                [u64::MAX; WRITERS as usize],
                |mut first, (w, n)| {
                    first[w as usize] = first[w as usize].min(n);
                    first
                },
            )
        };
        batches.sort_by_key(position);
        let mut at = next.clone();
        batches.push(open_frames(dir.path()));
        for found in batches.concat() {
            let (writer, number) = parse(&found);
            assert_eq!(found, frame(writer, number));
            let expected = at.get_mut(&writer).unwrap();
            // The batch that was open a round ago begins with frames that were seen then.
            if number >= *expected {
                assert_eq!(number, *expected, "kill {round}, writer {writer}");
                *expected += 1;
            }
        }
        for line in told.lines() {
            let Some((writer, number)) = line.split_once(' ') else {
                continue;
            };
            let (Ok(writer), Ok(number)) = (writer.parse::<u64>(), number.parse::<u64>()) else {
                continue;
            };
            assert!(
                number < at[&writer],
                "kill {round}: frame {number} of writer {writer} was acknowledged and is gone"
            );
        }
        next = at;
    }
    assert!(
        next.values().all(|&number| number > 0) && rotated > 0,
        "{next:?}, {rotated} rotations"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the part of a child process"]
async fn appending() {
    let journal = FsJournal::open(child_dir(), rotating_at(ROTATE_AT, SyncPolicy::EveryAppend))
        .await
        .unwrap();
    let from = std::env::var("STOREHOUSE_TEST_FROM").unwrap();
    println!("appending now");
    let (_never, forever) = oneshot::channel::<()>();
    for (writer, from) in from.split(',').enumerate() {
        let (journal, mut number, writer) = (journal.clone(), from.parse().unwrap(), writer as u64);
        tokio::spawn(async move {
            loop {
                journal.append(frame(writer, number).into()).await.unwrap();
                // One write, so that a line is there or not.
                std::io::stdout()
                    .write_all(format!("{writer} {number}\n").as_bytes())
                    .unwrap();
                number += 1;
            }
        });
    }
    let _ = forever.await;
}

/// The lock is the process's, and ends with it.
#[test]
fn a_killed_process_leaves_no_lock() {
    let dir = tempdir();
    let mut process = child("kill::appending", dir.path())
        .env("STOREHOUSE_TEST_FROM", "0,0,0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().contains("appending now") {}
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let second = runtime.block_on(FsJournal::open(dir.path(), Default::default()));
    assert!(
        matches!(second, Err(storehouse_local::Error::InUse { .. })),
        "{second:?}"
    );
    process.kill().unwrap();
    process.wait().unwrap();
    runtime
        .block_on(FsJournal::open(dir.path(), Default::default()))
        .unwrap();
}
