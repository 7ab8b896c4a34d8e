//! Bodies that two threads copy.

use std::ops::Range;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use futures_util::StreamExt;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::super::sys::Sys;
use super::super::{FlatFs, FlatFsOptions, SystemCalls};
use super::SlowDisk;
use storehouse_objectstore::{Body, Error, Key, ObjectStoreExt, Result};

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 21 * MIB + 12_345;

/// An object no two pieces of which are the same.
struct Fixture {
    dir: TempDir,
    runtime: Runtime,
    disk: Arc<SlowDisk>,
    store: FlatFs,
    key: Key,
    content: Vec<u8>,
}

impl Fixture {
    fn new(calls: SystemCalls) -> Self {
        let (dir, disk) = (tempfile::tempdir().unwrap(), SlowDisk::new(calls, "here"));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (key, mut state) = (Key::new("object").unwrap(), 1u64);
        let numbers = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        });
        let content: Vec<u8> = numbers.take(SIZE as usize).collect();
        let store = runtime.block_on(async {
            let sys = Arc::clone(&disk) as Arc<dyn Sys>;
            let store = FlatFs::open_with(dir.path().to_owned(), FlatFsOptions::default(), sys)
                .await
                .unwrap();
            store.put(&key, content.clone()).await.unwrap();
            store
        });
        disk.readers.lock().unwrap().clear();
        Self {
            dir,
            runtime,
            disk,
            store,
            key,
            content,
        }
    }

    async fn body(&self, range: Range<u64>) -> Body {
        self.store.get_range(&self.key, range).await.unwrap().body
    }

    /// How many threads read.
    fn readers(&self) -> usize {
        self.disk.readers.lock().unwrap().len()
    }

    /// Whether this system reads what is cached without waiting.
    fn reads_on_the_spot(&self) -> bool {
        let path = self
            .dir
            .path()
            .join(FlatFsOptions::default().shard.path("object"));
        self.disk
            .read_cached(&std::fs::File::open(path).unwrap(), &mut [0], 0)
            .is_some()
    }

    /// Until nobody reads any more.
    async fn quiet(&self) {
        while self.store.store.files.streams.count() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// All that came, and how it ended.
async fn read(mut body: Body) -> (Vec<u8>, Result<()>) {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => bytes.extend(piece),
            Err(e) => {
                assert!(body.next().await.is_none(), "nothing follows an error");
                return (bytes, Err(e));
            }
        }
    }
    (bytes, Ok(()))
}

#[test]
fn a_cached_body_is_whole_and_another_thread_helped() {
    let f = Fixture::new(SystemCalls::Native);
    f.runtime.block_on(async {
        let (bytes, end) = read(f.body(0..SIZE).await).await;
        end.unwrap();
        assert!(bytes == f.content);
        f.quiet().await;
    });
    // Without `preadv2` all of it is read by one thread at a time.
    if f.readers() > 0 && available_parallelism().unwrap().get() > 1 {
        assert!(f.readers() > 1, "nobody helped");
    }
}

#[test]
fn a_cached_body_can_be_read_outside_a_runtime() {
    let f = Fixture::new(SystemCalls::Native);
    let body = f.runtime.block_on(f.body(0..SIZE));
    if !f.reads_on_the_spot() {
        // Then all of it is read by blocking tasks, which take a runtime.
        return;
    }
    let (bytes, end) =
        futures_util::FutureExt::now_or_never(read(body)).expect("all of it at once");
    end.unwrap();
    assert!(bytes == f.content);
}

#[test]
fn where_many_bodies_are_read_each_is_by_its_own_thread() {
    let f = Fixture::new(SystemCalls::Native);
    f.runtime.block_on(async {
        let waiting: Vec<Body> =
            futures_util::stream::iter(0..available_parallelism().unwrap().get())
                .then(|_| f.body(0..SIZE))
                .collect()
                .await;
        let (bytes, end) = read(f.body(0..SIZE).await).await;
        end.unwrap();
        assert!(bytes == f.content);
        assert!(f.readers() <= 1, "{} threads", f.readers());
        drop(waiting);
    });
}

#[test]
fn a_body_that_is_dropped_ends_who_helps() {
    let f = Fixture::new(SystemCalls::Native);
    f.runtime.block_on(async {
        for pieces in 0..12 {
            let mut body = f.body(0..SIZE).await;
            for _ in 0..pieces {
                body.next().await.unwrap().unwrap();
            }
            drop(body);
            tokio::time::timeout(Duration::from_secs(60), f.quiet())
                .await
                .expect("somebody still reads");
        }
        assert_eq!(f.store.store.files.buffers.lent(), 0);
    });
}

#[test]
fn a_file_that_shrinks_is_truncated_where_it_ends() {
    for len in [0, 3 * MIB - 1, 10 * MIB, 10 * MIB + 1, SIZE - 1] {
        let f = Fixture::new(SystemCalls::Native);
        let path = f
            .dir
            .path()
            .join(FlatFsOptions::default().shard.path("object"));
        f.runtime.block_on(async {
            let mut body = f.body(0..SIZE).await;
            let first = body.next().await.unwrap().unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(len)
                .unwrap();
            let (rest, end) = read(body).await;
            let bytes = [&first[..], &rest].concat();
            // What was read ahead of the end may have come from before.
            assert!(
                f.content.starts_with(&bytes)
                    && bytes.len() as u64 >= len
                    && (bytes.len() as u64) < SIZE
            );
            match end.unwrap_err() {
                Error::Truncated {
                    expected, received, ..
                } => assert_eq!((expected, received), (SIZE, bytes.len() as u64)),
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn ranges_are_whole_whatever_of_them_is_cached() {
    let fixtures = [SystemCalls::Native, SystemCalls::Portable].map(Fixture::new);
    let ranges = (0..=SIZE, 0..=SIZE, 0..=SIZE, 0..=3 * MIB);
    proptest!(ProptestConfig::with_cases(24), |((one, other, uncached, len) in ranges)| {
        let range = one.min(other)..one.max(other).max(one.min(other) + 1).min(SIZE);
        prop_assume!(!range.is_empty());
        for f in &fixtures {
            *f.disk.uncached.lock().unwrap() = uncached..uncached + len;
            let (bytes, end) = f.runtime.block_on(async { read(f.body(range.clone()).await).await });
            end.unwrap();
            prop_assert!(bytes == f.content[range.start as usize..range.end as usize]);
        }
    });
}
