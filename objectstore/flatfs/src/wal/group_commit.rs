//! Group commit: names change in one order, the log's records stand in that order, and all that
//! wait share its syncs.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use storehouse_objectstore::Key;

use super::frame::{self, RecordKind};
use super::log::{Wal, WalState};
use super::segment::{ActiveSegment, Segment};

/// Segment size, in bytes, at which writing switches to the other segment, once that is empty.
const SEGMENT: u64 = 32 * 1024 * 1024;

/// The longest segment, in bytes. Further writers wait until the other one is empty.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The right to judge and change names, held by one group at a time, and the records of it.
pub(crate) struct NamesGuard<'a> {
    wal: &'a Wal,
    state: MutexGuard<'a, WalState>,
    frame: Vec<u8>,
    keys: Vec<Key>,
    reserved: Vec<Key>,
}

/// A place in the log, up to which it can be synced.
pub(crate) struct SyncPoint {
    segment: Arc<Segment>,
    generation: u64,
    until: u64,
    reserved: Vec<Key>,
}

impl Wal {
    /// Waits until at least one of the keys is not reserved by another group, and there may be room
    /// for records of `bytes` bytes: if the disk does not keep up, puts wait for it here.
    pub(crate) fn lock_names<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key> + Clone,
        bytes: usize,
    ) -> NamesGuard<'_> {
        let mut state = self.lock();
        loop {
            let is_reserved =
                !state.reserved.is_empty() && keys.clone().all(|key| state.reserved.contains(key));
            // Keys that the log is just being emptied of need further records until it is empty; if
            // there is no space for those, the wait is for that.
            let has_records = state
                .full
                .as_ref()
                .is_some_and(|full| keys.clone().any(|key| full.live.contains(key)));
            if !state.is_behind(bytes)
                && !is_reserved
                && (!has_records || state.failed.is_some() || self.go_on(&mut state).is_ok())
            {
                return NamesGuard::new(self, state);
            }
            state = self.wait(state);
        }
    }

    /// Makes the log durable up to `point`.
    pub(crate) fn sync(&self, point: &SyncPoint) -> io::Result<()> {
        point.segment.sync(point.until).inspect_err(|e| {
            self.lock()
                .failed
                .get_or_insert_with(|| format!("the log cannot be synced: {e}"));
        })
    }

    /// Ends the reservation of the point's keys: their files have their names, except for `void`,
    /// which get none. The point at which that is durable.
    pub(crate) fn finish(&self, point: SyncPoint, void: &[Key]) -> io::Result<Option<SyncPoint>> {
        let mut names = NamesGuard::new(self, self.lock());
        let appended = if void.is_empty() {
            Ok(None)
        } else {
            self.go_on(&mut names.state).and_then(|()| {
                void.iter()
                    .for_each(|key| names.push(RecordKind::Void, key, &[], 0));
                names.append_frame()
            })
        };
        if appended.is_err() {
            names.state.void.extend(void.iter().cloned());
        }
        for key in &point.reserved {
            names.state.reserved.remove(key);
        }
        let WalState { active, full, .. } = &mut *names.state;
        if let Some(segment) = active
            .iter_mut()
            .chain(full)
            .find(|segment| segment.generation() == point.generation)
        {
            segment.unnamed_groups -= usize::from(!point.reserved.is_empty());
        }
        if names.state.full.is_some() {
            self.to_do.notify_all();
        }
        drop(names);
        self.freed.notify_all();
        appended
    }
}

impl WalState {
    fn is_behind(&self, bytes: usize) -> bool {
        let too_long =
            |active: &ActiveSegment| active.at > frame::START && active.at + bytes as u64 > LONGEST;
        self.failed.is_none() && self.full.is_some() && self.active.as_ref().is_some_and(too_long)
    }
}

impl<'a> NamesGuard<'a> {
    fn new(wal: &'a Wal, state: MutexGuard<'a, WalState>) -> Self {
        Self {
            wal,
            state,
            frame: frame::begin(),
            keys: Vec::new(),
            reserved: Vec::new(),
        }
    }

    /// Whether another group is about to give this key's file its name.
    pub(crate) fn is_reserved(&self, key: &Key) -> bool {
        self.state.reserved.contains(key)
    }

    /// Whether the log has a record of this key, so that a change of it must leave one too. Of the
    /// guard's own records, counts the last.
    pub(crate) fn is_live(&self, key: &Key) -> bool {
        self.keys.last() == Some(key)
            || self
                .state
                .active
                .iter()
                .chain(&self.state.full)
                .any(|segment| segment.live.contains(key))
    }

