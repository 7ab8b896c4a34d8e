//! The database's file, which a full disk does not keep from being read.
//!
//! Opening after a crash writes: it repairs. If there is no space for that, what is written goes to
//! memory instead of the file, and the database can be read. It must not be written then: nothing
//! of it would last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

const PAGE: usize = 4096;

/// A file as redb uses it. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: FileBackend,
    /// Writes may go to memory.
    lenient: AtomicBool,
    /// They do.
    in_memory: AtomicBool,
    overlay: Mutex<Overlay>,
}

/// What would be in the file.
#[derive(Debug, Default)]
struct Overlay {
    len: u64,
    /// The bytes of the file that still count.
    from_file: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Disk {
    /// With `lenient`, writes go to memory from the first one on that finds the disk full, until
    /// [`Disk::opened`].
    pub(crate) fn new(file: File, lenient: bool) -> Result<Self, DatabaseError> {
        Ok(Self(Arc::new(Inner {
            file: FileBackend::new(file)?,
            lenient: AtomicBool::new(lenient),
            in_memory: AtomicBool::new(false),
            overlay: Mutex::default(),
        })))
    }

    /// The database is open: from now on a full disk is an error.
    pub(crate) fn opened(&self) {
        self.0.lenient.store(false, Ordering::Release);
    }

    /// Whether something was written to memory only.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.0.in_memory.load(Ordering::Acquire)
    }

    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.0
            .overlay
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the file, or what stands for it in memory.
    fn change(
        &self,
        on_file: impl FnOnce(&FileBackend) -> io::Result<()>,
        in_memory: impl FnOnce(&FileBackend, &mut Overlay) -> io::Result<()>,
    ) -> io::Result<()> {
        let file = &self.0.file;
        if !self.is_in_memory() {
            match on_file(file) {
                Err(e) if is_full(&e) && self.0.lenient.load(Ordering::Acquire) => {}
                done => return done,
            }
            let mut overlay = self.overlay();
            if !self.is_in_memory() {
                overlay.len = file.len()?;
                overlay.from_file = overlay.len;
                self.0.in_memory.store(true, Ordering::Release);
            }
        }
        in_memory(file, &mut self.overlay())
    }
}

impl Overlay {
    fn page(&mut self, file: &FileBackend, number: u64) -> io::Result<&mut [u8; PAGE]> {
        use std::collections::btree_map::Entry;
        match self.pages.entry(number) {
            Entry::Occupied(page) => Ok(page.into_mut()),
            Entry::Vacant(place) => {
                let mut page = Box::new([0; PAGE]);
                let start = number * PAGE as u64;
                let there = self.from_file.saturating_sub(start).min(PAGE as u64);
                file.read(start, &mut page[..there as usize])?;
                Ok(place.insert(page))
            }
        }
    }

    fn write(&mut self, file: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        self.len = self.len.max(offset + data.len() as u64);
        for (number, within, part) in parts(offset, data.len()) {
            let page = self.page(file, number)?;
            page[within..within + part.len()].copy_from_slice(&data[part]);
        }
        Ok(())
    }

    fn read(&mut self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let there = self.from_file.saturating_sub(offset).min(out.len() as u64) as usize;
        file.read(offset, &mut out[..there])?;
        out[there..].fill(0);
        for (number, within, part) in parts(offset, out.len()) {
            if let Some(page) = self.pages.get(&number) {
                out[part.clone()].copy_from_slice(&page[within..within + part.len()]);
            }
        }
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        self.len = len;
        self.from_file = self.from_file.min(len);
        let (last, within) = (len / PAGE as u64, (len % PAGE as u64) as usize);
        self.pages
            .retain(|number, _| *number < last || *number == last && within > 0);
        if let Some(page) = self.pages.get_mut(&last) {
            page[within..].fill(0);
        }
    }
}

/// The pages that a range of bytes lies on: number, place in the page, and part of the range.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let place = offset + at as u64;
        let within = (place % PAGE as u64) as usize;
        let part = at..len.min(at + PAGE - within);
        at = part.end;
        (!part.is_empty()).then_some((place / PAGE as u64, within, part))
    })
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), QuotaExceeded | StorageFull)
}

type Locked<T> = Result<T, BackendError>;

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        if self.is_in_memory() {
            return Ok(self.overlay().len);
        }
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.is_in_memory() {
            return self.overlay().read(&self.0.file, offset, out);
        }
        self.0.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(
            |file| file.set_len(len),
            |_, overlay| {
                overlay.set_len(len);
                Ok(())
            },
        )
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(FileBackend::sync_data, |_, _| Ok(()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(
            |file| file.write(offset, data),
            |file, overlay| overlay.write(file, offset, data),
        )
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u16, Vec<u8>),
        SetLen(u16),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write = (0..20_000_u16, prop::collection::vec(1..=u8::MAX, 1..9000));
        prop::collection::vec(
            prop_oneof![
                4 => write.prop_map(|(at, data)| Step::Write(at, data)),
                1 => (0..30_000_u16).prop_map(Step::SetLen),
            ],
            1..20,
        )
    }

    proptest! {
        #[test]
        fn what_is_written_to_memory_reads_as_a_file_would(
            before in prop::collection::vec(any::<u8>(), 0..20_000),
            steps in steps(),
        ) {
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, &before).unwrap();
            let disk = Disk::new(file.try_clone().unwrap(), true).unwrap();
            disk.change(|_| Err(io::ErrorKind::StorageFull.into()), |_, _| Ok(())).unwrap();
            prop_assert!(disk.is_in_memory());
            let mut model = before.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let (at, end) = (usize::from(at), usize::from(at) + data.len());
                        model.resize(model.len().max(end), 0);
                        model[at..end].copy_from_slice(&data);
                        disk.write(at as u64, &data).unwrap();
                    }
                    Step::SetLen(len) => {
                        model.resize(len.into(), 0);
                        disk.set_len(len.into()).unwrap();
                    }
                }
                prop_assert_eq!(disk.len().unwrap(), model.len() as u64);
                let mut all = vec![9; model.len()];
                disk.read(0, &mut all).unwrap();
                prop_assert!(all == model);
                let from = model.len() / 3;
                disk.read(from as u64, &mut all[from..]).unwrap();
                prop_assert!(all == model);
                prop_assert!(disk.read(1, &mut vec![0; model.len()]).is_err());
            }
            let mut there = vec![0; before.len()];
            std::os::unix::fs::FileExt::read_exact_at(&file, &mut there, 0).unwrap();
            prop_assert!(there == before, "the file changed");
        }
    }

    #[test]
    fn once_open_a_full_disk_is_an_error() {
        let disk = Disk::new(tempfile::tempfile().unwrap(), true).unwrap();
        disk.opened();
        let full = disk.change(|_| Err(io::ErrorKind::StorageFull.into()), |_, _| Ok(()));
        assert!(full.is_err() && !disk.is_in_memory());
    }
}
