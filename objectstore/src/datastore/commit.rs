//! The commit thread: one durable log write for all that wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Core;
use super::entry::{Entry, Tag, now};
use super::fault::Fault;
use super::frame;
use super::log::Log;
use super::queue::{Outcome, Work, Write, WriteFault};
use super::table::Wait;
use crate::{BatchOp, Key};

/// The most bytes of values in a group, unless one write alone has more.
const GROUP: usize = 4 * 1024 * 1024;

/// How long records stay in the log alone, so that opening after a crash is quick.
const AGE: Duration = Duration::from_secs(30);

/// How often the age is looked at.
const TICK: Duration = Duration::from_secs(5);

/// What the commit thread owns.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) core: Arc<Core>,
    pub(super) log: Log,
    /// The last sequence number given out.
    pub(super) sequence: u64,
    /// When the oldest record in the log was written.
    since: Option<Instant>,
}

/// A write whose outcome is known once its group is durable.
struct Prepared {
    write: Write,
    outcome: Outcome,
    /// Where its entries lie in the group.
    entries: std::ops::Range<usize>,
}

impl Committer {
    pub(super) fn new(core: Arc<Core>, log: Log, sequence: u64) -> Self {
        Self {
            core,
            log,
            sequence,
            since: None,
        }
    }

    /// Commits until the store is closed, and then lets what is left go into a table.
    pub(super) fn run(mut self) {
        let _abandon = Abandon(Arc::clone(&self.core));
        while let Some(work) = self.core.queue.take(TICK) {
            if work.is_empty() && self.since.is_some_and(|since| since.elapsed() > AGE) {
                // If that fails, it is tried again by those who write, who are told.
                let _ = self.freeze();
            }
            let (mut group, mut bytes) = (Vec::new(), 0);
            for work in work {
                match work {
                    Work::Write(write) => {
                        let size = write.size();
                        if bytes + size > GROUP && !group.is_empty() {
                            self.commit(std::mem::take(&mut group));
                            bytes = 0;
                        }
                        bytes += size;
                        group.push(write);
                    }
                    Work::Freeze(reply) => {
                        self.commit(std::mem::take(&mut group));
                        let frozen = if self.since.is_some() {
                            self.freeze()
                        } else {
                            Ok(())
                        };
                        let _ = reply.send(frozen);
                    }
                }
            }
            self.commit(group);
        }
        self.core.flusher.close(
            &self.core,
            self.log.number,
            self.sequence,
            self.since.is_some(),
        );
    }

    /// Commits a group: writes it to the log, syncs, shows it to readers and tells those who wait.
    fn commit(&mut self, group: Vec<Write>) {
        if group.is_empty() {
            return;
        }
        let full = self.core.memory().active.bytes() >= self.core.options.write_buffer;
        if (full || self.log.failed)
            && let Err(fault) = self.freeze()
        {
            return group.into_iter().for_each(|write| write.fail(&fault));
        }
        let mut frame = frame::start();
        let prepared = self.prepare(group, &mut frame);
        if frame.len() > frame::HEADER {
            let written = self.log.append(&mut frame).and_then(|()| self.log.sync());
            if let Err(fault) = written.map_err(Fault::io("the log cannot be written")) {
                return prepared
                    .into_iter()
                    .for_each(|prepared| prepared.write.fail(&fault));
            }
            self.core.synced(&self.log);
            self.since.get_or_insert_with(Instant::now);
        }
        let frame = Bytes::from(frame);
        for Prepared {
            write,
            outcome,
            entries,
        } in prepared
        {
            if !entries.is_empty() {
                // A lock for each write: readers wait for one at most, and see it whole.
                let mut memory = self.core.memory_mut();
                let mut at = entries.start;
                while let Some(entry) = Entry::at(&frame, at).filter(|_| at < entries.end) {
                    at += entry.raw().len();
                    memory.active.insert(entry);
                }
            }
            // Nobody need be there any more to hear it.
            let _ = write.reply.send(outcome);
        }
    }

    /// Judges conditions and appends the entries of those that hold.
    fn prepare(&mut self, group: Vec<Write>, frame: &mut Vec<u8>) -> Vec<Prepared> {
        let conditions = group
            .iter()
            .flat_map(|write| &write.ops)
            .any(is_conditional);
        // What the group leaves, as far as somebody asks.
        let mut changes = conditions.then(HashMap::<Key, Option<Tag>>::new);
        let modified = now();
        let prepare = |write: Write| {
            let start = frame.len();
            let outcome = self.encode(&write.ops, modified, changes.as_mut(), frame);
            if outcome.is_err() {
                frame.truncate(start);
            }
            Prepared {
                write,
                outcome,
                entries: start..frame.len(),
            }
        };
        group.into_iter().map(prepare).collect()
    }

    fn encode(
        &mut self,
        ops: &[BatchOp],
        modified: u64,
        changes: Option<&mut HashMap<Key, Option<Tag>>>,
        frame: &mut Vec<u8>,
    ) -> Outcome {
        let mut tags = Vec::with_capacity(ops.len());
        // What this write leaves, should all of it happen.
        let mut own: HashMap<&Key, Option<Tag>> = HashMap::new();
        for op in ops {
            let key = op.key();
            if is_conditional(op) {
                let there = match own.get(key).or_else(|| changes.as_ref()?.get(key)) {
                    Some(there) => *there,
                    None => self
                        .core
                        .find(key.as_str().as_bytes(), Wait::Allowed)
                        .map_err(WriteFault::Failed)?
                        .map(|entry| entry.tag()),
                };
                op.check_condition(there.map(Tag::etag).as_ref())
                    .map_err(WriteFault::Refused)?;
            }
            self.sequence += 1;
            let value = match op {
                BatchOp::Put { bytes, .. } => Some(&bytes[..]),
                BatchOp::Delete { .. } => None,
            };
            let tag = Entry::encode(
                frame,
                self.sequence,
                modified,
                key.as_str().as_bytes(),
                value,
            );
            tags.push(value.map(|_| tag));
            if changes.is_some() {
                own.insert(key, value.map(|_| tag));
            }
        }
        if let Some(changes) = changes {
            changes.extend(own.into_iter().map(|(key, tag)| (key.clone(), tag)));
        }
        Ok(tags)
    }

    /// Starts another log and has what the last one holds written to a table. Waits while the one
    /// before is being written.
    fn freeze(&mut self) -> Result<(), Fault> {
        let spare = self.core.flusher.ready()?;
        let created = Log::create(
            self.core.disk.as_ref(),
            self.core.id,
            self.log.number + 1,
            self.log.synced(),
            spare,
        );
        self.log = created.map_err(Fault::io("a log cannot be made"))?;
        self.since = None;
        self.core.synced(&self.log);
        self.core
            .flusher
            .begin(&self.core, self.log.number, self.sequence);
        Ok(())
    }
}

impl Write {
    fn size(&self) -> usize {
        self.ops
            .iter()
            .map(|op| {
                if let BatchOp::Put { bytes, .. } = op {
                    bytes.len()
                } else {
                    0
                }
            })
            .sum()
    }

    fn fail(self, fault: &Fault) {
        let _ = self.reply.send(Err(WriteFault::Failed(fault.again())));
    }
}

fn is_conditional(op: &BatchOp) -> bool {
    use crate::PutMode;
    !matches!(
        op,
        BatchOp::Put {
            mode: PutMode::Overwrite,
            ..
        } | BatchOp::Delete { if_match: None, .. }
    )
}

/// However the thread ends, nobody waits for it in vain.
struct Abandon(Arc<Core>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.queue.abandon();
        self.0.flusher.committer_ended();
    }
}
