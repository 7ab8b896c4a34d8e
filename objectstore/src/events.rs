//! Events: who changed what, told to those who listen.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{ETag, Key};

/// A change of an object, told after it is durable (or visible, for a put that asked for no more).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A put, a copy or a batch wrote this version.
    Put {
        /// The object.
        key: Key,
        /// The version's tag.
        etag: ETag,
    },
    /// The object was removed, or a delete found none.
    Deleted {
        /// The object.
        key: Key,
    },
    /// The listener was too slow: this number of events before the next one were dropped. What was
    /// concluded from events is to be forgotten.
    Missed {
        /// How many events.
        count: u64,
    },
}

/// A listener's events, as a [`Stream`]. It ends when the store is closed or dropped.
pub struct Events(BoxStream<'static, Event>);

impl Events {
    /// No events: what a store that is closed gives.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// assert_eq!(storehouse_objectstore::Events::ended().next().await, None);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn ended() -> Self {
        Self(stream::empty().boxed())
    }

    /// The same events with the keys that `f` makes of theirs, without those for which it gives
    /// `None`. For writers of layers that change keys.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::StreamExt;
    /// use storehouse_objectstore::{Event, EventSender, Key};
    ///
    /// let sender = EventSender::default();
    /// let own = |key: Key| Key::new(key.as_str().strip_prefix("mine/")?).ok();
    /// let mut events = sender.subscribe().filter_map_keys(own);
    /// sender.deleted(&Key::new("others/a")?);
    /// sender.deleted(&Key::new("mine/a")?);
    /// assert_eq!(events.next().await, Some(Event::Deleted { key: Key::new("a")? }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn filter_map_keys(self, f: impl Fn(Key) -> Option<Key> + Send + 'static) -> Self {
        let mapped = self.0.filter_map(move |event| {
            std::future::ready(match event {
                Event::Put { key, etag } => f(key).map(|key| Event::Put { key, etag }),
                Event::Deleted { key } => f(key).map(|key| Event::Deleted { key }),
                Event::Missed { count } => Some(Event::Missed { count }),
            })
        });
        Self(mapped.boxed())
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// Tells events to all who listen. For writers of backends; clones share it. Without listeners an
/// event costs one atomic load.
///
/// ```
/// use futures_util::StreamExt;
/// use storehouse_objectstore::{ETag, Event, EventSender, Key};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (sender, key) = (EventSender::default(), Key::new("a")?);
/// let mut events = sender.subscribe();
/// sender.deleted(&key);
/// assert_eq!(events.next().await, Some(Event::Deleted { key }));
/// sender.close();
/// assert_eq!(events.next().await, None);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventSender {
    shared: Arc<SharedSender>,
    capacity: usize,
}

#[derive(Debug)]
struct SharedSender {
    /// Whether there may be listeners.
    listened: AtomicBool,
    sender: Mutex<Option<broadcast::Sender<Event>>>,
}

impl Default for EventSender {
    fn default() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }
}

impl EventSender {
    /// The events held for a slow listener, unless a store says otherwise.
    pub const DEFAULT_CAPACITY: usize = 1024;

    /// A sender that holds this number of events for its slowest listener, at least 1 and at most
    /// 2^20 (both inclusive; rounded up to a power of two). The
    /// memory for them is taken when the first listener comes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::StreamExt;
    /// use storehouse_objectstore::{Event, EventSender, Key};
    ///
    /// let (sender, key) = (EventSender::with_capacity(2), Key::new("a")?);
    /// let mut events = sender.subscribe();
    /// for _ in 0..5 {
    ///     sender.deleted(&key);
    /// }
    /// assert_eq!(events.next().await, Some(Event::Missed { count: 3 }));
    /// assert_eq!(events.next().await, Some(Event::Deleted { key }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            shared: Arc::new(SharedSender {
                listened: AtomicBool::new(false),
                sender: Mutex::new(None),
            }),
            // The channel rounds up to a power of two, and refuses half of all numbers.
            capacity: capacity.clamp(1, 1 << 20),
        }
    }

    /// Listens: all that is told from now on.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        let mut sender = self.lock();
        let sender = sender.get_or_insert_with(|| broadcast::Sender::new(self.capacity));
        let receiver = sender.subscribe();
        self.shared.listened.store(true, Ordering::Release);
        let events = stream::unfold(receiver, |mut receiver| async {
            let event = match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(count)) => Event::Missed { count },
                Err(RecvError::Closed) => return None,
            };
            Some((event, receiver))
        });
        Events(events.boxed())
    }

    /// Tells that a version of the object was written.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::StreamExt;
    /// use storehouse_objectstore::{ETag, Event, EventSender, Key};
    ///
    /// let (sender, key, etag) = (EventSender::default(), Key::new("a")?, ETag::new("1"));
    /// assert!(!sender.is_listened());
    /// let mut events = sender.subscribe();
    /// assert!(sender.is_listened());
    /// sender.put(&key, &etag);
    /// assert_eq!(events.next().await, Some(Event::Put { key, etag }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn put(&self, key: &Key, etag: &ETag) {
        self.tell(|| Event::Put {
            key: key.clone(),
            etag: etag.clone(),
        });
    }

    /// Tells that the object was removed.
    pub fn deleted(&self, key: &Key) {
        self.tell(|| Event::Deleted { key: key.clone() });
    }

    /// Whether somebody may listen. Worth a look before an event that takes work to make.
    ///
    /// ```
    /// use storehouse_objectstore::EventSender;
    ///
    /// let sender = EventSender::default();
    /// assert!(!sender.is_listened());
    /// let events = sender.subscribe();
    /// assert!(sender.is_listened());
    /// ```
    #[must_use]
    pub fn is_listened(&self) -> bool {
        self.shared.listened.load(Ordering::Acquire)
    }

    /// Ends all listeners' streams, once they have read what was told.
    pub fn close(&self) {
        let mut sender = self.lock();
        self.shared.listened.store(false, Ordering::Release);
        *sender = None;
    }

    fn tell(&self, event: impl FnOnce() -> Event) {
        if !self.is_listened() {
            return;
        }
        let mut sender = self.lock();
        let heard = sender.as_ref().is_some_and(|s| s.send(event()).is_ok());
        if !heard {
            // The last listener has gone, and takes what was held for it along.
            self.shared.listened.store(false, Ordering::Release);
            *sender = None;
        }
    }

    // Nothing panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Option<broadcast::Sender<Event>>> {
        let sender = &self.shared.sender;
        sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let sender = EventSender::with_capacity(4);
        let keys: Vec<Key> = (0..10).map(|n| Key::new(n.to_string()).unwrap()).collect();
        sender.deleted(&keys[0]);
        let mut slow = sender.subscribe();
        for key in &keys {
            sender.deleted(key);
        }
        assert_eq!(slow.next().await, Some(Event::Missed { count: 6 }));
        for key in &keys[6..] {
            let key = key.clone();
            assert_eq!(slow.next().await, Some(Event::Deleted { key }));
        }
        drop(slow);
        sender.deleted(&keys[0]);
        assert!(!sender.is_listened());
        let mut again = sender.subscribe();
        drop(sender);
        assert_eq!(again.next().await, None);
    }
}
