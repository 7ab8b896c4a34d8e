//! A store that others begin with, as a copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::Model;
use crate::session::{End, Harness, plain};
use crate::shim::{Injection, Shim};
use crate::spec::Spec;

/// A store with what may be in it.
#[derive(Debug)]
pub(crate) struct Template {
    dir: PathBuf,
    pub(crate) model: Model,
    /// The number of the next write.
    pub(crate) first: u64,
}

impl Template {
    /// A store that was filled a little and closed.
    pub(crate) fn closed(harness: &Harness, spec: &Spec) -> io::Result<Self> {
        let mut model = Model::default();
        let spec = Spec {
            ops: spec.ops.map(|ops| ops / 2),
            ..plain(spec)
        };
        let report = harness.run(&spec, None, End::ByItself, &mut model)?;
        if !report.wrong.is_empty() {
            return Err(io::Error::other(format!(
                "a store without errors: {:?}",
                report.wrong
            )));
        }
        Ok(Self {
            dir: spec.dir,
            model,
            first: 1 + report.last,
        })
    }

    /// The same, filled some more and killed.
    pub(crate) fn killed(harness: &Harness, spec: &Spec) -> io::Result<Self> {
        Self::closed(harness, spec)?.filled(harness, spec, None)
    }

    /// The same, with the power cut at that moment: what was not synced is gone.
    pub(crate) fn cut(harness: &Harness, spec: &Spec, shim: &mut Shim) -> io::Result<Self> {
        let closed = Self::closed(harness, spec)?;
        shim.set(&Injection::default())?;
        shim.note_unsynced()?;
        let template = closed.filled(harness, spec, Some(shim))?;
        shim.unsynced()?.take(&template.dir, &mut || true)?;
        Ok(template)
    }

    fn filled(mut self, harness: &Harness, spec: &Spec, shim: Option<&Shim>) -> io::Result<Self> {
        let spec = Spec {
            ops: None,
            seed: spec.seed + 1,
            first: self.first,
            ..plain(spec)
        };
        let end = End::KilledInLoad(Duration::from_millis(100));
        self.first = 1 + harness.run(&spec, shim, end, &mut self.model)?.last;
        Ok(self)
    }

    /// Copies the store to a directory, in place of what is there.
    pub(crate) fn copy(&self, to: &Path) -> io::Result<()> {
        copy(&self.dir, to)
    }

    /// All files of the store, by their paths in it, with their sizes.
    pub(crate) fn files(&self) -> io::Result<Vec<(PathBuf, u64)>> {
        let mut found = Vec::new();
        files(&self.dir, Path::new(""), &mut found)?;
        found.sort();
        Ok(found)
    }
}

/// Copies a directory with all below it, in place of what is there.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(to) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => copy_all(from, to),
    }
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(fs::metadata(from)?.mode() & 0o777)
        .create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn files(dir: &Path, below: &Path, found: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            files(&entry.path(), &path, found)?;
        } else {
            found.push((path, metadata.len()));
        }
    }
    Ok(())
}
