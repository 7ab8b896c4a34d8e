//! The flush thread: writes what the log holds to a table, so that the log can go.

use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::builder::TableBuilder;
use super::fault::Fault;
use super::log::{self, Log};
use super::manifest::Manifest;
use super::table::{self, Table, TableId};
use super::{Core, compact};

/// How long to wait before a flush that failed is tried again, unless somebody asks.
const RETRY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Flusher {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    job: Option<Job>,
    /// Why the job could not be done when it was last tried.
    failure: Option<Fault>,
    /// How often jobs were tried, and whether one is being tried now.
    tries: u64,
    trying: bool,
    /// The job is to be tried at once.
    nudged: bool,
    /// A log whose file can be used again.
    spare: Option<u64>,
    /// The last log, if the store is being closed.
    closing: Option<u64>,
    committer_ended: bool,
}

/// The frozen records are to go into a table.
#[derive(Clone, Copy, Debug)]
struct Job {
    /// Logs before this one are no longer needed then.
    first_log: u64,
    last_sequence: u64,
}

impl Flusher {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is being flushed, or flushing fails.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        self.settled().map(drop)
    }

    /// The same; gives a log to spare.
    pub(super) fn ready(&self) -> Result<Option<u64>, Fault> {
        Ok(self.settled()?.spare.take())
    }

    fn settled(&self) -> Result<MutexGuard<'_, State>, Fault> {
        let mut state = self.lock();
        let mut enough = None;
        while state.job.is_some() {
            if let Some(failure) = &state.failure {
                // What failed may do now: there may be room again.
                let tries = state.tries;
                let enough = *enough.get_or_insert(tries + 1 + u64::from(state.trying));
                if tries >= enough {
                    return Err(failure.again());
                }
                state.nudged = true;
                self.changed.notify_all();
            }
            state = self.wait(state);
        }
        Ok(state)
    }

    /// Freezes the records and has them flushed. Nothing may be being flushed already.
    pub(super) fn begin(&self, core: &Core, first_log: u64, last_sequence: u64) {
        let mut memory = core.memory_mut();
        memory.frozen = Some(Arc::new(std::mem::take(&mut memory.active)));
        drop(memory);
        self.lock().job = Some(Job {
            first_log,
            last_sequence,
        });
        self.changed.notify_all();
    }

    /// The same for the last time. `needed` says whether the last log holds anything.
    pub(super) fn close(&self, core: &Core, last_log: u64, last_sequence: u64, needed: bool) {
        if needed {
            if self.settle().is_err() {
                // The logs stay, and are read when the store is opened again.
                return;
            }
            self.begin(core, last_log + 1, last_sequence);
        }
        self.lock().closing = Some(last_log);
    }

    pub(super) fn committer_ended(&self) {
        self.lock().committer_ended = true;
        self.changed.notify_all();
    }

    /// Why flushing fails, if it does.
    pub(super) fn failure(&self) -> Option<Fault> {
        self.lock().failure.as_ref().map(Fault::again)
    }
}

