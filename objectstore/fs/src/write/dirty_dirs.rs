//! The directories that a group of puts or deletes changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::Arc;

use storehouse_engine::files::duplicate;

use super::super::directory::{Directory, split};
use super::durable_dirs::DurableDirs;

/// Directories by their paths below the root, held open until they are synced.
#[derive(Default)]
pub(crate) struct DirtyDirs(BTreeMap<String, Arc<File>>);

impl DirtyDirs {
    /// Marks a directory in which a name changed.
    pub(crate) fn mark(&mut self, path: &str, dir: &Arc<File>) {
        if !self.0.contains_key(path) {
            self.0.insert(path.to_owned(), Arc::clone(dir));
        }
    }

    /// A marked directory, open.
    pub(super) fn held(&self, path: &str) -> Option<Arc<File>> {
        self.0.get(path).cloned()
    }

    /// Forgets a directory that was removed: what changed is its parent, which the caller marks.
    pub(super) fn removed(&mut self, path: &str) {
        self.0.remove(path);
    }

    /// Syncs the marked directories, and those above them that may not have their names durably.
    /// What failed.
    pub(crate) fn sync(
        self,
        directory: &Directory,
        durable: &DurableDirs,
        sync: impl Fn(&[&File]) -> Vec<io::Result<()>>,
    ) -> SyncFailures {
        let moment = durable.now();
        let unknown: HashMap<&String, Vec<String>> = self
            .0
            .keys()
            .map(|path| (path, durable.unknown(path)))
            .collect();
        let above: HashSet<&str> = unknown
            .values()
            .flatten()
            .map(|path| split(path).0)
            .filter(|path| !self.0.contains_key(*path))
            .collect();
        let mut failed: HashMap<String, io::Error> = HashMap::new();
        let mut files: Vec<(String, Arc<File>)> = self
            .0
            .iter()
            .map(|(path, dir)| (path.clone(), Arc::clone(dir)))
            .collect();
        for path in above {
            match directory.open_dir(path) {
                Ok(Some(dir)) => files.push((path.to_owned(), dir)),
                // Removed since, with all that was in it.
                Ok(None) => {}
                Err(e) => drop(failed.insert(path.to_owned(), e)),
            }
        }
        let open: Vec<&File> = files.iter().map(|(_, dir)| &**dir).collect();
        for ((path, _), result) in files.iter().zip(sync(&open)) {
            if let Err(e) = result {
                failed.insert(path.clone(), e);
            }
        }
        let mut known = Vec::new();
        let marked = self.0.keys().cloned().collect();
        let mut failures = HashMap::new();
        for (path, unknown) in unknown {
            let above = unknown.iter().map(|path| split(path).0);
            let failure = [path.as_str()]
                .into_iter()
                .chain(above)
                .find_map(|path| failed.get(path));
            match failure {
                Some(e) => drop(failures.insert(path.clone(), duplicate(e))),
                None => known.extend(unknown),
            }
        }
        durable.add(known, moment);
        SyncFailures { marked, failures }
    }
}

/// The directories that could not be synced.
pub(crate) struct SyncFailures {
    marked: HashSet<String>,
    failures: HashMap<String, io::Error>,
}

impl SyncFailures {
    /// Why what changed in this directory is not durable; in the one above it, if it was removed.
    pub(crate) fn find(&self, mut path: &str) -> Option<&io::Error> {
        while !self.marked.contains(path) && !path.is_empty() {
            path = split(path).0;
        }
        self.failures.get(path)
    }
}
