//! A turn at the log: names are judged and changed by one at a time, and records stand in the log
//! in the order in which that happened.

use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use bytes::Bytes;

use super::frame::{self, Kind};
use super::segment::{Segment, Writing};
use super::{Log, State};
use storehouse_objectstore::Key;

/// From so many bytes on a segment is full, and the other one is used, once that is empty.
const SEGMENT: u64 = 32 * 1024 * 1024;

/// A segment is no longer than this; whoever would write more waits for the other one to be
/// emptied.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Held while names are judged and changed. Nobody else's turn is it meanwhile.
pub(in super::super) struct Turn<'a> {
    log: &'a Log,
    state: MutexGuard<'a, State>,
    frame: Vec<u8>,
    keys: Vec<Key>,
    reserved: Vec<Key>,
}

/// A place in the log up to which it is to be synced.
pub(in super::super) struct Ticket {
    segment: Arc<Segment>,
    generation: u64,
    until: u64,
    reserved: Vec<Key>,
}

impl Log {
    /// A turn, once at least one of the keys is not in somebody else's hands, and once there may be
    /// room for records of so many bytes: if the disk does not keep up, this is where puts wait for
    /// it.
    pub(in super::super) fn turn<'k>(
        &self,
        keys: impl Iterator<Item = &'k Key> + Clone,
        bytes: usize,
    ) -> Turn<'_> {
        let mut state = self.lock();
        while state.is_behind(bytes)
            || (!state.reserved.is_empty() && keys.clone().all(|key| state.reserved.contains(key)))
        {
            state = self.wait(state);
        }
        Turn::new(self, state)
    }

    /// Waits until what the ticket stands for is durable.
    pub(in super::super) fn sync(&self, ticket: &Ticket) -> io::Result<()> {
        ticket.segment.sync(ticket.until).inspect_err(|e| {
            self.lock()
                .failed
                .get_or_insert_with(|| format!("the log cannot be synced: {e}"));
        })
    }

    /// The files of the ticket's puts have their names, except for `void`, which have none. If that
    /// is to be durable: the ticket for it.
    pub(in super::super) fn finish(
        &self,
        ticket: Ticket,
        void: &[Key],
    ) -> io::Result<Option<Ticket>> {
        let mut turn = Turn::new(self, self.lock());
        let appended = if void.is_empty() {
            Ok(None)
        } else {
            void.iter()
                .for_each(|key| turn.push(Kind::Void, key, &[], 0));
            turn.append_frame()
        };
        if appended.is_err() {
            turn.state.void.extend(void.iter().cloned());
        }
        for key in &ticket.reserved {
            turn.state.reserved.remove(key);
        }
        let State { active, full, .. } = &mut *turn.state;
        if let Some(writing) = active
            .iter_mut()
            .chain(full)
            .find(|writing| writing.generation() == ticket.generation)
        {
            writing.under_way -= usize::from(!ticket.reserved.is_empty());
        }
        if turn.state.full.is_some() {
            self.to_do.notify_all();
        }
        drop(turn);
        self.changed.notify_all();
        appended
    }
}

impl State {
    fn is_behind(&self, bytes: usize) -> bool {
        let too_long =
            |active: &Writing| active.at > frame::START && active.at + bytes as u64 > LONGEST;
        self.failed.is_none() && self.full.is_some() && self.active.as_ref().is_some_and(too_long)
    }
}

impl<'a> Turn<'a> {
    fn new(log: &'a Log, state: MutexGuard<'a, State>) -> Self {
        Self {
            log,
            state,
            frame: frame::begin(),
            keys: Vec::new(),
            reserved: Vec::new(),
        }
    }

    /// Whether somebody is about to give this key's file its name.
    pub(in super::super) fn is_reserved(&self, key: &Key) -> bool {
        self.state.reserved.contains(key)
    }

    /// Whether the log holds something of this key, so that what changes it must leave a record. Of
    /// this turn's own records the last one counts.
    pub(in super::super) fn is_live(&self, key: &Key) -> bool {
        self.keys.last() == Some(key)
            || self
                .state
                .active
                .iter()
                .chain(&self.state.full)
                .any(|writing| writing.live.contains(key))
    }

    /// Whether the log is of no use until it is mended.
    pub(in super::super) fn has_failed(&self) -> bool {
        self.state.failed.is_some()
    }

    /// Sees to it that records of so many bytes find room. Must come before them. If it fails,
    /// nothing has changed.
    pub(in super::super) fn make_room(&mut self, bytes: usize) -> io::Result<()> {
        if let Some(reason) = &self.state.failed {
            return Err(io::Error::other(reason.clone()));
        }
        let needed = |active: &Writing| active.at + bytes as u64;
        let full = self
            .state
            .active
            .as_ref()
            .is_some_and(|active| active.at > frame::START && needed(active) > SEGMENT);
        if full
            && self.state.full.is_none()
            && let Err(e) = self.log.roll(&mut self.state)
            && self.state.failed.is_some()
        {
            return Err(e);
        }
        match &self.state.active {
            Some(active) => active.segment.reach(needed(active)),
            None => Err(io::Error::other("there is no log")),
        }
    }

    /// An object is to be there. Its file gets its name when this is durable; until then the key is
    /// reserved.
    pub(in super::super) fn put(&mut self, key: &Key, value: &[Bytes], nanos: u64) {
        self.push(Kind::Put, key, value, nanos);
        self.reserved.push(key.clone());
    }

    /// An object is there, but not durably, and need not be.
    pub(in super::super) fn put_relaxed(&mut self, key: &Key, value: &[Bytes], nanos: u64) {
        self.push(Kind::Put, key, value, nanos);
    }

    /// No object is there any more.
    pub(in super::super) fn deleted(&mut self, key: &Key) {
        self.push(Kind::Delete, key, &[], 0);
    }

    /// What is there now is durable without the log.
    pub(in super::super) fn settled(&mut self, key: &Key) {
        self.push(Kind::Settled, key, &[], 0);
    }

    fn push(&mut self, kind: Kind, key: &Key, value: &[Bytes], nanos: u64) {
        frame::push(&mut self.frame, kind, key.as_str(), value, nanos);
        self.keys.push(key.clone());
    }

    /// Ends the turn. The ticket is for all that was recorded in it and before; `None` if there is
    /// nothing to wait for.
    pub(in super::super) fn append(mut self) -> io::Result<Option<Ticket>> {
        let appended = self.append_frame();
        if let Ok(Some(ticket)) = &appended
            && !ticket.reserved.is_empty()
            && let Some(active) = &mut self.state.active
        {
            active.under_way += 1;
            self.state.reserved.extend(ticket.reserved.iter().cloned());
        }
        appended
    }

    fn append_frame(&mut self) -> io::Result<Option<Ticket>> {
        let State { active, failed, .. } = &mut *self.state;
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
        Ok(Some(Ticket {
            generation: segment.generation(),
            segment,
            until: active.at,
            reserved: std::mem::take(&mut self.reserved),
        }))
    }
}

impl Log {
    /// Goes on in the other segment; the keeper empties this one.
    fn roll(&self, state: &mut State) -> io::Result<()> {
        let next = self.next(state)?;
        if let Some(active) = &state.active {
            // So that whoever waits for something that was recorded before need look at the new one
            // alone.
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
