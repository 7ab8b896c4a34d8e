//! Commits groups of writes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storehouse_objectstore::{BatchOp, Durability, Error, EventSender, PutMode};

use super::core::Core;
use super::engine::Engine;
use super::fault::Fault;
use super::record::{self, COUNTER, Record, Version};
use super::space::Space;
use crate::{Answers, Commit, Pending, Reply};

/// The least time that a group may spend on noting which ranges its deletions left empty.
const GAPS_AT_LEAST: Duration = Duration::from_micros(200);

/// Writes that happen together or not at all.
pub(super) struct Write {
    pub(super) ops: Vec<BatchOp>,
    /// Of the objects that are put, as bytes.
    pub(super) attributes: Vec<u8>,
    pub(super) durability: Durability,
}

/// For each operation the version that it wrote; or why none happened.
pub(super) type Written = Result<Vec<Option<Version>>, WriteFault>;

/// Why a write did not happen.
pub(super) enum WriteFault {
    /// A condition did not hold.
    Refused(Error),
    /// The engine failed.
    Failed(Fault),
}

pub(super) struct Writer<E: Engine> {
    pub(super) core: Arc<Core<E>>,
    /// The last version given out.
    last: Mutex<u64>,
    space: Arc<Space>,
    events: EventSender,
}

/// A write whose outcome is known once its group is durable.
type Judged = (Reply<Written>, Vec<Option<Version>>);

/// The changes of a group, one for each operation, in order.
struct Changes {
    /// The encoded records.
    bytes: Vec<u8>,
    /// The write and the operation in it, and where its record lies.
    ops: Vec<(usize, usize, Option<Range<usize>>)>,
    /// What the group leaves under each key, if an operation asks.
    versions: Option<HashMap<Vec<u8>, Option<Version>>>,
    deletes: u64,
}

impl<E: Engine> Writer<E> {
    pub(super) fn new(core: Arc<Core<E>>, last: u64, events: EventSender) -> Self {
        Self {
            core,
            last: Mutex::new(last),
            space: Arc::default(),
            events,
        }
    }

    /// Adds the changes of a write, or none of them if one of its conditions does not hold on what
    /// the group leaves so far.
    fn judge(
        engine: &E,
        (index, write): (usize, &Write),
        (last, modified): (&mut u64, u64),
        changes: &mut Changes,
    ) -> Written {
        let before = (changes.bytes.len(), changes.ops.len());
        let mut versions = Vec::with_capacity(write.ops.len());
        // What this write leaves, should all of it happen.
        let mut own: HashMap<&[u8], Option<Version>> = HashMap::new();
        for (i, op) in write.ops.iter().enumerate() {
            let key = op.key().as_str().as_bytes();
            let in_group = || {
                changes
                    .versions
                    .as_ref()
                    .and_then(|all| all.get(key).copied())
            };
            let known = own.get(key).copied().or_else(in_group);
            if let Err(fault) = check_condition(engine, op, known) {
                changes.bytes.truncate(before.0);
                changes.ops.truncate(before.1);
                return Err(fault);
            }
            let version = match op {
                BatchOp::Put { bytes, .. } => {
                    *last += 1;
                    let start = changes.bytes.len();
                    let version = record::encode(
                        &mut changes.bytes,
                        key,
                        (&write.attributes, bytes),
                        *last,
                        modified,
                    );
                    changes
                        .ops
                        .push((index, i, Some(start..changes.bytes.len())));
                    Some(version)
                }
                BatchOp::Delete { .. } => {
                    changes.ops.push((index, i, None));
                    None
                }
            };
            if changes.versions.is_some() {
                own.insert(key, version);
            }
            versions.push(version);
        }
        if let Some(all) = &mut changes.versions {
            all.extend(
                own.into_iter()
                    .map(|(key, version)| (key.to_vec(), version)),
            );
        }
        changes.deletes += versions.iter().filter(|version| version.is_none()).count() as u64;
        Ok(versions)
    }

    /// Tells what a group that is durable has changed, in its order.
    fn tell(&self, writes: &[Write], judged: &[Judged], changes: &Changes) {
        if !self.events.is_listened() {
            return;
        }
        for (write, op, _) in &changes.ops {
            let key = writes[*write].ops[*op].key();
            match judged[*write].1[*op] {
                Some(version) => self.events.put(key, &version.etag()),
                None => self.events.deleted(key),
            }
        }
    }

