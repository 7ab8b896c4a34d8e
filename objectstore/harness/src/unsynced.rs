//! What a power cut takes: bytes that were written and not synced.
//!
//! The shim notes what each page of a file held before it was written, and when files were synced.
//! After the process is gone this puts back what the disk would have. Names are taken as they are:
//! a power cut may keep a name whose bytes it takes.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

const PAGE: u64 = 4096;

/// A file: its inode, and when that was made, in ns since 1970.
type Id = (u64, u64);

/// A page that is not as the disk has it.
#[derive(Clone, Debug)]
struct Page {
    /// What the disk has.
    durable: Vec<u8>,
    /// A sync of it failed: later ones pass it by.
    lost: bool,
}

/// The pages that were written and not synced.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    files: HashMap<Id, BTreeMap<u64, Page>>,
}

impl Unsynced {
    /// Reads the shim's notes.
    pub(crate) fn read(notes: &Path) -> io::Result<Self> {
        let mut notes = BufReader::new(File::open(notes)?);
        let mut unsynced = Self::default();
        let mut head = [0; 40];
        loop {
            match notes.read_exact(&mut head) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(unsynced),
                read => read?,
            }
            let [note, inode, born, page, len] = [0, 8, 16, 24, 32].map(|at| {
                head[at..]
                    .first_chunk()
                    .map_or(0, |number| u64::from_ne_bytes(*number))
            });
            let mut old = vec![0; len as usize];
            notes.read_exact(&mut old)?;
            unsynced.note(note, (inode, born), page, old);
        }
    }

    fn note(&mut self, note: u64, id: Id, page: u64, old: Vec<u8>) {
        let each = |ids: &mut dyn Iterator<Item = &mut BTreeMap<u64, Page>>, synced: bool| {
            for pages in ids {
                if synced {
                    pages.retain(|_, page| page.lost);
                } else {
                    pages.values_mut().for_each(|page| page.lost = true);
                }
            }
        };
        match note {
            1 => {
                let pages = self.files.entry(id).or_default();
                // Written again, so the next sync writes it.
                let page = pages.entry(page).or_insert(Page {
                    durable: old,
                    lost: false,
                });
                page.lost = false;
            }
            2 => each(&mut self.files.get_mut(&id).into_iter(), true),
            3 => each(&mut self.files.get_mut(&id).into_iter(), false),
            4 => each(&mut self.files.values_mut(), true),
            _ => each(&mut self.files.values_mut(), false),
        }
    }

    /// Takes the bytes from the files below `dir`: those whose sync failed, and of the others the
    /// ones that `takes` says.
    pub(crate) fn take(&self, dir: &Path, takes: &mut dyn FnMut() -> bool) -> io::Result<u64> {
        let mut taken = 0;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                taken += self.take(&entry.path(), takes)?;
                continue;
            }
            let born = metadata
                .created()?
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let Some(pages) = self.files.get(&(metadata.ino(), born.as_nanos() as u64)) else {
                continue;
            };
            let pages: BTreeMap<u64, &Page> = pages
                .iter()
                .filter(|(_, page)| page.lost || takes())
                .map(|(number, page)| (*number, page))
                .collect();
            if !pages.is_empty() {
                taken += pages.len() as u64;
                restore(&entry.path(), metadata.len(), &pages)?;
            }
        }
        Ok(taken)
    }
}

/// Gives a file its durable pages back.
fn restore(path: &Path, size: u64, pages: &BTreeMap<u64, &Page>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let end = |number: u64| (number + 1) * PAGE;
    // As long as what is kept, and what was there before.
    let kept = (0..size.div_ceil(PAGE))
        .rev()
        .find(|number| !pages.contains_key(number));
    let kept = kept.map_or(0, |number| end(number).min(size));
    let before = pages.iter().map(|(number, page)| match page.durable.len() {
        0 => 0,
        len => number * PAGE + len as u64,
    });
    let len = before.max().unwrap_or(0).max(kept);
    for (number, page) in pages {
        let mut bytes = page.durable.clone();
        bytes.resize(PAGE as usize, 0);
        file.write_all_at(&bytes, number * PAGE)?;
    }
    file.set_len(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(notes: &[(u64, u64, &[u8])]) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, [vec![b'x'; 4096], vec![b'y'; 10]].concat()).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        let born = metadata
            .created()
            .unwrap()
            .duration_since(UNIX_EPOCH)
            .unwrap();
        let mut unsynced = Unsynced::default();
        for (note, page, old) in notes {
            unsynced.note(
                *note,
                (metadata.ino(), born.as_nanos() as u64),
                *page,
                old.to_vec(),
            );
        }
        unsynced.take(dir.path(), &mut || true).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn what_is_synced_stays() {
        let whole = [vec![b'x'; 4096], vec![b'y'; 10]].concat();
        assert_eq!(left(&[(1, 0, b""), (1, 1, b""), (2, 0, b"")]), whole);
        assert_eq!(left(&[(1, 0, b""), (1, 1, b""), (4, 0, b"")]), whole);
    }

    #[test]
    fn what_is_not_synced_goes() {
        assert_eq!(left(&[(1, 0, b""), (1, 1, b"")]), b"");
        assert_eq!(left(&[(1, 0, b"old"), (1, 1, b"")]), b"old");
        assert_eq!(left(&[(1, 1, b"")]), vec![b'x'; 4096]);
        // What lies behind is kept, so the file is as long as it is.
        let holed = [vec![0; 4096], vec![b'y'; 10]].concat();
        assert_eq!(
            left(&[(1, 0, b""), (1, 1, b""), (2, 0, b""), (1, 0, b"")]),
            holed
        );
    }

    #[test]
    fn a_sync_after_a_failed_one_mends_nothing() {
        assert_eq!(
            left(&[(1, 0, b""), (1, 1, b""), (3, 0, b""), (2, 0, b"")]),
            b""
        );
        let written_again = [
            (1, 0, b"".as_slice()),
            (1, 1, b""),
            (3, 0, b""),
            (1, 0, b"x"),
            (1, 1, b"y"),
            (2, 0, b""),
        ];
        assert_eq!(left(&written_again).len(), 4106);
    }
}
