//! The compaction thread: merges tables, so that there are few of them and what was deleted or
//! replaced goes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::Core;
use super::fault::Fault;
use super::flush::build;
use super::merge::{Merge, Source};
use super::table::{Table, Wait, file_name};

/// How many tables are merged at least. Fewer would write every record more often, more would leave
/// more to look into.
const FAN_IN: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Compactor {
    state: Mutex<State>,
    changed: Condvar,
    closing: AtomicBool,
    /// Held while tables are merged.
    running: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    work: bool,
    failure: Option<Fault>,
}

impl Compactor {
    /// Has it looked whether there is something to merge.
    pub(super) fn wake(&self) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .work = true;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Why the last merge failed, if it did.
    pub(super) fn failure(&self) -> Option<Fault> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failure
            .as_ref()
            .map(Fault::again)
    }
}

/// Merges tables until the store is closed.
pub(super) fn run(core: &Core) {
    let compactor = &core.compactor;
    loop {
        let mut state = compactor
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while !std::mem::take(&mut state.work) {
            state = compactor
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        if compactor.closing.load(Ordering::Relaxed) {
            return;
        }
        // Damage or a full disk: nothing is lost but speed. It is tried again after the next flush.
        let failure = compact(core, similar).err();
        compactor
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .failure = failure;
    }
}

/// The newest tables that are together about as large as the next: so each record is written some
/// log₂(n) / 2 times.
fn similar(tables: &[Arc<Table>]) -> Option<Range<usize>> {
    let mut bytes = tables.first()?.id.len;
    let mut count = 1;
    while let Some(next) = tables.get(count).filter(|next| next.id.len <= bytes) {
        bytes += next.id.len;
        count += 1;
    }
    (count >= FAN_IN).then_some(0..count)
}

/// All tables, if that changes anything.
pub(super) fn all(tables: &[Arc<Table>]) -> Option<Range<usize>> {
    (!tables.is_empty()).then_some(0..tables.len())
}

/// Merges the tables that `pick` picks into one.
pub(super) fn compact(
    core: &Core,
    pick: impl FnOnce(&[Arc<Table>]) -> Option<Range<usize>>,
) -> Result<(), Fault> {
    let _one_at_a_time = core
        .compactor
        .running
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let tables = Arc::clone(&core.memory().tables);
    let Some(range) = pick(&tables) else {
        return Ok(());
    };
    let old = tables.get(range).unwrap_or_default();
    // What is not covered by a merge is newer, or there is something older that a deletion still
    // has to hide.
    let oldest_too = old.last().map(|table| table.id) == tables.last().map(|table| table.id);
    if let Some(damage) = old.iter().find_map(|table| table.damage.clone()) {
        return Err(Fault::Damaged(damage));
    }
    let merged = build(core, |builder| {
        let sources = old
            .iter()
            .map(|table| table.seek(b"", None, Wait::Allowed).map(Source::Table))
            .collect::<Result<_, _>>()?;
        let mut merge = Merge::new(sources, None, Wait::Allowed);
        while let Some((entry, _)) = merge.next()? {
            if core.compactor.closing.load(Ordering::Relaxed) {
                return Err(Fault::Io(
                    "the store was closed".into(),
                    std::io::ErrorKind::Interrupted.into(),
                ));
            }
            if !(oldest_too && entry.is_deletion()) {
                builder
                    .push(entry)
                    .map_err(Fault::io("a table cannot be written"))?;
            }
        }
        Ok(())
    })?;
    let is_old = |number: u64| old.iter().any(|table| table.id.number == number);
    // Flushes that happened meanwhile have put newer tables in front.
    core.install(
        |manifest| {
            let at = manifest
                .tables
                .iter()
                .position(|table| is_old(table.number))
                .unwrap_or(manifest.tables.len());
            manifest.tables.retain(|table| !is_old(table.number));
            manifest
                .tables
                .splice(at..at, merged.as_ref().map(|table| table.id));
        },
        |memory| {
            let at = memory
                .tables
                .iter()
                .position(|table| is_old(table.id.number))
                .unwrap_or(memory.tables.len());
            let mut tables: Vec<_> = memory
                .tables
                .iter()
                .filter(|table| !is_old(table.id.number))
                .cloned()
                .collect();
            tables.splice(at..at, merged.clone());
            memory.tables = Arc::new(tables);
        },
    )?;
    for table in old {
        // Readers that have it open read on. What cannot be removed now is removed when the store
        // is opened.
        let _ = core.disk.remove(&file_name(table.id.number));
    }
    Ok(())
}
