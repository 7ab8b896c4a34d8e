//! Durable puts of 1 KiB from many writers, each waiting for its own before it goes on.
//!
//! Every round ends with a sync of the file system, within its time, so that work left for later is
//! not done in another's round.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use object_store::ObjectStoreExt as _;
use sha2::{Digest, Sha256};
use storehouse_flatfs::{FlatFs, FlatFsOptions, ShardFunction};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt as _};

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers::{self, OBJECT_STORE, RAW, STOREHOUSE};

const WITH_LOG: &str = "storehouse flatfs, log";

const WRITERS: usize = 64;
const SIZE: usize = 1024;

pub(crate) fn run(options: &Options) -> Report {
    let dirs = [(); 4].map(|()| options.tempdir());
    let runtime = runtime();
    let each = options.pick(600, 10);
    let body = Bytes::from(vec![7; SIZE]);
    let store: Arc<dyn ObjectStore> = Arc::new(runtime.block_on(peers::flatfs(dirs[0].path())));
    let with_log = FlatFs::open(dirs[3].path(), FlatFsOptions::default().log(true));
    let with_log: Arc<dyn ObjectStore> = Arc::new(runtime.block_on(with_log).expect("a flatfs"));
    let other: Arc<dyn object_store::ObjectStore> =
        Arc::new(peers::object_store(dirs[1].path()).with_fsync(true));
    let names = Names::default();

    let table = Table::measure(
        "puts a second",
        options.pick(5, 3),
        vec![
            Contender::new(RAW, || raw(dirs[2].path(), &names, each)),
            Contender::on(&runtime, STOREHOUSE, || {
                ours(&store, &body, each, &names, dirs[0].path())
            }),
            Contender::on(&runtime, WITH_LOG, || {
                ours(&with_log, &body, each, &names, dirs[3].path())
            }),
            Contender::on(&runtime, OBJECT_STORE, || {
                let (store, body) = (Arc::clone(&other), body.clone());
                writers(each, &names, dirs[1].path(), move |name| {
                    let (store, body) = (Arc::clone(&store), body.clone());
                    // Under the same directories, so that both spread their syncs alike.
                    let path = format!("{}/{name}.data", ShardFunction::default().shard(&name));
                    async move { drop(store.put(&path.into(), body.into()).await.expect("a put")) }
                })
            }),
        ],
    );
    let mut report = Report::default();
    report.at_least(
        "times as fast as object_store, which syncs file and directory too",
        table.ratio(STOREHOUSE, OBJECT_STORE),
        1.0,
    );
    report.at_least(
        "with the log, times as fast as object_store",
        table.ratio(WITH_LOG, OBJECT_STORE),
        2.5,
    );
    report.table("1 KiB, 64 writers", table);
    report
}

/// Names of blobs, none twice.
#[derive(Clone, Default)]
struct Names(Arc<AtomicUsize>);

impl Names {
    fn next(&self) -> String {
        let digest = Sha256::digest(self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        format!(
            "{}a",
            digest
                .iter()
                .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte % 32)]))
                .collect::<String>()
        )
    }
}

/// Puts into a store of ours.
fn ours(
    store: &Arc<dyn ObjectStore>,
    body: &Bytes,
    each: usize,
    names: &Names,
    dir: &Path,
) -> BoxFuture<'static, f64> {
    let (store, body) = (Arc::clone(store), body.clone());
    writers(each, names, dir, move |name| {
        let (store, body) = (Arc::clone(&store), body.clone());
        async move {
            let key = Key::new(name).expect("a key");
            drop(store.put(&key, body).await.expect("a put"));
        }
    })
}

fn writers<F, R>(each: usize, names: &Names, dir: &Path, put: F) -> BoxFuture<'static, f64>
where
    F: Fn(String) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (names, dir) = (names.clone(), dir.to_owned());
    async move {
        let started = Instant::now();
        let tasks = (0..WRITERS).map(|_| {
            let (put, names) = (put.clone(), names.clone());
            tokio::spawn(async move {
                for _ in 0..each {
                    put(names.next()).await;
                }
            })
        });
        for task in join_all(tasks).await {
            task.expect("a task");
        }
        tokio::task::spawn_blocking(move || sync(dir))
            .await
            .expect("a sync");
        (WRITERS * each) as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}

/// A thread for each writer; each file written, synced, renamed into place, and its directory
/// synced.
fn raw(dir: &Path, names: &Names, each: usize) -> f64 {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..each {
                    let name = names.next();
                    let (temp, shard) = (
                        dir.join(&name),
                        dir.join(ShardFunction::default().shard(&name)),
                    );
                    let mut file = OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .open(&temp)
                        .expect("a file");
                    file.write_all(&[7; SIZE]).expect("a write");
                    file.sync_data().expect("a sync");
                    fs::create_dir_all(&shard).expect("a directory");
                    fs::rename(&temp, shard.join(name)).expect("a rename");
                    File::open(&shard)
                        .and_then(|dir| dir.sync_all())
                        .expect("a sync");
                }
            });
        }
    });
    sync(dir.to_owned());
    (WRITERS * each) as f64 / started.elapsed().as_secs_f64()
}

/// Syncs the file system of `dir`.
fn sync(dir: PathBuf) {
    let dir = File::open(dir).expect("a directory");
    rustix::fs::syncfs(dir).expect("a sync");
}
