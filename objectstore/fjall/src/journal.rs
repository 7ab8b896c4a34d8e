//! The log's files, before and after fjall has opened them.
//!
//! Opening truncates each file at the first thing that fjall does not understand. So each file is
//! copied first, and fjall opens the copy: if writes turn out to be missing, the original is put
//! back as it was. The copy also is what makes a failed sync safe to go on from: the system may
//! have given up the pages that it could not write, and the copy is written and synced anew.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use storehouse_engine::Fault;

/// What a file is called before its copy was accepted.
const ORIGINAL: &str = "original";
/// What is kept of a file that was cut, if that was allowed.
const CUT: &str = "cut";
const COPY: &str = "copy";
const PIECE: usize = 1 << 20;

/// Originals of the log's files that wait for a verdict.
#[derive(Debug)]
pub(crate) struct Originals {
    dir: PathBuf,
    /// The files' names, and the bytes in them.
    files: Vec<(PathBuf, u64)>,
}

/// Copies the log's files in `dir`, and puts the originals aside.
pub(crate) fn set_aside(dir: &Path) -> Result<Originals, Fault> {
    let mut originals = Originals {
        dir: dir.to_owned(),
        files: Vec::new(),
    };
    let io = |e| Fault::io("the log cannot be copied", e);
    if !dir.try_exists().map_err(io)? {
        return Ok(originals);
    }
    // An opening that ended without a verdict: as if it had not begun.
    restore(dir).map_err(io)?;
    for file in with_extension(dir, "jnl").map_err(io)? {
        let copy = file.with_added_extension(COPY);
        let original = file.with_added_extension(ORIGINAL);
        let replaced = copy_data(&file, &copy).and_then(|len| {
            fs::hard_link(&file, &original)?;
            fs::rename(&copy, &file)?;
            Ok(len)
        });
        let len = match replaced {
            // On a full disk the log is opened as it is: reading and deleting must go on. What is
            // missing then is found all the same, only not put back.
            Err(e) if e.kind() == io::ErrorKind::StorageFull => {
                for made in [&copy, &original] {
                    remove_if_there(made).map_err(io)?;
                }
                continue;
            }
            replaced => replaced.map_err(io)?,
        };
        originals.files.push((file, len));
    }
    sync(dir).map_err(io)?;
    Ok(originals)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

impl Originals {
    /// The copies are good. Must be durable before anything is written to them.
    pub(crate) fn accept(self, keep_cut: bool) -> Result<(), Fault> {
        let io = |e| Fault::io("the log's originals cannot be removed", e);
        for (file, len) in &self.files {
            let original = file.with_added_extension(ORIGINAL);
            // A file that is gone was applied as a whole.
            let cut = fs::metadata(file).is_ok_and(|now| now.len() < *len);
            let done = if keep_cut && cut {
                fs::rename(original, file.with_added_extension(CUT))
            } else {
                fs::remove_file(original)
            };
            done.map_err(io)?;
        }
        if self.dir.try_exists().map_err(io)? {
            sync(&self.dir).map_err(io)
        } else {
            Ok(())
        }
    }

    /// Everything as it was before. The database must be closed.
    pub(crate) fn put_back(self) {
        // What cannot be put back now is when the directory is opened again.
        let _ = restore(&self.dir);
    }
}

/// Puts originals back that no verdict was given on.
fn restore(dir: &Path) -> io::Result<()> {
    for copy in with_extension(dir, COPY)? {
        fs::remove_file(copy)?;
    }
    for original in with_extension(dir, ORIGINAL)? {
        fs::rename(&original, original.with_extension(""))?;
        // Renaming one name of a file to another of the same file does nothing.
        match fs::remove_file(&original) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    sync(dir)
}

fn with_extension(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let is_one = |path: &io::Result<PathBuf>| {
        path.as_ref().map_or(true, |path| {
            path.extension().is_some_and(|found| found == extension)
        })
    };
    paths.filter(is_one).collect()
}

/// Copies and syncs `from` without the zeros at its end, for which fjall has reserved space. Gives
/// the length.
fn copy_data(from: &Path, to: &Path) -> io::Result<u64> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let (mut piece, mut written, mut zeros) = (vec![0; PIECE], 0, 0);
    loop {
        let len = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let data = piece[..len]
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if data > 0 {
            io::copy(&mut io::repeat(0).take(zeros), &mut to)?;
            to.write_all(&piece[..data])?;
            written += zeros + data as u64;
            zeros = 0;
        }
        zeros += (len - data) as u64;
    }
    to.sync_all()?;
    Ok(written)
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect();
        all.sort();
        all
    }

    fn files() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let long = [
            vec![1; PIECE + 10],
            vec![0; PIECE],
            vec![2; 3],
            vec![0; 2 * PIECE],
        ]
        .concat();
        fs::write(dir.path().join("0.jnl"), long).unwrap();
        fs::write(dir.path().join("1.jnl"), "abc").unwrap();
        fs::write(dir.path().join("2.jnl"), [0; 100]).unwrap();
        fs::write(dir.path().join("version"), "3").unwrap();
        dir
    }

    #[test]
    fn copies_are_the_data_and_originals_come_back() {
        let dir = files();
        let before = names(dir.path());
        let originals = set_aside(dir.path()).unwrap();
        let copy = fs::read(dir.path().join("0.jnl")).unwrap();
        assert_eq!(copy, before[0].1[..2 * PIECE + 13]);
        assert_eq!(fs::read(dir.path().join("2.jnl")).unwrap(), b"");
        File::options()
            .write(true)
            .open(dir.path().join("1.jnl"))
            .unwrap()
            .set_len(1)
            .unwrap();
        originals.put_back();
        assert_eq!(names(dir.path()), before);
        // Without a verdict, the next opening starts from the originals.
        let abandoned = set_aside(dir.path()).unwrap();
        fs::write(dir.path().join("1.jnl"), "").unwrap();
        drop(abandoned);
        set_aside(dir.path()).unwrap().put_back();
        assert_eq!(names(dir.path()), before);
    }

    #[test]
    fn an_opening_that_ended_between_link_and_rename_is_no_obstacle() {
        let dir = files();
        let before = names(dir.path());
        let file = dir.path().join("1.jnl");
        fs::hard_link(&file, file.with_added_extension(ORIGINAL)).unwrap();
        fs::write(file.with_added_extension(COPY), "ab").unwrap();
        set_aside(dir.path()).unwrap().put_back();
        assert_eq!(names(dir.path()), before);
    }

    #[test]
    fn what_was_cut_is_kept_if_asked() {
        for keep in [false, true] {
            let dir = files();
            let originals = set_aside(dir.path()).unwrap();
            File::options()
                .write(true)
                .open(dir.path().join("1.jnl"))
                .unwrap()
                .set_len(1)
                .unwrap();
            fs::remove_file(dir.path().join("0.jnl")).unwrap();
            originals.accept(keep).unwrap();
            let after: Vec<_> = names(dir.path())
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            let expected = ["1.jnl", "1.jnl.cut", "2.jnl", "version"];
            let expected = expected
                .into_iter()
                .filter(|name| keep || !name.ends_with("cut"));
            assert_eq!(after, expected.collect::<Vec<_>>());
        }
    }
}
