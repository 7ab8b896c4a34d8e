//! Flipped bits in a file of small records, whose keys and tree are much of it. The environment
//! variable `STOREHOUSE_FLIPS` sets how many.

use std::fs;
use std::path::Path;

use futures_util::TryStreamExt;
use storehouse_objectstore::{Batch, Key, ObjectStoreExt};
use storehouse_redb::{Redb, RedbOptions};

const RECORDS: u64 = 400;

fn key(number: u64) -> Key {
    Key::new(format!("allocation/{:0>40}/{number:0>8}", number / 7)).unwrap()
}

fn value(number: u64) -> String {
    format!("the record of {number}")
}

fn options() -> RedbOptions {
    RedbOptions::default().cache(64 << 10).reserve(0)
}

/// A number that follows from another one.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 20
}

async fn filled(dir: &Path) {
    let store = Redb::open(dir, options()).await.unwrap();
    for start in (0..RECORDS).step_by(20) {
        let numbers = start..start + 20;
        let batch = numbers.fold(Batch::new(), |batch, number| {
            batch.put(key(number), value(number))
        });
        store.batch(batch).await.unwrap();
    }
    store.close().await.unwrap();
}

/// What is wrong with what the store says; an error is never wrong.
async fn wrong(store: &Redb) -> Vec<String> {
    let mut wrong = Vec::new();
    for number in 0..RECORDS {
        match store.get_bytes(&key(number), 1 << 20).await {
            Ok(found) if found == value(number) => {}
            Ok(found) => wrong.push(format!("{number} is {found:?}")),
            Err(e) if e.is_not_found() => wrong.push(format!("{number} is not there")),
            Err(_) => {}
        }
    }
    let parts = (0..RECORDS).step_by(7).map(|number| {
        let key = key(number);
        let (prefix, _) = key.as_str().rsplit_once('/').unwrap();
        (format!("{prefix}/"), 7.min(RECORDS - number) as usize)
    });
    for (prefix, expected) in parts.chain([(String::new(), RECORDS as usize)]) {
        let listed: Result<Vec<_>, _> = store.list_prefix(&prefix).try_collect().await;
        if let Ok(listed) = listed
            && listed.len() != expected
        {
            wrong.push(format!(
                "{} of {expected} are listed below {prefix:?}",
                listed.len()
            ));
        }
    }
    wrong
}

#[tokio::test]
async fn no_flipped_bit_hides_a_record() {
    let flips: u64 = std::env::var("STOREHOUSE_FLIPS").map_or(60, |flips| flips.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (whole, run) = (dir.path().join("whole"), dir.path().join("run"));
    filled(&whole).await;
    let names = ["MARK", "records.redb"];
    let bytes = fs::read(whole.join("records.redb")).unwrap();
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let (mut refused, mut least) = (0, RECORDS);
    for flip in 0..flips {
        let (at, bit) = (used[mix(flip) as usize % used.len()], mix(!flip) % 8);
        let damage = |dir: &Path| {
            let _ = fs::remove_dir_all(dir);
            fs::create_dir(dir).unwrap();
            for name in names {
                fs::copy(whole.join(name), dir.join(name)).unwrap();
            }
            let mut flipped = bytes.clone();
            flipped[at] ^= 1_u8 << bit;
            fs::write(dir.join("records.redb"), flipped).unwrap();
        };
        damage(&run);
        match Redb::open(&run, options()).await {
            Ok(store) => {
                let found = wrong(&store).await;
                assert!(found.is_empty(), "byte {at}, bit {bit}: {found:#?}");
                let closed = store.close().await;
                assert!(closed.is_ok(), "byte {at}, bit {bit}: {closed:?}");
            }
            Err(_) => {
                refused += 1;
                damage(&run);
                let salvaged = Redb::open(&run, options().salvage(true)).await;
                let store = salvaged.unwrap_or_else(|e| panic!("byte {at}, bit {bit}: {e}"));
                let mut found = 0;
                for number in 0..RECORDS {
                    if let Ok(bytes) = store.get_bytes(&key(number), 1 << 20).await {
                        assert_eq!(bytes, value(number), "byte {at}, bit {bit}");
                        found += 1;
                    }
                }
                least = least.min(found);
                store.close().await.unwrap();
            }
        }
    }
    println!("{flips} flips, {refused} refused, of them at least {least} of {RECORDS} salvaged");
    assert!(
        least > RECORDS / 2,
        "only {least} of {RECORDS} were salvaged"
    );
}

#[tokio::test]
async fn what_redb_does_not_open_is_made_anew_from_its_records() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let store = Redb::open(dir.path(), options()).await.unwrap();
    store.put(&key(3), "newer").await.unwrap();
    store.close().await.unwrap();
    // The file's head is gone.
    let file = dir.path().join("records.redb");
    let mut bytes = fs::read(&file).unwrap();
    bytes[..512].fill(0);
    fs::write(&file, &bytes).unwrap();
    let refused = Redb::open(dir.path(), options()).await.unwrap_err();
    assert!(refused.to_string().contains("records.redb"), "{refused}");

    let store = Redb::open(dir.path(), options().salvage(true))
        .await
        .unwrap();
    for number in 0..RECORDS {
        let expected = if number == 3 {
            "newer".to_owned()
        } else {
            value(number)
        };
        assert_eq!(
            store.get_bytes(&key(number), 1 << 20).await.unwrap(),
            expected
        );
    }
    let said = store.check().await.unwrap().files;
    assert!(said[0].contains("records.redb.damaged.1"), "{said:?}");
    assert_eq!(
        fs::read(dir.path().join("records.redb.damaged.1")).unwrap(),
        bytes
    );
    store.put(&key(5), "after").await.unwrap();
    store.close().await.unwrap();

    let store = Redb::open(dir.path(), options()).await.unwrap();
    assert_eq!(store.get_bytes(&key(5), 1 << 20).await.unwrap(), "after");
    fs::remove_file(dir.path().join("records.redb.damaged.1")).unwrap();
    assert!(store.check().await.unwrap().is_sound());
}
