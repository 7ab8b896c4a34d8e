//! An engine in memory whose files can be damaged and whose calls can fail.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::Duration;

use storehouse_engine::{Engine, EngineStats, Fault, Limits, RecordStore, Span, Visit};
use storehouse_objectstore::{Operation, Result};

pub(crate) type Store = RecordStore<Shelf>;

/// What outlives the engine: its disk, and what goes wrong.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) records: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Writes that fail: with them nothing or everything happens.
    pub(crate) failing_writes: AtomicUsize,
    pub(crate) failed_writes_happen: AtomicBool,
    pub(crate) failing_opens: AtomicUsize,
    /// Keys from the first (inclusive) to the second (exclusive) cannot be read.
    pub(crate) unreadable: Mutex<Option<(Vec<u8>, Vec<u8>)>>,
    pub(crate) slow: AtomicBool,
    pub(crate) readers: Mutex<HashSet<ThreadId>>,
    pub(crate) compactions: AtomicUsize,
    pub(crate) syncs: AtomicUsize,
    /// The free bytes that a put needs, and those that opening again needs.
    pub(crate) needs: AtomicU64,
    pub(crate) reopening_needs: AtomicU64,
    /// Reads that find the engine stopped.
    pub(crate) stopped_reads: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) disk: Arc<Disk>,
    pub(crate) max_size: u64,
    pub(crate) salvage: bool,
}

#[derive(Debug)]
pub(crate) struct Shelf {
    disk: Arc<Disk>,
    stopped: AtomicBool,
}

pub(crate) fn options(disk: &Arc<Disk>) -> Options {
    Options {
        disk: Arc::clone(disk),
        max_size: 1 << 20,
        salvage: false,
    }
}

/// Takes one from a count.
fn take(count: &AtomicUsize) -> bool {
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        })
        .is_ok()
}

fn broken() -> Fault {
    Fault::io("the shelf is broken", std::io::Error::other("injected"))
}

impl Shelf {
    fn readable(&self, key: &[u8]) -> Result<(), Fault> {
        match &*self.disk.unreadable.lock().unwrap() {
            Some((from, to)) if from[..] <= *key && *key < to[..] => {
                Err(Fault::damaged("a block is damaged"))
            }
            _ => Ok(()),
        }
    }
}

impl Engine for Shelf {
    const NAME: &'static str = "shelf";
    const UNSYNCED_SURVIVES_PROCESS: bool = true;
    const KEEPS_DELETIONS: bool = true;

    type Options = Options;

    fn limits(options: &Options) -> Limits {
        Limits::new(options.max_size, options.salvage)
    }

    fn open(
        _: &Path,
        options: &Options,
        _: bool,
        accept: &dyn Fn(&Self) -> Result<()>,
    ) -> Result<Self> {
        if take(&options.disk.failing_opens) {
            return Err(broken().into_error(Operation::Open, None));
        }
        let shelf = Self {
            disk: Arc::clone(&options.disk),
            stopped: AtomicBool::new(false),
        };
        accept(&shelf)?;
        Ok(shelf)
    }

    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault> {
        self.disk
            .readers
            .lock()
            .unwrap()
            .insert(std::thread::current().id());
        if self.disk.slow.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.readable(key)?;
        if take(&self.disk.stopped_reads) {
            self.stopped.store(true, Ordering::SeqCst);
            return Err(Fault::stopped("the shelf has stopped"));
        }
        Ok(self
            .disk
            .records
            .lock()
            .unwrap()
            .get(key)
            .map(|value| read(value)))
    }

    fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault> {
        let records = self.disk.records.lock().unwrap();
        let mut range = records.range::<[u8], _>(span.bounds());
        let mut next = || {
            if span.reverse {
                range.next_back()
            } else {
                range.next()
            }
        };
        while let Some((key, value)) = next() {
            self.readable(key)?;
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: &[(&[u8], Option<&[u8]>)], sync: bool) -> Result<(), Fault> {
        assert!(
            changes.is_sorted_by(|a, b| a.0 < b.0),
            "keys in order, each once"
        );
        assert!(!self.has_stopped(), "a write on an engine that has stopped");
        let fails = take(&self.disk.failing_writes);
        if !fails || self.disk.failed_writes_happen.load(Ordering::SeqCst) {
            let mut records = self.disk.records.lock().unwrap();
            for (key, value) in changes {
                match value {
                    Some(value) => records.insert(key.to_vec(), value.to_vec()),
                    None => records.remove(*key),
                };
            }
        }
        if fails {
            self.stopped.store(true, Ordering::SeqCst);
            return Err(broken());
        }
        self.disk
            .syncs
            .fetch_add(usize::from(sync), Ordering::SeqCst);
        Ok(())
    }

    fn compact(&self) -> Result<(), Fault> {
        self.disk.compactions.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn verify(&self) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    fn stats(&self) -> Result<EngineStats, Fault> {
        let records = self.disk.records.lock().unwrap();
        let disk = records
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        let records = records.len() as u64;
        Ok(EngineStats {
            disk: disk as u64,
            records,
            memory: 0,
        })
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn room_to_reopen(&self) -> u64 {
        self.disk.reopening_needs.load(Ordering::SeqCst)
    }

    fn room_to_write(&self, operations: u64, _: u64, only_removes: bool) -> u64 {
        assert!(operations > 1, "at least the counter and an operation");
        if only_removes {
            0
        } else {
            self.disk.needs.load(Ordering::SeqCst)
        }
    }
}
