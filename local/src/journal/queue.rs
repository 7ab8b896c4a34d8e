//! Appends that wait together: one blocking job writes their frames and makes them durable with one
//! sync.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use ipld_core::cid::Cid;
use sha2::{Digest, Sha256};
use tokio::sync::{oneshot, watch};

use super::directory::Directory;
use super::names;
use super::options::SyncPolicy;
use super::types::Appended;
use crate::error::{Error, Result};

/// An archive up to this size is hashed by its appender, so that appenders share that work among
/// them; a larger one by the blocking job, since it would keep an async thread busy for too long
/// (16 KiB take some 10 µs).
const HASHED_BY_APPENDER: usize = 16 << 10;

/// A journal's directory and what waits for it.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    directory: Mutex<Directory>,
    rotations: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Vec<Request>,
    /// A job is on its way or at work, and will look here again before it ends.
    served: bool,
    /// A sync by the clock is due.
    timer: bool,
}

enum Request {
    Append {
        archive: Bytes,
        sha256: Option<[u8; 32]>,
        done: oneshot::Sender<Result<Written, Box<Error>>>,
    },
    Run(Box<dyn FnOnce(&mut Directory) -> Answer + Send>),
}

/// What an append did, in few bytes: it is moved around more than anything else here.
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

/// What a caller is told. A caller that is gone does not mind.
enum Answer {
    Appended(
        oneshot::Sender<Result<Written, Box<Error>>>,
        Result<Written, Box<Error>>,
    ),
    Ran(Box<dyn FnOnce() + Send>),
}

impl Answer {
    fn send(self) {
        match self {
            Self::Appended(done, result) => drop(done.send(result)),
            Self::Ran(send) => send(),
        }
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Append { .. } => "Append",
            Self::Run(_) => "Run",
        })
    }
}

impl Queue {
    pub(super) fn new(directory: Directory) -> Arc<Self> {
        Arc::new(Self {
            waiting: Mutex::default(),
            directory: Mutex::new(directory),
            rotations: watch::Sender::new(0),
        })
    }

    pub(super) fn rotations(&self) -> watch::Receiver<u64> {
        self.rotations.subscribe()
    }

    pub(super) async fn append(self: &Arc<Self>, archive: Bytes) -> Result<Appended> {
        let sha256 = (archive.len() <= HASHED_BY_APPENDER).then(|| Sha256::digest(&archive).into());
        let (done, result) = oneshot::channel();
        self.push(Request::Append {
            archive,
            sha256,
            done,
        });
        match result.await {
            Ok(Ok(written)) => Ok(written.into()),
            Ok(Err(error)) => Err(*error),
            Err(_) => Err(Error::Stopped),
        }
    }

    /// Runs `work` on the directory, after the appends that were called before it.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Directory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, result) = oneshot::channel();
        self.push(Request::Run(Box::new(move |directory| {
            let result = work(directory);
            Answer::Ran(Box::new(move || drop(done.send(result))))
        })));
        result.await.map_err(|_| Error::Stopped)?
    }

    fn push(self: &Arc<Self>, request: Request) {
        let mut waiting = lock(&self.waiting);
        waiting.requests.push(request);
        if !std::mem::replace(&mut waiting.served, true) {
            drop(waiting);
            let job = Job {
                queue: self.clone(),
                ended: false,
            };
            tokio::task::spawn_blocking(move || job.serve());
        }
    }

    /// Syncs after `time` unless everything is synced by then.
    fn sync_after(self: &Arc<Self>, time: Duration) {
        if std::mem::replace(&mut lock(&self.waiting).timer, true) {
            return;
        }
        let queue: Weak<Self> = Arc::downgrade(self);
        tokio::runtime::Handle::current().spawn(async move {
            tokio::time::sleep(time).await;
            let Some(queue) = queue.upgrade() else { return };
            lock(&queue.waiting).timer = false;
            queue.push(Request::Run(Box::new(|directory| {
                if let Err(error) = directory.sync() {
                    directory.note(error);
                }
                Answer::Ran(Box::new(|| ()))
            })));
        });
    }
}

/// The work of serving a queue. However it ends, by a panic or without having begun, the queue is
/// free for the next one.
struct Job {
    queue: Arc<Queue>,
    ended: bool,
}

impl Job {
    fn serve(mut self) {
        let mut answers = Vec::new();
        while !self.ended {
            let requests = std::mem::take(&mut lock(&self.queue.waiting).requests);
            {
                let mut directory = lock(&self.queue.directory);
                let rotations = directory.rotations();
                serve_together(&mut directory, requests, &mut answers);
                if directory.rotations() != rotations {
                    self.queue.rotations.send_replace(directory.rotations());
                }
                if let SyncPolicy::Interval { time, .. } = directory.options().sync
                    && directory.unsynced() > 0
                {
                    self.queue.sync_after(time);
                }
            }
            {
                let mut waiting = lock(&self.queue.waiting);
                self.ended = waiting.requests.is_empty();
                waiting.served = !self.ended;
            }
            if !self.ended {
                answers.drain(..).for_each(Answer::send);
            }
        }
        // The last callers are told once this job has let go of the journal: one that drops it then
        // and opens it again finds it free.
        drop(self);
        answers.into_iter().for_each(Answer::send);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.ended {
            let mut waiting = lock(&self.queue.waiting);
            waiting.served = false;
            // Dropped, they tell their callers that nobody will serve them.
            waiting.requests.clear();
        }
    }
}

/// Frames written and not answered yet.
type Group = Vec<(oneshot::Sender<Result<Written, Box<Error>>>, Written)>;

fn serve_together(directory: &mut Directory, requests: Vec<Request>, answers: &mut Vec<Answer>) {
    let mut group = Group::with_capacity(requests.len());
    for request in requests {
        match request {
            Request::Append {
                archive,
                sha256,
                done,
            } => {
                match write_frame(directory, &archive, sha256) {
                    Ok(written) => group.push((done, written)),
                    Err(error) => answers.push(Answer::Appended(done, Err(error.into()))),
                }
                if directory.is_full() {
                    rotate(directory, &mut group, answers);
                }
            }
            Request::Run(work) => {
                settle(directory, &mut group, answers);
                answers.push(work(directory));
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
fn rotate(directory: &mut Directory, group: &mut Group, answers: &mut Vec<Answer>) {
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
fn settle(directory: &mut Directory, group: &mut Group, answers: &mut Vec<Answer>) {
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
        Ok(()) => answers.extend(
            group
                .drain(..)
                .map(|(done, written)| Answer::Appended(done, Ok(written))),
        ),
        Err(error) => {
            directory.forget_unsynced();
            answers.extend(
                group
                    .drain(..)
                    .map(|(done, _)| Answer::Appended(done, Err(error.clone().into()))),
            );
        }
    }
}

/// A panic elsewhere leaves the state as its own invariants keep it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
