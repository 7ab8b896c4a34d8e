//! Appends that wait together are written by one blocking task and share one sync.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions, Reply, blocking};
use storehouse_formats::Cid;
use tokio::sync::watch;

use super::directory::Directory;
use super::names;
use super::options::SyncPolicy;
use super::types::Appended;
use crate::error::{Error, Result};

/// An archive up to this size, in bytes, is hashed by its appender, so that appenders share that
/// work. A larger one is hashed by the blocking task, since it would keep an async thread busy for
/// too long: 16 KiB take some 10 µs.
const HASHED_BY_APPENDER: usize = 16 << 10;

/// A journal's directory and what waits for it.
#[derive(Debug)]
pub(super) struct Queue {
    queue: CommitQueue<Committer>,
    rotations: watch::Receiver<u64>,
}

impl Queue {
    pub(super) fn new(directory: Directory) -> Arc<Self> {
        let (rotations, counted) = watch::channel(0);
        Arc::new_cyclic(|queue| {
            let committer = Committer {
                directory: Mutex::new(Some(directory)),
                rotations,
                timer: AtomicBool::new(false),
                queue: Weak::clone(queue),
            };
            Self {
                queue: CommitQueue::new(committer, QueueOptions::default()),
                rotations: counted,
            }
        })
    }

    pub(super) fn rotations(&self) -> watch::Receiver<u64> {
        self.rotations.clone()
    }

    pub(super) async fn append(&self, archive: Bytes) -> Result<Appended> {
        let sha256 = (archive.len() <= HASHED_BY_APPENDER).then(|| Sha256::digest(&archive).into());
        let bytes = archive.len();
        match self
            .queue
            .submit(Request::Append { archive, sha256 }, bytes)
            .await?
        {
            Answer::Appended(result) => result.map(Appended::from).map_err(|error| *error),
            // No append is answered so.
            Answer::Ran => Err(Error::Stopped),
        }
    }

    /// Runs `work` on the directory, after the appends that were called before it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Directory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = Arc::new(Mutex::new(None));
        let filled = Arc::clone(&slot);
        let work = Box::new(move |directory: &mut Directory| {
            let result = work(directory);
            *lock(&filled) = Some(result);
        });
        self.queue.submit(Request::Run(work), 0).await?;
        let result = lock(&slot).take();
        result.unwrap_or(Err(Error::Closed))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Commits what waits, syncs it and gives the directory up.
    pub(super) async fn close(&self) -> Result<()> {
        self.queue.close().await;
        let queue = self.queue.clone();
        blocking(move || {
            let directory = lock(&queue.committer().directory).take();
            directory.map_or(Ok(()), Directory::close)
        })
        .await?
    }
}

enum Request {
    Append {
        archive: Bytes,
        sha256: Option<[u8; 32]>,
    },
    Run(Box<dyn FnOnce(&mut Directory) + Send>),
}

/// What a caller is told. That of a [`Request::Run`] has its result already.
enum Answer {
    Appended(Result<Written, Box<Error>>),
    Ran,
}

/// What an append did, in few bytes: it is moved often.
struct Written {
    sha256: [u8; 32],
    offset: u64,
    rotation: Option<Box<Result<Cid>>>,
}

impl From<Written> for Appended {
    fn from(
        Written {
            sha256,
            offset,
            rotation,
        }: Written,
    ) -> Self {
        let (rotated, rotation_error) = match rotation.map(|rotation| *rotation) {
            None => (None, None),
            Some(Ok(cid)) => (Some(cid), None),
            Some(Err(error)) => (None, Some(error)),
        };
        Self {
            archive: names::cid(sha256),
            offset,
            rotated,
            rotation_error,
        }
    }
}

/// Commits groups to the directory.
struct Committer {
    /// `None` once the journal is closed.
    directory: Mutex<Option<Directory>>,
    rotations: watch::Sender<u64>,
    /// A sync by the clock is due.
    timer: AtomicBool,
    queue: Weak<Queue>,
}

impl fmt::Debug for Committer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Committer").finish_non_exhaustive()
    }
}

impl Commit for Committer {
    type Request = Request;
    type Answer = Answer;

