//! What only a test's disk can show: one that stands still (here), forgets (`power`), or fails to
//! sync (`recovery`).

#[cfg(target_os = "linux")]
mod checkpoint;
#[cfg(target_os = "linux")]
mod handle_cache;
mod power;
mod recovery;

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use futures_util::StreamExt;

use super::options::FlatFsOptions;
use super::store::FlatFs;
use storehouse_engine::files::{Sys, SystemCalls, pick};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt, Result};

/// The system's own calls over a disk that can stand still: while it does, nothing is cached, and
/// reads and opens wait. It can also fail to sync once.
#[derive(Debug)]
struct TestDisk {
    sys: Arc<dyn Sys>,
    still: Mutex<bool>,
    changed: Condvar,
    /// How often a call has come to wait.
    waiting: AtomicU64,
    failing: Mutex<FailingSync>,
    /// Names this run of the machine.
    instance: &'static str,
}

/// Which sync fails, and what that loses.
#[derive(Debug, Default)]
struct FailingSync {
    /// Syncs until the one that fails.
    after: Option<u64>,
    /// The file that it failed for, held so that no other file gets its inode.
    lost: Option<File>,
}

impl TestDisk {
    fn new(calls: SystemCalls, instance: &'static str) -> Arc<Self> {
        Arc::new(Self {
            sys: pick(calls),
            still: Mutex::new(false),
            changed: Condvar::new(),
            waiting: AtomicU64::new(0),
            failing: Mutex::default(),
            instance,
        })
    }

    fn set(&self, still: bool) {
        *self.still.lock().unwrap() = still;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let mut still = self.still.lock().unwrap();
        while *still {
            // Each time that it finds the disk standing still: it may have been let go and come too
            // late.
            self.waiting.fetch_add(1, Ordering::SeqCst);
            still = self.changed.wait(still).unwrap();
        }
    }

    /// Fails a sync after `after` others.
    fn fail_sync(&self, after: u64) {
        self.failing.lock().unwrap().after = Some(after);
    }

    /// Whether the sync that was to fail has failed.
    fn stop_failing(&self) -> bool {
        self.failing.lock().unwrap().after.take().is_none()
    }

    fn has_lost(&self, dev: u64, ino: u64) -> bool {
        let failing = self.failing.lock().unwrap();
        let lost = failing.lost.as_ref().map(|lost| lost.metadata().unwrap());
        lost.is_some_and(|lost| (lost.dev(), lost.ino()) == (dev, ino))
    }

    fn may_sync(&self, file: &File) -> io::Result<()> {
        let mut failing = self.failing.lock().unwrap();
        match failing.after {
            Some(0) => {
                failing.after = None;
                failing.lost = Some(file.try_clone()?);
                Err(rustix::io::Errno::IO.into())
            }
            after => {
                failing.after = after.map(|after| after - 1);
                Ok(())
            }
        }
    }

    fn is_still(&self) -> bool {
        *self.still.lock().unwrap()
    }
}

impl Sys for TestDisk {
    fn open_cached(&self, dir: &File, path: &str) -> Option<io::Result<File>> {
        if self.is_still() {
            None
        } else {
            self.sys.open_cached(dir, path)
        }
    }

    fn open(&self, dir: &File, path: &str) -> io::Result<File> {
        self.wait();
        self.sys.open(dir, path)
    }

