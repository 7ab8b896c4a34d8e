//! The queue of puts.

use std::sync::Arc;
use std::time::Duration;

use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
use storehouse_objectstore::{PutResult, Result};

use super::put::Put;
use super::writer::{INLINE, Writer};

/// The most puts in a group. Each has a few open files for a while.
const MAX_GROUP: usize = 128;

/// Groups at once: one writes while the other syncs.
const GROUPS: usize = 2;

/// How long a group waits for puts that are likely to come: less than most disks take for a sync.
const LINGER: Duration = Duration::from_micros(200);

/// Puts of durable objects, committed in groups.
pub(crate) type WriteQueue = CommitQueue<Committer>;

pub(crate) fn new_queue(writer: Arc<Writer>) -> WriteQueue {
    let options = QueueOptions::default()
        .max_requests(MAX_GROUP)
        .max_bytes(MAX_GROUP * INLINE as usize)
        .groups_at_once(GROUPS)
        .linger(LINGER);
    CommitQueue::new(Committer(writer), options)
}

/// Commits a group of puts. Does not hold the directory's lock: each put does.
#[derive(Debug)]
pub(crate) struct Committer(Arc<Writer>);

impl Commit for Committer {
    type Request = Put;
    type Answer = Result<PutResult>;

    fn commit(&self, group: Vec<Pending<Put, Self::Answer>>, _: &mut Answers<Self::Answer>) {
        let (puts, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|pending| (pending.request, pending.reply))
            .unzip();
        for (result, reply) in self.0.commit_group(puts).into_iter().zip(replies) {
            reply.send(result);
        }
    }
}
