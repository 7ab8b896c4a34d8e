//! Several sorted sources as one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::cache::Cache;
use super::entry::{Entry, EntryRef};
use super::fault::Fault;
use super::table::{Cursor, Wait};

/// Entries in order.
#[derive(Debug)]
pub(super) enum Source {
    Entries(VecDeque<Entry>),
    Table(Cursor),
}

impl Source {
    /// Sees to it that the next entry is at hand, if there is one.
    fn settle(&mut self, cache: Option<&Cache>, wait: Wait) -> Result<(), Fault> {
        match self {
            Self::Entries(_) => Ok(()),
            Self::Table(cursor) => cursor.settle(cache, wait),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Entries(entries) => entries.is_empty(),
            Self::Table(cursor) => cursor.is_empty(),
        }
    }

    /// The key of the next entry.
    fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Entries(entries) => entries.front().map(Entry::key),
            Self::Table(cursor) => cursor.key(),
        }
    }

    /// The next entry, checked, and what it lies in.
    fn entry(&self) -> Result<Option<(EntryRef<'_>, &Bytes)>, Fault> {
        match self {
            Self::Entries(entries) => {
                Ok(entries.front().map(|entry| (entry.by_ref(), entry.bytes())))
            }
            Self::Table(cursor) => cursor.entry(),
        }
    }

    fn pass(&mut self) {
        match self {
            Self::Entries(entries) => drop(entries.pop_front()),
            Self::Table(cursor) => cursor.pass(),
        }
    }
}

/// The entries of several sources in order, of each key the one from the first source that has it.
/// Deletions are among them.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    sources: Vec<Source>,
    cache: Option<&'a Cache>,
    wait: Wait,
    /// The source of the entry that was given last. It goes on when the next one is asked for:
    /// nothing is read that nobody wants.
    given: Option<usize>,
}

impl<'a> Merge<'a> {
    /// Merges sources, the newest first.
    pub(super) fn new(sources: Vec<Source>, cache: Option<&'a Cache>, wait: Wait) -> Self {
        Self {
            sources,
            cache,
            wait,
            given: None,
        }
    }

    /// The next entry, checked, and what it lies in.
    pub(super) fn next(&mut self) -> Result<Option<(EntryRef<'_>, &Bytes)>, Fault> {
        if let Some(given) = self.given.take() {
            self.pass(given);
        }
        for source in &mut self.sources {
            source.settle(self.cache, self.wait)?;
        }
        self.sources.retain(|source| !source.is_empty());
        let Some(least) = self.least() else {
            return Ok(None);
        };
        self.given = Some(least);
        self.sources[least].entry()
    }

    /// Passes over the entry that was given and what older sources have of the same key, which is
    /// no longer true.
    fn pass(&mut self, given: usize) {
        let (newer, older) = self.sources.split_at_mut(given + 1);
        let Some(given) = newer.last_mut() else {
            return;
        };
        if !older.is_empty() {
            let key = given.key();
            older
                .iter_mut()
                .filter(|other| other.key() == key)
                .for_each(Source::pass);
        }
        given.pass();
    }

    fn least(&self) -> Option<usize> {
        let mut least = 0;
        if self.sources.len() < 2 {
            return self.sources.first().map(|_| least);
        }
        let mut key = self.sources.first()?.key();
        for (i, other) in self.sources.iter().enumerate().skip(1) {
            let other = other.key();
            if other < key {
                (least, key) = (i, other);
            }
        }
        Some(least)
    }
}
