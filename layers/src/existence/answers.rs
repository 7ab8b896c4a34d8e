//! What is remembered, and who asks or writes meanwhile.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use quick_cache::sync::Cache;
use storehouse_objectstore::{Event, Events, Key, Metadata};
use tokio::sync::watch;
use tokio::time::Instant;

use super::options::ExistenceOptions;

/// How a question to the inner store ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Found(Metadata),
    /// Nothing that others can share.
    Other,
}

type Asked = watch::Receiver<Option<Outcome>>;

pub(super) struct Answers {
    cache: Cache<Key, (Metadata, Instant)>,
    max_age: Duration,
    busy: Mutex<HashMap<Key, Busy>>,
    /// `None` once they have ended.
    events: Mutex<Option<Events>>,
    has_events: bool,
}

/// What is going on with a key.
#[derive(Default)]
struct Busy {
    users: usize,
    writers: usize,
    /// Changes with each beginning and end of a write.
    version: u64,
    /// The question that is being asked.
    asked: Option<Asked>,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers")
            .field("remembered", &self.cache.len())
            .finish_non_exhaustive()
    }
}

impl Answers {
    pub(super) fn new(options: &ExistenceOptions, events: Option<Events>) -> Self {
        Self {
            cache: Cache::new(options.max_keys.max(1)),
            max_age: options.max_age,
            busy: Mutex::default(),
            has_events: events.is_some(),
            events: Mutex::new(events),
        }
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<Key, Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of the key.
    pub(super) fn look_up(&self, key: &Key) -> Option<Metadata> {
        self.hear();
        let (metadata, since) = self.cache.get(key)?;
        if since.elapsed() >= self.max_age {
            self.cache.remove(key);
            return None;
        }
        Some(metadata)
    }

    /// The number of objects that are remembered.
    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Takes back what events tell.
    fn hear(&self) {
        if !self.has_events {
            return;
        }
        let mut listened = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(next) = listened.as_mut().and_then(|e| e.next().now_or_never()) {
            let Some(event) = next else {
                *listened = None;
                return;
            };
            let mut busy = self.busy();
            match &event {
                Event::Put { key, .. } | Event::Deleted { key } => {
                    if let Some(busy) = busy.get_mut(key) {
                        busy.version += 1;
                    }
                    self.cache.remove(key);
                }
                // What was missed may be of any key.
                _ => {
                    drop(busy);
                    self.clear();
                }
            }
        }
    }

    /// Takes all answers back.
    pub(super) fn clear(&self) {
        let mut busy = self.busy();
        busy.values_mut().for_each(|busy| busy.version += 1);
        self.cache.clear();
    }

    /// Takes the answer back.
    pub(super) fn forget(&self, key: &Key) {
        let mut busy = self.busy();
        if let Some(busy) = busy.get_mut(key) {
            busy.version += 1;
        }
        self.cache.remove(key);
    }

    /// Begins to ask the inner store.
    pub(super) fn begin_ask(self: &Arc<Self>, key: &Key) -> Asking {
        // What was told before does not concern the answer.
        self.hear();
        let mut map = self.busy();
        let busy = map.entry(key.clone()).or_default();
        busy.users += 1;
        Asking {
            answers: Arc::clone(self),
            key: key.clone(),
            version: busy.version,
        }
    }

    /// The question that is being asked, or that this is the first to ask it.
    pub(super) fn join(self: &Arc<Self>, key: &Key) -> Result<Asked, FirstToAsk> {
        let asking = self.begin_ask(key);
        let mut map = self.busy();
        let busy = map.entry(key.clone()).or_default();
        if let Some(asked) = busy.asked.clone() {
            drop(map);
            return Ok(asked);
        }
        let (tell, asked) = watch::channel(None);
        busy.asked = Some(asked.clone());
        drop(map);
        Err(FirstToAsk {
            asking,
            tell,
            asked,
        })
    }

    /// Begins a write: what is remembered is taken back, and nothing is until it has ended.
    pub(super) fn begin_write(self: &Arc<Self>, key: &Key) -> Writing {
        let mut map = self.busy();
        let busy = map.entry(key.clone()).or_default();
        busy.users += 1;
        busy.writers += 1;
        busy.version += 1;
        // Who asks from now on must not get an answer from before.
        busy.asked = None;
        self.cache.remove(key);
        Writing {
            answers: Arc::clone(self),
            key: key.clone(),
        }
    }

    fn leave(&self, key: &Key, change: impl FnOnce(&mut Busy)) {
        let mut map = self.busy();
        if let Some(busy) = map.get_mut(key) {
            change(busy);
            busy.users -= 1;
            if busy.users == 0 {
                map.remove(key);
            }
        }
    }
}

/// A question to the inner store.
pub(super) struct Asking {
    answers: Arc<Answers>,
    key: Key,
    version: u64,
}

impl Asking {
    /// Remembers the answer, unless a write was there meanwhile.
    pub(super) fn found(&self, metadata: &Metadata) {
        self.answers.hear();
        let map = self.answers.busy();
        let undisturbed = map
            .get(&self.key)
            .is_some_and(|busy| busy.writers == 0 && busy.version == self.version);
        if undisturbed {
            // Under the lock, so that a write that begins now takes it back.
            let answer = (metadata.clone(), Instant::now());
            self.answers.cache.insert(self.key.clone(), answer);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.answers.leave(&self.key, |_| {});
    }
}

/// The question that others wait for.
pub(super) struct FirstToAsk {
    asking: Asking,
    tell: watch::Sender<Option<Outcome>>,
    asked: Asked,
}

impl FirstToAsk {
    /// For waiting as the others do.
    pub(super) fn asked(&self) -> Asked {
        self.asked.clone()
    }

    pub(super) fn tell(self, outcome: Outcome) {
        if let Outcome::Found(metadata) = &outcome {
            self.asking.found(metadata);
        } else {
            self.asking.answers.forget(&self.asking.key);
        }
        let _ = self.tell.send(Some(outcome));
    }
}

impl Drop for FirstToAsk {
    fn drop(&mut self) {
        let mut map = self.asking.answers.busy();
        if let Some(busy) = map.get_mut(&self.asking.key) {
            let is_this = |asked: &Asked| asked.same_channel(&self.asked);
            if busy.asked.as_ref().is_some_and(is_this) {
                busy.asked = None;
            }
        }
    }
}

/// A write under way.
pub(super) struct Writing {
    answers: Arc<Answers>,
    key: Key,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let answers = &self.answers;
        answers.leave(&self.key, |busy| {
            busy.writers -= 1;
            busy.version += 1;
            busy.asked = None;
            answers.cache.remove(&self.key);
        });
    }
}