    /// Whether the log is unusable until it recovers.
    pub(crate) fn has_failed(&self) -> bool {
        self.state.failed.is_some()
    }

    /// Makes room for records of `bytes` bytes, before they are pushed. On an error nothing has
    /// changed.
    pub(crate) fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if let Some(reason) = &self.state.failed {
            return Err(io::Error::other(reason.clone()));
        }
        let needed = |active: &ActiveSegment| active.at + bytes as u64;
        let full = self
            .state
            .active
            .as_ref()
            .is_some_and(|active| active.at > frame::START && needed(active) > SEGMENT);
        if full
            && self.state.full.is_none()
            && let Err(e) = self.wal.switch(&mut self.state)
            && self.state.failed.is_some()
        {
            return Err(e);
        }
        match &self.state.active {
            Some(active) => active.segment.reach(needed(active)),
            None => Err(io::Error::other("there is no log")),
        }
    }

    /// Records an object. Its file gets its name once this is durable; the key is reserved until
    /// then.
    pub(crate) fn put(&mut self, key: &Key, value: &[Bytes], nanos: u64) {
        self.push(RecordKind::Put, key, value, nanos);
        self.reserved.push(key.clone());
    }

    /// Records an object that has its name already and need not be durable.
    pub(crate) fn put_relaxed(&mut self, key: &Key, value: &[Bytes], nanos: u64) {
        self.push(RecordKind::Put, key, value, nanos);
    }

    /// Records that the object is deleted.
    pub(crate) fn deleted(&mut self, key: &Key) {
        self.push(RecordKind::Delete, key, &[], 0);
    }

    /// Records that what is in place is durable without the log.
    pub(crate) fn settled(&mut self, key: &Key) {
        self.push(RecordKind::Settled, key, &[], 0);
    }

    fn push(&mut self, kind: RecordKind, key: &Key, value: &[Bytes], nanos: u64) {
        frame::push(&mut self.frame, kind, key.as_str(), value, nanos);
        self.keys.push(key.clone());
    }

    /// Appends the records and releases the names. The point covers these records and all before;
    /// `None` if there is no log.
    pub(crate) fn append(mut self) -> io::Result<Option<SyncPoint>> {
        let appended = self.append_frame();
        if let Ok(Some(point)) = &appended
            && !point.reserved.is_empty()
            && let Some(active) = &mut self.state.active
        {
            active.unnamed_groups += 1;
            self.state.reserved.extend(point.reserved.iter().cloned());
        }
        appended
    }

    fn append_frame(&mut self) -> io::Result<Option<SyncPoint>> {
        let WalState { active, failed, .. } = &mut *self.state;
        let Some(active) = active else {
            return Ok(None);
        };
        if !frame::is_empty(&self.frame) {
            if let Some(reason) = failed {
                return Err(io::Error::other(reason.clone()));
            }
            match active
                .segment
                .write(std::mem::take(&mut self.frame), active.at)
            {
                Ok(end) => active.at = end,
                Err(e) => {
                    *failed = Some(format!("the log cannot be written: {e}"));
                    return Err(e);
                }
            }
            Arc::make_mut(&mut active.live).extend(self.keys.drain(..));
            let now = Instant::now();
            active.first.get_or_insert(now);
            active.last = now;
        }
        let segment = Arc::clone(&active.segment);
        Ok(Some(SyncPoint {
            generation: segment.generation(),
            segment,
            until: active.at,
            reserved: std::mem::take(&mut self.reserved),
        }))
    }
}

impl Wal {
    /// Makes a segment to append to, if there is none, while the other one is being emptied.
    fn go_on(&self, state: &mut WalState) -> io::Result<()> {
        if state.active.is_none() && state.full.is_some() {
            if let Some(reason) = &state.failed {
                return Err(io::Error::other(reason.clone()));
            }
            state.active = Some(self.next_segment(state)?);
        }
        Ok(())
    }

    /// Switches to the other segment; the checkpoint thread empties this one.
    fn switch(&self, state: &mut WalState) -> io::Result<()> {
        let next = self.next_segment(state)?;
        if let Some(active) = &state.active {
            // So that waiting for the new segment covers what was recorded in this one.
            if let Err(e) = active.segment.sync(active.at) {
                state.failed = Some(format!("the log cannot be synced: {e}"));
                state.spare.push(next.segment);
                return Err(e);
            }
        }
        state.full = state.active.replace(next);
        self.to_do.notify_all();
        Ok(())
    }
}
