//! Writers that write at random, each its own keys, and read them back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::report::tell;
use crate::content::version_of;
use crate::event::Event;
use crate::model::{Effect, Model};
use crate::random::Random;
use crate::spec::Spec;
use crate::stores::{Mode, Op, OpOutcome, Store};

/// A writer has the store compacted once in this number of writes.
const SELDOM: u64 = 16;

/// How long a store may take until it writes again after errors,
const RECOVERY: Duration = Duration::from_secs(10);

/// and how often it is asked.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the writers share.
pub(super) struct Load {
    pub(super) store: Arc<dyn Store>,
    pub(super) spec: Spec,
    pub(super) model: Mutex<Model>,
    /// The next write's number.
    pub(super) next: AtomicU64,
}

impl Load {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, writer: u64, number: u64) -> String {
        format!("w{writer}-{number}")
    }

    /// Runs `ops` writes on all writers together.
    pub(super) async fn run(self: &Arc<Self>, ops: Option<u64>) {
        let (left, round) = (
            Arc::new(AtomicU64::new(ops.unwrap_or(u64::MAX))),
            self.next.load(Ordering::Relaxed),
        );
        let writers = (0..self.spec.writers).map(|writer| {
            let (load, left) = (Arc::clone(self), Arc::clone(&left));
            let mut random = Random::new(self.spec.seed ^ (writer << 32) ^ (round << 8));
            tokio::spawn(async move {
                while left
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    let op = load.choose(writer, &mut random).await;
                    load.apply(&op).await;
                    load.look(writer, &mut random).await;
                    if writer == 0 && random.below(SELDOM) == 0 {
                        load.compact().await;
                    }
                    if load.spec.pause > 0 {
                        tokio::time::sleep(Duration::from_millis(load.spec.pause)).await;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            if let Err(e) = writer.await {
                tell(&Event::Wrong(format!("a writer ended: {e}")));
            }
        }
    }

    /// Starts work that a store does by itself now and then.
    async fn compact(&self) {
        match self.store.compact().await {
            Err(error) if !self.spec.errors => tell(&Event::Wrong(format!(
                "the store cannot be made smaller: {error}"
            ))),
            _ => {}
        }
    }

    /// Gives the store time to notice that errors are over.
    pub(super) async fn recover(&self) {
        let key = if self.store.traits().appends {
            None
        } else {
            Some(self.key(0, 0))
        };
        for _ in 0..RECOVERY.as_millis() / PATIENCE.as_millis() {
            let id = self.number();
            let key = key.clone().unwrap_or_else(|| self.key(0, id));
            if self
                .apply(&Op {
                    id,
                    mode: Mode::Put,
                    writes: vec![(key, Some(0))],
                })
                .await
            {
                return;
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }

    /// Deletes every key; of a store that appends, all that it lets go.
    pub(super) async fn clear(&self) {
        while self.store.traits().appends
            && let Some(keys) = self.store.removable().await
        {
            let writes = keys.into_iter().map(|key| (key, None)).collect();
            self.apply(&Op {
                id: self.number(),
                mode: Mode::Delete,
                writes,
            })
            .await;
        }
        if self.store.traits().appends {
            return;
        }
        let keys: Vec<String> = self.model().keys().map(str::to_owned).collect();
        for key in keys {
            let op = Op {
                id: self.number(),
                mode: Mode::Delete,
                writes: vec![(key, None)],
            };
            self.apply(&op).await;
        }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    async fn choose(&self, writer: u64, random: &mut Random) -> Op {
        let traits = self.store.traits();
        let sizes = self.spec.store.object_sizes(self.spec.size);
        let size = |random: &mut Random| Some(sizes[random.below(sizes.len() as u64) as usize]);
        let id = self.number();
        if traits.appends {
            // One of the writers hands batches over.
            if writer == 0
                && random.below(4) == 0
                && let Some(keys) = self.store.removable().await
            {
                return Op {
                    id,
                    mode: Mode::Delete,
                    writes: keys.into_iter().map(|key| (key, None)).collect(),
                };
            }
            return Op {
                id,
                mode: Mode::Put,
                writes: vec![(self.key(writer, id), size(random))],
            };
        }
        let key = self.key(writer, random.below(self.spec.keys));
        let mode = match random.below(100) {
            0..50 => Mode::Put,
            50..60 if self.spec.conditions => Mode::Create,
            60..70 if traits.replace && self.spec.conditions => Mode::Replace,
            70..85 if traits.batches => Mode::Batch,
            50..75 => Mode::Put,
            _ => Mode::Delete,
        };
        let mut writes = vec![(
            key,
            if mode == Mode::Delete {
                None
            } else {
                size(random)
            },
        )];
        if mode == Mode::Batch {
            let others: BTreeSet<u64> = (0..random.below(5))
                .map(|_| random.below(self.spec.keys))
                .collect();
            for key in others.into_iter().map(|number| self.key(writer, number)) {
                if key != writes[0].0 {
                    writes.push((
                        key,
                        if random.below(3) == 0 {
                            None
                        } else {
                            size(random)
                        },
                    ));
                }
            }
        }
        Op { id, mode, writes }
    }

    async fn apply(&self, op: &Op) -> bool {
        let effects: Vec<(String, Effect)> = op
            .writes
            .iter()
            .map(|(key, size)| {
                (
                    key.clone(),
                    if size.is_some() {
                        Effect::Version(op.id)
                    } else {
                        Effect::Absent
                    },
                )
            })
            .collect();
        let before = self.model().certain(op.single().0);
        self.model().begin(op.id, &effects);
        tell(&Event::Begin(op.id, effects));
        let outcome = self.store.apply(op).await;
        let wrong = |what: &str| {
            tell(&Event::Wrong(format!(
                "{:?} of {}, which is {before:?}: {what}",
                op.mode,
                op.single().0
            )))
        };
        let done = outcome == OpOutcome::Done;
        match outcome {
            OpOutcome::Done => {
                if op.mode == Mode::Create && matches!(before, Some(Effect::Version(_))) {
                    wrong("created once more");
                }
                if op.mode == Mode::Replace && before == Some(Effect::Absent) {
                    wrong("replaced without being there");
                }
                self.model().acknowledge(op.id);
                tell(&Event::Done(op.id));
            }
            OpOutcome::Exists | OpOutcome::Missing => {
                let there = outcome == OpOutcome::Exists;
                if there != (op.mode == Mode::Create)
                    || before.is_some_and(|before| (before == Effect::Absent) == there)
                {
                    wrong(if there { "it exists" } else { "it is missing" });
                }
                self.model().refuse(op.id);
                tell(&Event::Refused(op.id));
            }
            OpOutcome::Failed(error) => tell(&Event::Failed(op.id, error)),
        }
        done
    }

    /// Reads one of the writer's keys.
    async fn look(&self, writer: u64, random: &mut Random) {
        if self.store.traits().appends {
            return;
        }
        let key = self.key(writer, random.below(self.spec.keys));
        let found = match self.store.read(&key).await {
            Ok(None) => Effect::Absent,
            Ok(Some(object)) => match version_of(&key, &object) {
                Ok(version) => Effect::Version(version),
                Err(what) => return tell(&Event::Wrong(format!("{key} was read with {what}"))),
            },
            Err(error) if self.spec.errors && !self.spec.must_read => return drop(error),
            Err(error) => return tell(&Event::Wrong(format!("{key} cannot be read: {error}"))),
        };
        if !self.model().allows(&key, found) {
            let allowed = self.model().allowed(&key);
            tell(&Event::Wrong(format!(
                "{key} was read with {found:?} instead of {allowed:?}"
            )));
        }
    }
}
