//! Several sorted sources as one.

use std::collections::VecDeque;

use super::cache::Cache;
use super::entry::Entry;
use super::fault::Fault;
use super::table::{Cursor, Wait};

/// Entries in order.
#[derive(Debug)]
pub(super) enum Source {
    Entries(VecDeque<Entry>),
    Table(Cursor),
}

/// The entries of several sources in order, of each key the one from the first source that has it. Deletions are among them.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    /// Each with its next entry.
    sources: Vec<(Source, Option<Entry>)>,
    cache: Option<&'a Cache>,
    wait: Wait,
}

impl<'a> Merge<'a> {
    /// Merges sources, the newest first.
    pub(super) fn new(sources: Vec<Source>, cache: Option<&'a Cache>, wait: Wait) -> Result<Self, Fault> {
        let mut merge = Self { sources: Vec::with_capacity(sources.len()), cache, wait };
        for mut source in sources {
            let next = advance(&mut source, cache, wait)?;
            merge.sources.push((source, next));
        }
        Ok(merge)
    }

    pub(super) fn next(&mut self) -> Result<Option<Entry>, Fault> {
        let mut least: Option<usize> = None;
        for (i, (_, next)) in self.sources.iter().enumerate() {
            let Some(entry) = next else { continue };
            let before = |least: usize| self.sources[least].1.as_ref().is_none_or(|other| entry.key() < other.key());
            if least.is_none_or(before) {
                least = Some(i);
            }
        }
        let Some(least) = least else { return Ok(None) };
        let Some(entry) = self.step(least)? else { return Ok(None) };
        // What older sources have of the same key is no longer true.
        for other in least + 1..self.sources.len() {
            if self.sources[other].1.as_ref().is_some_and(|older| older.key() == entry.key()) {
                self.step(other)?;
            }
        }
        Ok(Some(entry))
    }

    /// Takes the next entry of a source.
    fn step(&mut self, source: usize) -> Result<Option<Entry>, Fault> {
        let (source, next) = &mut self.sources[source];
        let after = advance(source, self.cache, self.wait)?;
        Ok(std::mem::replace(next, after))
    }
}

fn advance(source: &mut Source, cache: Option<&Cache>, wait: Wait) -> Result<Option<Entry>, Fault> {
    match source {
        Source::Entries(entries) => Ok(entries.pop_front()),
        Source::Table(cursor) => cursor.next(cache, wait),
    }
}