    fn commit(&self, group: Vec<Pending<Request, Answer>>, answers: &mut Answers<Answer>) {
        let mut directory = lock(&self.directory);
        let Some(directory) = directory.as_mut() else {
            // Not reached: a closed queue takes no request, and the directory is given up after
            // the last.
            return;
        };
        let rotations = directory.rotations();
        commit(directory, group, answers);
        if directory.rotations() != rotations {
            self.rotations.send_replace(directory.rotations());
        }
        if let SyncPolicy::Interval { time, .. } = directory.options().sync
            && directory.unsynced() > 0
        {
            self.sync_after(time);
        }
    }
}

impl Committer {
    /// Syncs after `time`, unless everything is synced by then.
    fn sync_after(&self, time: Duration) {
        if self.timer.swap(true, Ordering::Relaxed) {
            return;
        }
        let queue = Weak::clone(&self.queue);
        tokio::runtime::Handle::current().spawn(async move {
            tokio::time::sleep(time).await;
            let Some(queue) = queue.upgrade() else { return };
            queue
                .queue
                .committer()
                .timer
                .store(false, Ordering::Relaxed);
            // The error waits in the status.
            let _ = queue
                .run(|directory| {
                    directory
                        .sync()
                        .unwrap_or_else(|error| directory.note(error));
                    Ok(())
                })
                .await;
        });
    }
}

/// Frames written and not answered yet.
type Group = Vec<(Reply<Answer>, Written)>;

fn commit(
    directory: &mut Directory,
    requests: Vec<Pending<Request, Answer>>,
    answers: &mut Answers<Answer>,
) {
    let mut group = Group::with_capacity(requests.len());
    for Pending { request, reply } in requests {
        match request {
            Request::Append { archive, sha256 } => {
                match write_frame(directory, &archive, sha256) {
                    Ok(written) => group.push((reply, written)),
                    Err(error) => answers.push(reply, Answer::Appended(Err(error.into()))),
                }
                if directory.is_full() {
                    rotate(directory, &mut group, answers);
                }
            }
            Request::Run(work) => {
                settle(directory, &mut group, answers);
                work(directory);
                answers.push(reply, Answer::Ran);
            }
        }
    }
    settle(directory, &mut group, answers);
}

fn write_frame(
    directory: &mut Directory,
    archive: &[u8],
    sha256: Option<[u8; 32]>,
) -> Result<Written> {
    let sha256 = sha256.unwrap_or_else(|| Sha256::digest(archive).into());
    let offset = directory.batch()?.append(&names::frame(sha256, archive))?;
    Ok(Written {
        sha256,
        offset,
        rotation: None,
    })
}

/// The rotation that a full batch is due.
fn rotate(directory: &mut Directory, group: &mut Group, answers: &mut Answers<Answer>) {
    let result = directory.rotate().transpose();
    match (group.last_mut(), result) {
        (Some((_, last)), result) => last.rotation = result.map(Box::new),
        // A batch that was full before, and an append that failed.
        (None, Some(Err(error))) => directory.note(error),
        (None, _) => {}
    }
    settle(directory, group, answers);
}

/// Makes what was written as durable as the policy says, and answers.
fn settle(directory: &mut Directory, group: &mut Group, answers: &mut Answers<Answer>) {
    let result = match directory.options().sync {
        SyncPolicy::EveryAppend if directory.unsynced() > 0 => directory.sync(),
        SyncPolicy::Interval { bytes, .. }
            if directory.unsynced() > 0 && directory.unsynced() >= bytes =>
        {
            // These appends were promised no sync: the error waits in the status, and the sync is
            // tried again.
            directory
                .sync()
                .unwrap_or_else(|error| directory.note(error));
            Ok(())
        }
        _ => Ok(()),
    };
    match result {
        Ok(()) => {
            for (reply, written) in group.drain(..) {
                answers.push(reply, Answer::Appended(Ok(written)));
            }
        }
        Err(error) => {
            directory.forget_unsynced();
            for (reply, _) in group.drain(..) {
                answers.push(reply, Answer::Appended(Err(error.clone().into())));
            }
        }
    }
}

/// A panic elsewhere leaves the state as its own invariants keep it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
