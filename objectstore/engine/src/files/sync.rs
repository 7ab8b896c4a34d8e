//! Syncing many files.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::sys::Sys;

/// From this many files on, syncing the whole file system may be cheaper.
const MANY: usize = 8;

/// Threads that sync files in parallel otherwise: a journaling file system commits syncs that wait
/// at the same time together.
const THREADS: usize = 8;

/// Syncs files or directories, by a sync of their file system if `file_system` is given and that is
/// cheaper. One result for each, in order.
///
/// ```
/// use storehouse_engine::files::{SystemCalls, pick, sync_all};
///
/// let files = [tempfile::tempfile()?, tempfile::tempfile()?, tempfile::tempfile()?];
/// let results = sync_all(&*pick(SystemCalls::Portable), None, &files.each_ref());
/// assert!(results.len() == 3 && results.iter().all(Result::is_ok));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn sync_all(sys: &dyn Sys, file_system: Option<&File>, files: &[&File]) -> Vec<io::Result<()>> {
    if files.len() >= MANY
        && let Some(file_system) = file_system
        && let Some(Ok(())) = sys.sync_file_system(file_system, files.len() as u32)
    {
        return files.iter().map(|_| Ok(())).collect();
    }
    if files.len() <= 2 {
        return files.iter().map(|file| sys.sync(file)).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<io::Result<()>>>> =
        Mutex::new(files.iter().map(|_| None).collect());
    let work = || {
        while let Some((i, file)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, files.get(i)?)))
        {
            let result = sys.sync(file);
            if let Some(slot) = results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_mut(i)
            {
                *slot = Some(result);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..files.len().min(THREADS) {
            // If the system has no more threads, this one does the work.
            let _ = std::thread::Builder::new()
                .name("file-sync".to_owned())
                .spawn_scoped(scope, work);
        }
        work();
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results
        .into_iter()
        .map(|result| result.unwrap_or_else(|| Err(io::Error::other("not synced"))))
        .collect()
}
