//! A disk in memory that records all that is done to it, and can be had as a crash would have left
//! it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::disk::{Disk, DiskFile};
use super::noise::Noise;

/// What is written at once or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    /// Everything that was done, in order. Files that were there from the start are in `start`.
    history: Vec<Step>,
    start: (BTreeMap<String, usize>, Vec<Vec<u8>>),
    /// How many more bytes the files may grow by, if there is a limit.
    room: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        file: usize,
        at: usize,
        bytes: Vec<u8>,
    },
    Sync {
        file: usize,
    },
    Names(BTreeMap<String, usize>),
    SyncNames,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl SimDisk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How much was done so far.
    pub(super) fn moment(&self) -> usize {
        self.lock().history.len()
    }

    /// From now on files may grow by so many bytes together.
    pub(super) fn limit(&self, room: Option<usize>) {
        self.lock().room = room;
    }

    /// The disk as a power failure at `moment` leaves it. What was synced is there. Of what was
    /// not, some is, in whole or in part: chance decides. With `losing` nothing of it is.
    pub(super) fn after_crash(&self, moment: usize, noise: &mut Noise, losing: bool) -> Self {
        let state = self.lock();
        let (mut names, mut files) = state.start.clone();
        files.resize(state.files.len(), Vec::new());
        let done = &state.history[..moment];
        let synced_names = done
            .iter()
            .rposition(|step| matches!(step, Step::SyncNames))
            .unwrap_or(0);
        // A journal keeps changes of names in order, and loses the end of them.
        let kept_names = synced_names
            + if losing {
                0
            } else {
                noise.below((moment - synced_names) as u64 + 1) as usize
            };
        let mut synced = vec![0; state.files.len()];
        for (i, step) in done.iter().enumerate() {
            if let Step::Sync { file } = step {
                synced[*file] = i;
            }
        }
        for (i, step) in done.iter().enumerate() {
            match step {
                Step::Names(changed) if i < kept_names => names.clone_from(changed),
                Step::Write { file, at, bytes } => {
                    let (kept, torn) = if i < synced[*file] {
                        (true, false)
                    } else {
                        (!losing && noise.below(3) > 0, noise.below(2) == 0)
                    };
                    if kept {
                        let disk = &mut files[*file];
                        if disk.len() < at + bytes.len() {
                            disk.resize(at + bytes.len(), 0);
                        }
                        for start in (0..bytes.len()).step_by(SECTOR) {
                            let end = (start + SECTOR).min(bytes.len());
                            if !torn || noise.below(2) == 0 {
                                disk[at + start..at + end].copy_from_slice(&bytes[start..end]);
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Self::of(names, files)
    }

    /// The same disk, once more, as it is.
    pub(super) fn copy(&self) -> Self {
        let state = self.lock();
        Self::of(state.names.clone(), state.files.clone())
    }

    fn of(names: BTreeMap<String, usize>, files: Vec<Vec<u8>>) -> Self {
        let start = (names.clone(), files.clone());
        Self(Arc::new(Mutex::new(State {
            names,
            files,
            start,
            ..State::default()
        })))
    }

    /// The files by name, with their sizes.
    pub(super) fn sizes(&self) -> Vec<(String, usize)> {
        let state = self.lock();
        state
            .names
            .iter()
            .map(|(name, file)| (name.clone(), state.files[*file].len()))
            .collect()
    }

    /// Changes a file behind everybody's back.
    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let file = state.names[name];
        change(&mut state.files[file]);
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = *self.lock().names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            file,
        }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        state.files.push(Vec::new());
        let file = state.files.len() - 1;
        state.names.insert(name.to_owned(), file);
        state.note_names();
        Ok(Arc::new(SimFile {
            disk: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.names.remove(from).ok_or(ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), file);
        state.note_names();
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        let file = state.names.remove(name).ok_or(ErrorKind::NotFound)?;
        let freed = state.files[file].len();
        state.room = state.room.map(|room| room + freed);
        state.note_names();
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn sync_names(&self) -> io::Result<()> {
        self.lock().history.push(Step::SyncNames);
        Ok(())
    }
}

impl State {
    fn note_names(&mut self) {
        self.history.push(Step::Names(self.names.clone()));
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.file].len() as u64)
    }

    fn read(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let bytes = state.files[self.file]
            .get(at as usize..at as usize + out.len())
            .ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn read_cached(&self, out: &mut [u8], at: u64) -> Option<io::Result<()>> {
        // Some of it is in memory, as it is in life.
        (!(at / 4096).is_multiple_of(3)).then(|| self.read(out, at))
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        let at = at as usize;
        let growth = (at + bytes.len()).saturating_sub(state.files[self.file].len());
        let fits = state.room.map_or(bytes.len(), |room| {
            if growth > room {
                bytes.len() - (growth - room).min(bytes.len())
            } else {
                bytes.len()
            }
        });
        state.room = state.room.map(|room| room.saturating_sub(growth));
        let (bytes, cut) = (&bytes[..fits], fits < bytes.len());
        let file = &mut state.files[self.file];
        if file.len() < at + fits {
            file.resize(at + fits, 0);
        }
        file[at..at + fits].copy_from_slice(bytes);
        state.history.push(Step::Write {
            file: self.file,
            at,
            bytes: bytes.to_vec(),
        });
        if cut {
            Err(ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.disk
            .lock()
            .history
            .push(Step::Sync { file: self.file });
        Ok(())
    }
}