    /// Judges the writes of a group and applies those that hold. Those that do not are answered.
    fn apply(
        &self,
        engine: &E,
        group: Vec<Pending<Write, Written>>,
        answers: &mut Answers<Written>,
    ) -> (Vec<Judged>, Result<(), Fault>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let conditional = group
            .iter()
            .flat_map(|pending| &pending.request.ops)
            .any(is_conditional);
        let several = group.len() > 1 || group.iter().any(|pending| pending.request.ops.len() > 1);
        let versions = (conditional && several).then(HashMap::new);
        let mut changes = Changes {
            bytes: Vec::new(),
            ops: Vec::new(),
            versions,
            deletes: 0,
        };
        let (mut judged, mut writes) = (Vec::with_capacity(group.len()), Vec::new());
        let modified = record::now();
        for Pending { request, reply } in group {
            let stamp = (&mut *last, modified);
            match Self::judge(engine, (writes.len(), &request), stamp, &mut changes) {
                Ok(versions) => {
                    judged.push((reply, versions));
                    writes.push(request);
                }
                Err(fault) => answers.push(reply, Err(fault)),
            }
        }
        if changes.ops.is_empty() {
            return (judged, Ok(()));
        }
        // Deletes count as versions too, so that the loss of one is found.
        *last += u64::from(changes.deletes > 0);
        let counter = record::encode_counter(*last);
        let durable = |write: &Write| write.durability == Durability::Durable;
        let sync = !E::UNSYNCED_SURVIVES_PROCESS || writes.iter().any(durable);
        let change = |(write, op, place): &(usize, usize, Option<Range<usize>>)| {
            let key = writes[*write].ops[*op].key().as_str().as_bytes();
            (key, place.clone().map(|place| &changes.bytes[place]))
        };
        let mut all: Vec<(&[u8], Option<&[u8]>)> = changes.ops.iter().map(change).collect();
        all.push((COUNTER, Some(&counter)));
        // Stable, so that the last of several changes of a key is the one that stays.
        all.sort_by_key(|(key, _)| *key);
        all.reverse();
        all.dedup_by_key(|(key, _)| *key);
        all.reverse();
        let only_removes = changes.bytes.is_empty();
        let (operations, bytes) = (all.len() as u64, changes.bytes.len() as u64);
        let room = engine.room_to_write(operations, bytes, only_removes);
        if only_removes {
            self.core.make_room(room);
        } else if let Err(fault) = self.core.require_room(room, "nothing is written") {
            return (judged, Err(fault));
        }
        let gaps = &self.core.gaps;
        if E::KEEPS_DELETIONS {
            gaps.put(
                all.iter()
                    .filter(|(_, value)| value.is_some())
                    .map(|(key, _)| *key),
            );
        }
        let started = Instant::now();
        let written = engine.write(&all, sync);
        if written.is_ok() {
            if sync {
                self.core.acknowledge(*last);
            }
            if E::KEEPS_DELETIONS && changes.deletes > 0 {
                let deleted = all.iter().filter(|(_, value)| value.is_none());
                let deleted: Vec<&[u8]> = deleted.map(|(key, _)| *key).collect();
                // Deletions become slower by no more than this. What cannot be read now is only
                // not stepped over.
                let budget = (started.elapsed() / 2).max(GAPS_AT_LEAST);
                let _ = gaps.deleted(engine, &deleted, budget);
            }
            self.space.deleted(changes.deletes);
            self.tell(&writes, &judged, &changes);
            self.core.reserve.take_back();
        }
        (judged, written)
    }
}

impl<E: Engine> Commit for Writer<E> {
    type Request = Write;
    type Answer = Written;

    fn commit(&self, group: Vec<Pending<Write, Written>>, answers: &mut Answers<Written>) {
        let core = &self.core;
        // An engine that stopped is opened again before anything is judged or written.
        let ready = core.with(|engine| Ok(engine.has_stopped()));
        let reopened = match ready {
            Ok(false) => Ok(()),
            _ => core.reopen(),
        };
        if let Err(fault) = reopened {
            return fail(
                group.into_iter().map(|pending| pending.reply),
                &fault,
                answers,
            );
        }
        let mut group = Some(group);
        let applied =
            core.with(|engine| Ok(self.apply(engine, group.take().unwrap_or_default(), answers)));
        match applied {
            Ok((judged, Ok(()))) => {
                judged
                    .into_iter()
                    .for_each(|(reply, versions)| answers.push(reply, Ok(versions)));
                self.space.compact_if_due(core);
            }
            Ok((judged, Err(fault))) => {
                fail(judged.into_iter().map(|(reply, _)| reply), &fault, answers);
            }
            Err(fault) => {
                let group = group.take().unwrap_or_default();
                fail(
                    group.into_iter().map(|pending| pending.reply),
                    &fault,
                    answers,
                );
            }
        }
    }
}

fn fail(
    replies: impl Iterator<Item = Reply<Written>>,
    fault: &Fault,
    answers: &mut Answers<Written>,
) {
    replies.for_each(|reply| answers.push(reply, Err(WriteFault::Failed(fault.again()))));
}

/// Judges the condition of an operation; `known` is what the group leaves under its key, if it
/// changes that.
fn check_condition<E: Engine>(
    engine: &E,
    op: &BatchOp,
    known: Option<Option<Version>>,
) -> Result<(), WriteFault> {
    if !is_conditional(op) {
        return Ok(());
    }
    let key = op.key().as_str().as_bytes();
    let version = |bytes: &[u8]| Record::decode(key, bytes).map(|record| record.version());
    let there = match known {
        Some(there) => there,
        None => engine
            .get(key, version)
            .and_then(Option::transpose)
            .map_err(WriteFault::Failed)?,
    };
    op.check_condition(there.map(Version::etag).as_ref())
        .map_err(WriteFault::Refused)
}

fn is_conditional(op: &BatchOp) -> bool {
    let unconditional = matches!(
        op,
        BatchOp::Put {
            mode: PutMode::Overwrite,
            ..
        } | BatchOp::Delete { if_match: None, .. }
    );
    !unconditional
}
