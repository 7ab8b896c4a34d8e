//! The open engine, the mark beside it, and what happens when the engine has to be opened again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use storehouse_objectstore::{Error, ErrorClass, Operation, Result};

use super::engine::{Engine, Limits};
use super::fault::Fault;
use super::gaps::Gaps;
use super::heat::Heat;
use super::mark::{self, Found, Mark};
use super::record;
use crate::reserve::free_space;
use crate::{DirLock, Reserve};

const LOCK: &str = "LOCK";
const SETTING: &str = "datastore";
/// The largest record that can be allowed.
const MAX_SIZE: u64 = 1 << 30;
/// How long after a failed attempt to open the engine again the next one may come.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What all handles of a store and its tasks share.
pub(super) struct Core<E: Engine> {
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
    pub(super) heat: Heat,
    pub(super) gaps: Gaps,
    pub(super) reserve: Reserve,
    options: E::Options,
    /// `None` once the store is closed, or while opening it again fails.
    engine: RwLock<Option<E>>,
    mark: Mutex<Mark>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lock: Option<DirLock>,
    closed: bool,
    /// The last attempt to open the engine again failed.
    failure: Option<(Instant, Fault)>,
}

impl<E: Engine> Core<E> {
    /// Opens what is in the directory `path`. With it the last version that was given out.
    pub(super) fn open(path: &Path, options: E::Options) -> Result<(Self, u64)> {
        let limits = E::limits(&options);
        if limits.max_size > MAX_SIZE {
            return Err(Error::config("max_size", "a record has at most 1 GiB"));
        }
        let lock = DirLock::acquire(path, LOCK, SETTING)?;
        refuse_special_files(path)?;
        let acknowledged = match mark::read(path).map_err(failed(path, "MARK cannot be read"))? {
            Found::Mark { engine, number } if engine == E::NAME => Some(number),
            Found::Mark { engine, .. } => {
                let reason = format!(
                    "{} holds records of the engine {engine}, not {}",
                    path.display(),
                    E::NAME
                );
                return Err(Error::config(SETTING, reason));
            }
            Found::Damaged if limits.salvage => Some(0),
            Found::Damaged => {
                return Err(fatal(
                    path,
                    "MARK is damaged; the option `salvage` opens it all the same",
                ));
            }
            Found::Nothing => {
                refuse_foreign_files(path)?;
                None
            }
        };
        let mark = match acknowledged {
            Some(number) if !limits.salvage => Mark::open(path, E::NAME, number),
            _ => Mark::create(path, E::NAME, acknowledged.unwrap_or(0)),
        };
        let mut mark = mark.map_err(failed(path, "MARK cannot be written"))?;
        let unused = acknowledged.unwrap_or(0) == 0;
        let last = Mutex::new(0);
        let accept = |engine: &E| {
            let number = accepted(engine, path, acknowledged.unwrap_or(0), limits.salvage)?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = number;
            Ok(())
        };
        let reserve = Reserve::open(path, limits.reserve);
        let engine = open_engine(&reserve, || E::open(path, &options, unused, &accept))?;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        if last < acknowledged.unwrap_or(0) {
            // Salvaged: what is missing is not looked for again.
            let anew = Mark::create(path, E::NAME, last);
            mark = anew.map_err(failed(path, "MARK cannot be written"))?;
        }
        let core = Self {
            path: path.to_owned(),
            limits,
            heat: Heat::default(),
            gaps: Gaps::default(),
            reserve,
            options,
            engine: RwLock::new(Some(engine)),
            mark: Mutex::new(mark),
            state: Mutex::new(State {
                lock: Some(lock),
                ..State::default()
            }),
        };
        core.reserve.take_back();
        Ok((core, last.max(acknowledged.unwrap_or(0))))
    }

