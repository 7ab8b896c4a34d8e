//! Both ways with Piri's own flatfs: what is put here Go reads, what Go puts is read here, and both
//! go on in the same directory.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use futures_util::TryStreamExt;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_flatfs::{ShardFunction, SystemCalls};
use storehouse_objectstore::{Key, ObjectStoreExt};

type Objects = Vec<(String, Vec<u8>)>;

/// Keys of all lengths and characters, objects of some sizes.
fn objects(salt: &str) -> Objects {
    let alphabet = b"0123456789abcdefghijklmnopqrstuvwxyz+_=-";
    let keys = (1..=250)
        .step_by(7)
        .chain([1, 2, 3, 4, 250])
        .map(|len: usize| {
            let rest = (0..len).map(|i| char::from(alphabet[(i * 7 + len) % alphabet.len()]));
            salt.chars().chain(rest).take(len).collect::<String>()
        });
    let mut objects: Objects = keys
        .enumerate()
        .map(|(i, key)| (key, vec![i as u8; [0, 1, 1000, 70_000, 1_500_000][i % 5]]))
        .collect();
    objects.sort();
    objects.dedup_by(|a, b| a.0 == b.0);
    objects
}

/// Has Go read or write the objects; panics with its words if it cannot.
fn go(what: &str, dir: &Path, shard: ShardFunction, objects: &Objects) {
    let program = std::env::var_os("STOREHOUSE_TEST_GO_FLATFS")
        .expect("tests/go-flatfs/run names Go's program in STOREHOUSE_TEST_GO_FLATFS");
    let mut child = Command::new(program)
        .arg(what)
        .arg(dir)
        .arg(shard.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for (key, content) in objects {
        // Every byte of one object is the same.
        let hex = content
            .first()
            .map(|byte| format!("{byte:02x}").repeat(content.len()))
            .unwrap_or_default();
        if writeln!(stdin, "{key} {hex}").is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "Go: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        objects.len().to_string()
    );
}

async fn check(store: &FlatFs, objects: &Objects) {
    for (key, content) in objects {
        let found = store
            .get_bytes(&Key::new(key).unwrap(), u64::MAX)
            .await
            .unwrap();
        assert!(found == *content, "{key} has other bytes");
    }
}

#[tokio::test]
#[ignore = "needs Go: objectstore/flatfs/tests/go-flatfs/run"]
async fn both_ways_with_go() {
    for shard in [
        ShardFunction::NextToLast(2),
        ShardFunction::Prefix(3),
        ShardFunction::Suffix(1),
    ] {
        for system_calls in [SystemCalls::Native, SystemCalls::Portable] {
            let options = FlatFsOptions::default()
                .shard(shard)
                .system_calls(system_calls);
            let (ours, theirs) = (objects("ours"), objects("theirs"));
            let all = ours.len()
                + theirs
                    .iter()
                    .filter(|(key, _)| ours.iter().all(|(other, _)| other != key))
                    .count();
            let dir = tempfile::tempdir().unwrap();

            // A directory made here, then one made by Go.
            for made_by_go in [false, true] {
                let dir = dir.path().join(made_by_go.to_string());
                let (first, second) = if made_by_go {
                    (&theirs, &ours)
                } else {
                    (&ours, &theirs)
                };
                if made_by_go {
                    go("write", &dir, shard, first);
                }
                let store = FlatFs::open(&dir, options).await.unwrap();
                if made_by_go {
                    check(&store, first).await;
                }
                for (key, content) in &ours {
                    store
                        .put(&Key::new(key).unwrap(), content.clone())
                        .await
                        .unwrap();
                }
                drop(store);
                go("read", &dir, shard, &ours);
                if !made_by_go {
                    go("write", &dir, shard, second);
                }
                let store = FlatFs::open(&dir, options).await.unwrap();
                check(&store, if made_by_go { &ours } else { &theirs }).await;
                let listed: Vec<_> = store.list_prefix("").try_collect().await.unwrap();
                assert_eq!(listed.len(), all);
            }
        }
    }
}
