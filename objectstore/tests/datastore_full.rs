//! A disk that is full, by the real file system: writes fail, what was acknowledged stays and can
//! be read, and once there is room all goes on.
//!
//! The disk's part is played by a file-size limit of a child process, which needs no privilege: the
//! system's error is another, the place is the same. A disk that fills up as a whole, between any
//! two bytes, is in the crate's own tests.

use std::path::PathBuf;
use std::process::Command;

use bytes::Bytes;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use storehouse_objectstore::{
    Batch, Datastore, DatastoreOptions, Key, ObjectStore, ObjectStoreExt,
};

const OPTIONS: DatastoreOptions = DatastoreOptions {
    max_size: 1 << 20,
    cache: 64 << 10,
    write_buffer: 128 << 10,
    salvage: false,
};

fn key(number: u64) -> Key {
    Key::new(format!("record/{number:06}")).unwrap()
}

fn value(number: u64) -> Bytes {
    vec![number as u8; 300 + number as usize % 700].into()
}

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
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // SIGXFSZ is ignored, so that the limit is an error of the write.
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "filling_it",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("STOREHOUSE_TEST_DIR", dir.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "the part of the child process"]
fn filling_it() {
    let dir = PathBuf::from(
        std::env::var_os("STOREHOUSE_TEST_DIR").expect("this test is the part of a child process"),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // No room at all, for a part of a group, for some groups, for a log but not for a table, for a
    // table but not for merges.
    for room in [0, 100, 5_000, 70_000, 131_072, 140_000, 300_000] {
        let dir = dir.join(room.to_string());
        runtime.block_on(async {
            let store = Datastore::open(&dir, OPTIONS).await.unwrap();
            let mut written = Vec::new();
            for number in 0..20 {
                store.put(&key(number), value(number)).await.unwrap();
                written.push(number);
            }
            limit_files_to(Some(room));
            let mut failures = 0;
            for number in 1000..3000 {
                match store.put(&key(number), value(number)).await {
                    Ok(_) => written.push(number),
                    Err(e) => {
                        assert!(
                            e.to_string().contains("cannot be written")
                                || std::error::Error::source(&e).is_some(),
                            "{room}: {e:?}"
                        );
                        failures += 1;
                        if failures == 20 {
                            break;
                        }
                    }
                }
            }
            assert!(
                failures == 20 || room >= 131_072,
                "with room for {room} bytes {failures} writes failed"
            );
            if failures == 20 {
                let both = Batch::new()
                    .put(key(9001), value(9001))
                    .put(key(9002), value(9002));
                store.batch(both).await.unwrap_err();
            }
            // What was acknowledged is there while the disk is full, and nothing of what was not.
            for number in &written {
                assert_eq!(
                    store.get_bytes(&key(*number), 2000).await.unwrap(),
                    value(*number),
                    "{room}: {number}"
                );
            }
            for number in [9001, 9002] {
                assert!(
                    store
                        .get_bytes(&key(number), 2000)
                        .await
                        .unwrap_err()
                        .is_not_found()
                );
            }
            limit_files_to(None);
            for number in 5000..5200 {
                store.put(&key(number), value(number)).await.unwrap();
                written.push(number);
            }
            store.health().await.unwrap();
            store.compact().await.unwrap();
            store.close().await.unwrap();
            let store = Datastore::open(&dir, OPTIONS).await.unwrap();
            for number in &written {
                assert_eq!(
                    store.get_bytes(&key(*number), 2000).await.unwrap(),
                    value(*number),
                    "{room}: {number}, opened again"
                );
            }
            assert!(store.check().await.unwrap().is_sound());
            store.close().await.unwrap();
        });
    }
}