/// Flushes until the store is closed.
pub(super) fn run(core: &Core) {
    let flusher = &core.flusher;
    let mut state = flusher.lock();
    loop {
        let Some(job) = state.job else {
            if state.committer_ended {
                break;
            }
            state = flusher.wait(state);
            continue;
        };
        state.nudged = false;
        state.trying = true;
        drop(state);
        let flushed = flush(core, job);
        state = flusher.lock();
        state.trying = false;
        state.tries += 1;
        match flushed {
            Ok(retired) => {
                state.job = None;
                state.failure = None;
                if let Some(unused) = std::mem::replace(&mut state.spare, retired) {
                    let _ = core.disk.remove(&log::file_name(unused));
                }
                flusher.changed.notify_all();
                core.compactor.wake();
            }
            Err(failure) => {
                state.failure = Some(failure);
                flusher.changed.notify_all();
                if state.committer_ended {
                    return;
                }
                if !state.nudged {
                    state = flusher
                        .changed
                        .wait_timeout(state, RETRY)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
        }
    }
    // All is in tables: a closed store has no logs. What cannot be removed now is removed when it
    // is opened.
    for number in state.spare.into_iter().chain(state.closing) {
        let _ = core.disk.remove(&log::file_name(number));
    }
}

/// Writes the frozen records to a table. Gives a log whose file can be used again.
fn flush(core: &Core, job: Job) -> Result<Option<u64>, Fault> {
    let Some(frozen) = core.memory().frozen.clone() else {
        return Ok(None);
    };
    let built = if frozen.is_empty() {
        None
    } else {
        build(core, |builder| {
            frozen
                .range(Bound::Unbounded)
                .try_for_each(|entry| builder.push(entry.by_ref()).map_err(write_failed()))
        })?
    };
    let before = core.install(
        |manifest| {
            manifest.first_log = job.first_log;
            manifest.last_sequence = manifest.last_sequence.max(job.last_sequence);
            manifest
                .tables
                .splice(0..0, built.as_ref().map(|table| table.id));
        },
        |memory| {
            let newest = built.iter().chain(memory.tables.iter()).cloned().collect();
            memory.tables = Arc::new(newest);
            memory.frozen = None;
        },
    )?;
    let mut retired = before.first_log..job.first_log;
    let spare = retired.next_back();
    retired.for_each(|number| drop(core.disk.remove(&log::file_name(number))));
    Ok(spare)
}

/// Writes what logs held when the store was opened to a table, and starts the first log.
pub(super) fn recovered(core: &Core, first_log: u64, last_sequence: u64) -> Result<Log, Fault> {
    if core.manifest().first_log != first_log {
        let mut memory = core.memory_mut();
        memory.frozen = Some(Arc::new(std::mem::take(&mut memory.active)));
        drop(memory);
        if let Some(unused) = flush(
            core,
            Job {
                first_log,
                last_sequence,
            },
        )? {
            let _ = core.disk.remove(&log::file_name(unused));
        }
    }
    Log::create(core.disk.as_ref(), core.id, first_log, 0, None)
        .map_err(Fault::io("a log cannot be made"))
}

/// Writes a table of what `fill` gives. `None` if that is nothing.
pub(super) fn build(
    core: &Core,
    fill: impl FnOnce(&mut TableBuilder) -> Result<(), Fault>,
) -> Result<Option<Arc<Table>>, Fault> {
    let number = core.next_table();
    let write = || -> Result<TableId, Fault> {
        let mut builder =
            TableBuilder::create(core.disk.as_ref(), core.id, number).map_err(write_failed())?;
        fill(&mut builder)?;
        let id = builder.finish().map_err(write_failed())?;
        core.disk.sync_names().map_err(write_failed())?;
        Ok(id)
    };
    let opened = write().and_then(|id| {
        if id.entries == 0 {
            Ok(None)
        } else {
            Table::open(core.disk.as_ref(), core.id, id).map(Some)
        }
    });
    match opened {
        Ok(Some(Table {
            damage: Some(damage),
            ..
        })) => Err(Fault::Damaged(damage)),
        Ok(Some(table)) => Ok(Some(Arc::new(table))),
        unused => {
            // It takes up room that may be missing.
            let _ = core.disk.remove(&table::file_name(number));
            unused.map(|_| None)
        }
    }
}

fn write_failed() -> impl FnOnce(std::io::Error) -> Fault {
    Fault::io("a table cannot be written")
}

impl Core {
    /// A number that no table has, nor will have, should this one come to nothing.
    pub(super) fn next_table(&self) -> u64 {
        let mut manifest = self.manifest();
        manifest.next_table += 1;
        manifest.next_table - 1
    }

    /// Changes the manifest on the disk and then what readers see. Gives the manifest before.
    pub(super) fn install(
        &self,
        change: impl FnOnce(&mut Manifest),
        show: impl FnOnce(&mut super::memory::Memory),
    ) -> Result<Manifest, Fault> {
        let mut manifest = self.manifest();
        let mut changed = manifest.clone();
        change(&mut changed);
        changed
            .write(self.disk.as_ref())
            .map_err(Fault::io("the manifest cannot be written"))?;
        show(&mut self.memory_mut());
        Ok(std::mem::replace(&mut *manifest, changed))
    }
}

/// Starts the threads that write tables; the first ends once all is flushed and the second ended.
pub(super) fn start(core: &Arc<Core>) -> std::io::Result<std::thread::JoinHandle<()>> {
    let compacting = {
        let core = Arc::clone(core);
        std::thread::Builder::new()
            .name("datastore-compact".into())
            .spawn(move || compact::run(&core))?
    };
    let core = Arc::clone(core);
    std::thread::Builder::new()
        .name("datastore-flush".into())
        .spawn(move || {
            run(&core);
            core.compactor.close();
            // A thread that panicked has nothing more to say.
            let _ = compacting.join();
            core.unlock();
        })
}
