//! A checker of linearizability for one key.

use std::collections::HashSet;

/// What an operation on the key did, by its answer. Versions are numbers; `None` is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Put this version, whatever was there.
    Wrote(u64),
    /// Put this version where nothing was.
    Created(u64),
    /// Did not put, because something was there.
    FoundItThere,
    /// Deleted whatever was there.
    Deleted,
    /// Read this.
    Saw(Option<u64>),
}

impl Act {
    /// What the key holds after this happened to `held`; `None` if it could not have happened then.
    fn after(self, held: Option<u64>) -> Option<Option<u64>> {
        match self {
            Self::Wrote(version) => Some(Some(version)),
            Self::Created(version) => held.is_none().then_some(Some(version)),
            Self::FoundItThere => held.is_some().then_some(held),
            Self::Deleted => Some(None),
            Self::Saw(seen) => (seen == held).then_some(held),
        }
    }
}

/// An operation with the times of its call and its return, on one clock that no two events share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) called: u64,
    pub(super) returned: u64,
    pub(super) act: Act,
}

/// Whether there is an order of these events that keeps the order of those that did not overlap and
/// explains every answer, for a key that held `held` before.
///
/// The search of Wing and Gong, which does not go twice into the same set of past events with the
/// same object. At most 64 events.
pub(super) fn is_linearizable(held: Option<u64>, events: &[Event]) -> bool {
    assert!(
        events.len() <= 64,
        "the suite's own mistake: a history of {} events",
        events.len()
    );
    let all = if events.len() == 64 {
        u64::MAX
    } else {
        (1 << events.len()) - 1
    };
    let mut seen = HashSet::from([(0u64, held)]);
    let mut open = vec![(0u64, held)];
    while let Some((past, held)) = open.pop() {
        if past == all {
            return true;
        }
        let future = || {
            events
                .iter()
                .enumerate()
                .filter(move |(n, _)| past & (1 << n) == 0)
        };
        // What was called after another has returned cannot come before it.
        let first_return = future().map(|(_, event)| event.returned).min().unwrap_or(0);
        for (n, event) in future().filter(|(_, event)| event.called < first_return) {
            if let Some(held) = event.act.after(held) {
                let next = (past | 1 << n, held);
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::Act::{Created, Deleted, FoundItThere, Saw, Wrote};
    use super::*;

    fn history(events: &[(u64, u64, Act)]) -> bool {
        let events: Vec<_> = events
            .iter()
            .map(|&(called, returned, act)| Event {
                called,
                returned,
                act,
            })
            .collect();
        is_linearizable(None, &events)
    }

    #[test]
    fn what_one_store_could_do_is_linearizable() {
        assert!(history(&[]));
        assert!(history(&[
            (0, 1, Wrote(1)),
            (2, 3, Saw(Some(1))),
            (4, 5, Deleted),
            (6, 7, Saw(None))
        ]));
        // Overlapping: either order will do, and the reader tells which it was.
        assert!(history(&[
            (0, 5, Wrote(1)),
            (1, 4, Wrote(2)),
            (6, 7, Saw(Some(1)))
        ]));
        assert!(history(&[
            (0, 5, Wrote(1)),
            (1, 4, Wrote(2)),
            (6, 7, Saw(Some(2)))
        ]));
        // Read before the put returned.
        assert!(history(&[
            (0, 5, Wrote(1)),
            (1, 2, Saw(Some(1))),
            (3, 4, Saw(Some(1)))
        ]));
        // One create wins, another loses, and a delete between lets a third win.
        assert!(history(&[
            (0, 9, Created(1)),
            (1, 8, FoundItThere),
            (2, 7, Deleted),
            (3, 6, Created(2)),
            (10, 11, Saw(Some(2)))
        ]));
    }

    #[test]
    fn what_no_store_should_do_is_not() {
        assert!(
            !history(&[(0, 1, Wrote(1)), (2, 3, Saw(None))]),
            "a put that is not there after it returned"
        );
        assert!(
            !history(&[(0, 1, Wrote(1)), (2, 3, Wrote(2)), (4, 5, Saw(Some(1)))]),
            "a put swallowed"
        );
        assert!(
            !history(&[(0, 1, Wrote(1)), (2, 3, Deleted), (4, 5, Saw(Some(1)))]),
            "a delete skipped"
        );
        assert!(
            !history(&[(0, 9, Wrote(1)), (1, 2, Saw(Some(1))), (3, 4, Saw(None))]),
            "an object seen, then not yet there"
        );
        assert!(
            !history(&[(0, 5, Created(1)), (1, 4, Created(2))]),
            "two creates that both win"
        );
        assert!(
            !history(&[(0, 1, FoundItThere)]),
            "a create that finds what is not there"
        );
        assert!(
            !history(&[
                (0, 3, Wrote(1)),
                (1, 2, Deleted),
                (4, 5, Saw(Some(1))),
                (6, 7, Saw(None))
            ]),
            "a delete that takes effect late"
        );
        assert!(
            !history(&[(0, 1, Saw(Some(7)))]),
            "an object that nobody wrote"
        );
    }
}