    /// Runs `work` on the engine. Blocks, also while the engine is opened again.
    pub(super) fn with<T>(&self, work: impl FnOnce(&E) -> Result<T, Fault>) -> Result<T, Fault> {
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner);
        match &*engine {
            Some(engine) => work(engine),
            None => Err(self.why_not_open()),
        }
    }

    /// Runs `work` on the engine, unless that would wait for the engine to be opened again.
    pub(super) fn try_with<T>(
        &self,
        work: impl FnOnce(&E) -> Result<T, Fault>,
    ) -> Option<Result<T, Fault>> {
        let engine = match self.engine.try_read() {
            Ok(engine) => engine,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        engine.as_ref().map(work)
    }

    /// Runs `work`; if the engine has stopped, opens it again and runs `work` once more. Also if it
    /// was not opened again: another thread may have opened it, to be read on a full disk.
    pub(super) fn with_retry<T>(&self, work: impl Fn(&E) -> Result<T, Fault>) -> Result<T, Fault> {
        match self.with(&work) {
            Err(Fault::Stopped { .. }) => {
                let reopened = self.reopen();
                match (self.with(&work), reopened) {
                    (Err(Fault::Stopped { .. }), Err(fault)) => Err(fault),
                    (done, _) => done,
                }
            }
            done => done,
        }
    }

    /// Opens the engine again if it has stopped.
    pub(super) fn reopen(&self) -> Result<(), Fault> {
        let mut engine = self.engine.write().unwrap_or_else(PoisonError::into_inner);
        if engine.as_ref().is_some_and(|engine| !engine.has_stopped()) {
            return Ok(());
        }
        if let Some(stopped) = &*engine {
            // Reads go on as long as there is no room.
            self.require_room(stopped.room_to_reopen(), "the engine is not opened again")?;
        }
        {
            let state = self.state();
            if state.closed {
                return Err(Fault::Closed);
            }
            if let Some((since, fault)) = &state.failure
                && since.elapsed() < RETRY_AFTER
            {
                return Err(fault.again());
            }
        }
        let opened = self.open_again(&mut engine);
        self.state().failure = opened
            .as_ref()
            .err()
            .map(|fault| (Instant::now(), fault.again()));
        opened
    }

    fn open_again(&self, engine: &mut Option<E>) -> Result<(), Fault> {
        // Its files are closed before they are opened again.
        *engine = None;
        let acknowledged = self.mark().number();
        let accept =
            |engine: &E| accepted(engine, &self.path, acknowledged, self.limits.salvage).map(drop);
        let open = || E::open(&self.path, &self.options, false, &accept);
        *engine = Some(open_engine(&self.reserve, open).map_err(into_fault)?);
        Ok(())
    }

    /// Rewrites the engine's files, if there is room for that.
    pub(super) fn compact(&self) -> Result<(), Fault> {
        self.with_retry(|engine| {
            self.require_room(engine.stats()?.disk, "nothing is compacted")?;
            engine.compact()
        })
    }

    /// Fails if fewer than `needed` bytes are free on the disk, so that the engine, which stops
    /// when a write fails, does not meet a full disk.
    pub(super) fn require_room(&self, needed: u64, what: &str) -> Result<(), Fault> {
        match free_space(&self.path) {
            Some(free) if free < needed => {
                let what =
                    format!("{what}: {free} bytes are free of the {needed} that it may need");
                Err(Fault::io(what, std::io::ErrorKind::StorageFull.into()))
            }
            _ => Ok(()),
        }
    }

    /// The same for a write that only removes: it has the reserve, and is tried in any case.
    pub(super) fn make_room(&self, needed: u64) {
        if free_space(&self.path).is_some_and(|free| free < needed) {
            self.reserve.give_up();
        }
    }

    /// Everything up to `number` is durable and acknowledged.
    pub(super) fn acknowledge(&self, number: u64) {
        self.mark().advance(number);
    }

    /// Says that the directory will be free soon.
    pub(super) fn closing(&self) {
        if let Some(lock) = &self.state().lock {
            lock.closing();
        }
    }

    /// Closes the engine once what uses it is done, and frees the directory.
    pub(super) fn close(&self) -> Result<(), Fault> {
        self.state().closed = true;
        let engine = self
            .engine
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(engine);
        let synced = self.mark().sync();
        let lock = self.state().lock.take();
        drop(lock);
        synced.map_err(|e| Fault::io("MARK cannot be synced", e))
    }

    /// What is wrong with the store, if anything is known to be.
    pub(super) fn trouble(&self) -> Option<Fault> {
        let engine = self.engine.try_read().ok()?;
        match &*engine {
            None => Some(self.why_not_open()),
            Some(engine) if engine.has_stopped() => {
                let failure = self
                    .state()
                    .failure
                    .as_ref()
                    .map(|(_, fault)| fault.again());
                Some(failure.unwrap_or_else(|| {
                    Fault::stopped("the engine has stopped; the next write opens it again")
                }))
            }
            Some(_) => None,
        }
    }

    fn why_not_open(&self) -> Fault {
        let state = self.state();
        match &state.failure {
            _ if state.closed => Fault::Closed,
            Some((_, fault)) => {
                Fault::stopped(format!("the engine could not be opened again: {fault}"))
            }
            None => Fault::stopped("the engine is not open"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens an engine; if the disk is full, once more with the space of the reserve.
fn open_engine<E: Engine>(reserve: &Reserve, open: impl Fn() -> Result<E>) -> Result<E> {
    let opened = open();
    let is_full = match &opened {
        Ok(engine) => engine.has_stopped(),
        Err(Error::Backend { source, .. }) => source
            .as_ref()
            .and_then(|source| source.downcast_ref())
            .is_some_and(mark::is_full),
        Err(_) => false,
    };
    if is_full && reserve.give_up() {
        drop(opened);
        return open();
    }
    opened
}

/// The last version that the engine knows of, if it knows of all that were acknowledged.
fn accepted<E: Engine>(engine: &E, path: &Path, acknowledged: u64, salvage: bool) -> Result<u64> {
    let counter = engine.get(record::COUNTER, record::decode_counter);
    let number = match counter.and_then(Option::transpose) {
        Ok(number) => number.unwrap_or(0),
        Err(_) if salvage => acknowledged,
        Err(fault) => return Err(fault.into_error(Operation::Open, None)),
    };
    if number < acknowledged && !salvage {
        let what = format!(
            "acknowledged writes are missing: the files end with version {number} of {acknowledged}; \
             the option `salvage` opens it with what is there"
        );
        return Err(fatal(path, &what));
    }
    Ok(number)
}

/// Opening a FIFO waits for a writer, and a device need not end.
fn refuse_special_files(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).map_err(failed(path, "the directory cannot be read"))?;
    for entry in entries {
        let entry = entry.map_err(failed(path, "the directory cannot be read"))?;
        // Of what a link leads to. One that leads nowhere is found by who opens it.
        let special = fs::metadata(entry.path()).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if special {
            let name = entry.file_name();
            let what = format!("{} is not a regular file", name.display());
            return Err(fatal(path, &what));
        }
    }
    Ok(())
}

/// A directory without a mark must be empty: another store's must never look like an empty one.
fn refuse_foreign_files(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).map_err(failed(path, "the directory cannot be read"))?;
    for entry in entries {
        let name = entry
            .map_err(failed(path, "the directory cannot be read"))?
            .file_name();
        // What a crash may have left of making a store, and what a new file system or a desktop
        // puts everywhere.
        let ours = name == LOCK || name == "MARK.new" || name == Reserve::NAME;
        if ours || name == "lost+found" || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let manifest = fs::read(path.join("MANIFEST")).unwrap_or_default();
        return Err(if manifest.starts_with(b"SHDBMAN1") {
            fatal(
                path,
                "the directory holds a datastore of storehouse's former engine, which this version \
                 cannot read; copy its records out with the version that wrote it",
            )
        } else {
            let what = format!(
                "the directory is not empty ({}) and holds no records",
                name.display()
            );
            fatal(path, &what)
        });
    }
    Ok(())
}

fn fatal(path: &Path, what: &str) -> Error {
    let message = format!("{}: {what}", path.display());
    let class = ErrorClass::Fatal;
    Error::Backend {
        operation: Operation::Open,
        key: None,
        class,
        message,
        source: None,
    }
}

fn failed(path: &Path, what: &str) -> impl FnOnce(std::io::Error) -> Error {
    let message = format!("{}: {what}", path.display());
    move |e| Error::io(Operation::Open, None, message, e)
}

fn into_fault(error: Error) -> Fault {
    match error {
        Error::Backend {
            message,
            source: Some(source),
            ..
        } => match source.downcast() {
            Ok(source) => Fault::io(message, *source),
            Err(source) => Fault::stopped(format!("{message}: {source}")),
        },
        error => Fault::stopped(error.to_string()),
    }
}