    fn read_cached(
        &self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> Option<io::Result<usize>> {
        if self.is_still() {
            return None;
        }
        self.sys.read_cached(file, buffer, offset)
    }

    fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.wait();
        self.sys.read(file, buffer, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.may_sync(file)?;
        self.sys.sync(file)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.may_sync(file)?;
        self.sys.sync_data(file)
    }

    fn start_write_back(&self, file: &File, offset: u64, len: u64) {
        self.sys.start_write_back(file, offset, len);
    }

    fn rename_new(&self, dir: &File, from: &str, to_dir: &File, to: &str) -> io::Result<()> {
        self.wait();
        self.sys.rename_new(dir, from, to_dir, to)
    }

    fn create_unnamed(&self, dir: &File) -> Option<File> {
        self.wait();
        self.sys.create_unnamed(dir)
    }

    fn name(&self, file: &File, dir: &File, name: &str) -> io::Result<()> {
        self.sys.name(file, dir, name)
    }

    fn sync_file_system(&self, dir: &File, files: u32) -> Option<io::Result<()>> {
        self.wait();
        self.sys.sync_file_system(dir, files)
    }

    /// Whatever the file system that the tests run on: this is no real machine's disk.
    fn can_sync_file_system(&self, _dir: &File) -> bool {
        true
    }

    fn sync_whole_file_system(&self, dir: &File) -> io::Result<()> {
        self.wait();
        rustix::fs::fsync(dir)?;
        Ok(())
    }

    fn shows_changes(&self, dir: &File) -> bool {
        self.sys.shows_changes(dir)
    }

    fn instance(&self, _dir: &File) -> Option<String> {
        Some(self.instance.to_owned())
    }

    fn create_whole(&self, dir: &File, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        self.sys.create_whole(dir, name, content, mode)
    }
}

/// Runs `slow` on the one thread there is, next to a task that ticks. The disk is let go only once
/// that has ticked a thousand times *after* a call came to wait for the disk: if the call waited on
/// the async thread, there would never be another tick.
async fn undisturbed<T, F: Future<Output = T>>(
    disk: &Arc<TestDisk>,
    slow: impl FnOnce() -> F,
) -> T {
    // Counted first: what reads ahead may come to wait as soon as the disk stands still, and then
    // nothing else comes.
    let (before, done) = (
        disk.waiting.load(Ordering::SeqCst),
        Arc::new(AtomicBool::new(false)),
    );
    disk.set(true);
    let ticking = tokio::spawn({
        let (disk, done) = (Arc::clone(disk), Arc::clone(&done));
        async move {
            let mut ticks = 0;
            while ticks < 1000 {
                assert!(!done.load(Ordering::SeqCst), "nothing waited for the disk");
                ticks += u32::from(disk.waiting.load(Ordering::SeqCst) > before);
                tokio::task::yield_now().await;
            }
            disk.set(false);
        }
    });
    let result = slow().await;
    done.store(true, Ordering::SeqCst);
    ticking.await.unwrap();
    result
}

#[test]
fn a_slow_read_leaves_a_ticking_task_undisturbed() {
    // If it did not, the test would stand still: this ends it.
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for calls in [SystemCalls::Native, SystemCalls::Portable] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(slow_reads(calls)).unwrap();
        }
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60))
        .expect("a call waits for the disk on the async thread");
}

async fn slow_reads(system_calls: SystemCalls) -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new(system_calls, "here");
    let store = FlatFs::open_with(
        dir.path().to_owned(),
        FlatFsOptions::default(),
        Arc::clone(&disk) as Arc<dyn Sys>,
    )
    .await?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let key = Key::new("object")?;
    let content = vec![7; 5 << 20];
    store.put(&key, content.clone()).await?;

    undisturbed(&disk, || store.head(&key)).await?;
    undisturbed(&disk, || store.get_range(&key, 5..4096)).await?;
    let mut body = undisturbed(&disk, || store.get(&key)).await?.body;
    let mut len = 0;
    while len < content.len() {
        len += undisturbed_piece(&disk, &mut body).await?;
    }
    assert!(body.next().await.is_none());
    let create =
        storehouse_objectstore::PutOptions::default().mode(storehouse_objectstore::PutMode::Create);
    let created = Key::new("created")?;
    undisturbed(&disk, || store.put_opts(&created, "x".into(), create)).await?;
    Ok(())
}

/// A piece, with the disk standing still unless the piece was read ahead already.
async fn undisturbed_piece(
    disk: &Arc<TestDisk>,
    body: &mut storehouse_objectstore::Body,
) -> Result<usize> {
    let before = disk.waiting.load(Ordering::SeqCst);
    disk.set(true);
    let letting_go = tokio::spawn({
        let disk = Arc::clone(disk);
        async move {
            let mut ticks = 0;
            while ticks < 1000 && disk.is_still() {
                ticks += u32::from(disk.waiting.load(Ordering::SeqCst) > before);
                tokio::task::yield_now().await;
            }
            disk.set(false);
        }
    });
    let piece = body.next().await.expect("a piece")?;
    disk.set(false);
    letting_go.await.unwrap();
    Ok(piece.len())
}
