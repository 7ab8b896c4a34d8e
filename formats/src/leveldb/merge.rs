//! The newest version of every key, out of all logs and tables.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::iter;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::Result;
use super::manifest::Files;
use super::version::Version;
use super::{memtable, table};

type VersionSource<'a> = Box<dyn Iterator<Item = Result<Version>> + Send + 'a>;

/// The live records of a database, in key order, read as they are asked for. Values are wiped when
/// dropped.
pub struct Records<'a> {
    heap: BinaryHeap<Head<'a>>,
    last: Option<Vec<u8>>,
    failed: bool,
}

/// A source and the version that it gives next.
struct Head<'a> {
    next: Version,
    rest: VersionSource<'a>,
}

impl Ord for Head<'_> {
    /// The greatest is the next: smaller keys first, newer versions first.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .next
            .key
            .cmp(&self.next.key)
            .then(self.next.sequence.cmp(&other.next.sequence))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

impl<'a> Records<'a> {
    pub(super) fn new(dir: &Path, files: &'a Files) -> Result<Self> {
        let mut sources: Vec<VersionSource<'a>> = vec![Box::new(memtable::read(dir, files)?)];
        for (level, tables) in &files.levels {
            let mut tables: Vec<_> = tables.iter().collect();
            tables.sort_by_key(|(_, smallest)| *smallest);
            let paths = tables.into_iter().map(|(number, _)| path(dir, *number));
            if *level == 0 {
                sources.extend(paths.map(|path| Box::new(opened(path)) as VersionSource<'a>));
            } else {
                // One after the other, so that few are open at a time.
                sources.push(Box::new(
                    paths.collect::<Vec<_>>().into_iter().flat_map(opened),
                ));
            }
        }
        let mut heap = BinaryHeap::with_capacity(sources.len());
        for mut rest in sources {
            if let Some(next) = rest.next().transpose()? {
                heap.push(Head { next, rest });
            }
        }
        Ok(Self {
            heap,
            last: None,
            failed: false,
        })
    }

    fn next_version(&mut self) -> Result<Option<Version>> {
        let Some(mut head) = self.heap.pop() else {
            return Ok(None);
        };
        let version = match head.rest.next().transpose()? {
            Some(next) => {
                let version = std::mem::replace(&mut head.next, next);
                self.heap.push(head);
                version
            }
            None => head.next,
        };
        Ok(Some(version))
    }
}

fn path(dir: &Path, number: u64) -> PathBuf {
    let mut path = dir.join(format!("{number:06}.ldb"));
    if !path.exists() {
        path.set_extension("sst");
    }
    path
}

/// A table's versions, or why it has none.
fn opened(path: PathBuf) -> impl Iterator<Item = Result<Version>> {
    let (table, error) = match table::Table::open(path) {
        Ok(table) => (Some(table), None),
        Err(e) => (None, Some(Err(e))),
    };
    iter::once(error)
        .flatten()
        .chain(table.into_iter().flatten())
}

impl Iterator for Records<'_> {
    type Item = Result<(Vec<u8>, Zeroizing<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            match self.next_version() {
                Ok(None) => return None,
                Err(e) => {
                    self.failed = true;
                    return Some(Err(e));
                }
                // Older than one that was given, or deleted.
                Ok(Some(version)) if self.last.as_ref() == Some(&version.key) => {}
                Ok(Some(Version { key, value, .. })) => {
                    self.last = Some(key.clone());
                    if let Some(value) = value {
                        return Some(Ok((key, value)));
                    }
                }
            }
        }
        None
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("sources", &self.heap.len())
            .finish_non_exhaustive()
    }
}
