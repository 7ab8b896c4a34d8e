//! Events, in the order in which names changed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use storehouse_objectstore::{ETag, EventSender, Key};

/// Tells changes once they are durable. Of changes of one key at the same time the last is told,
/// and one before it only if it was durable first: a listener never ends with what is past.
#[derive(Debug, Default)]
pub(crate) struct Teller {
    pub(crate) events: EventSender,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// The last change of each key, and how many are under way.
    keys: HashMap<Key, (u64, usize)>,
}

/// A change whose event is due.
#[derive(Debug)]
pub(crate) struct Due(u64);

/// What a change left in its place.
pub(crate) enum Change<'a> {
    Put(&'a ETag),
    Deleted,
    /// It failed.
    Unknown,
}

impl Teller {
    /// A change of the key happened. With the names locked.
    pub(crate) fn changed(&self, key: &Key) -> Due {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.next += 1;
        let now = under_way.next;
        let (last, count) = under_way.keys.entry(key.clone()).or_default();
        (*last, *count) = (now, *count + 1);
        Due(now)
    }

    /// Tells the change, unless another one came after it.
    pub(crate) fn tell(&self, key: &Key, due: Due, change: Change<'_>) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((last, count)) = under_way.keys.get_mut(key) else {
            return;
        };
        *count -= 1;
        let is_last = *last == due.0;
        if *count == 0 {
            under_way.keys.remove(key);
        }
        // Under the lock, so that the events of one key keep their order.
        match change {
            Change::Put(etag) if is_last => self.events.put(key, etag),
            Change::Deleted if is_last => self.events.deleted(key),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use storehouse_objectstore::Event;

    use super::*;

    #[test]
    fn what_is_past_is_not_told_last() {
        let (teller, key, tag) = (Teller::default(), Key::new("a").unwrap(), ETag::new("1"));
        let mut events = teller.events.subscribe();
        let mut next = || events.next().now_or_never().flatten();
        let put = teller.changed(&key);
        let delete = teller.changed(&key);
        teller.tell(&key, delete, Change::Deleted);
        teller.tell(&key, put, Change::Put(&tag));
        assert_eq!(next(), Some(Event::Deleted { key: key.clone() }));
        assert_eq!(next(), None);
        let put = teller.changed(&key);
        teller.tell(&key, put, Change::Put(&tag));
        let failed = teller.changed(&key);
        teller.tell(&key, failed, Change::Unknown);
        assert!(matches!(next(), Some(Event::Put { .. })));
        assert_eq!(next(), None);
        assert!(teller.under_way.lock().unwrap().keys.is_empty());
    }
}
