//! Flipped bits: a store on a disk that does not keep what was written.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use storehouse_engine::Reserve;

use crate::random::Random;
use crate::session::{COMMAND, End, Harness, plain};
use crate::spec::Spec;
use crate::stores::{Kind, Size};
use crate::template::Template;

/// A store whose bits are flipped, one at a time.
#[derive(Clone, Copy, Debug)]
pub struct Flips {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// What the writes and the places follow from.
    pub seed: u64,
}

/// A bit of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, by its path in the store's directory.
    pub file: PathBuf,
    /// The byte.
    pub at: u64,
    /// The bit, from 0 to 7.
    pub bit: u8,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct FlipSummary {
    /// Bits flipped.
    pub flips: u64,
    /// Nothing was to be seen.
    pub unseen: u64,
    /// The store refused to open.
    pub refused: u64,
    /// Of these it opened to salvage what is there.
    pub salvaged: u64,
    /// The most keys that were missing then.
    pub most_missing: usize,
    /// It opened, and some keys could not be read.
    pub unreadable: u64,
    /// The most of them.
    pub most_unreadable: usize,
    /// The keys that there are.
    pub keys: usize,
    /// The store found damage when it checked itself.
    pub found_by_check: u64,
    /// The store met a panic, caught it and answered with an error.
    pub panics: u64,
    /// Writes failed.
    pub writes_failed: u64,
    /// The different errors of opening, without numbers.
    pub refusals: Vec<String>,
    /// What was wrong, and how to repeat it.
    pub wrong: Vec<(String, Vec<String>)>,
}

/// A series ends after this number of places where something was wrong.
const ENOUGH: usize = 5;

impl Flips {
    /// Flips `count` bits of all files of a store, evenly over the files' bytes, each in a copy.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn run(self, harness: &Harness, dir: &Path, count: u64) -> io::Result<FlipSummary> {
        let template = self.template(harness, dir)?;
        let mut summary = FlipSummary {
            keys: template.model.certain_objects(),
            ..FlipSummary::default()
        };
        let files: Vec<_> = template
            .files()?
            .into_iter()
            // The reserve holds nothing.
            .filter(|(file, size)| *size > 0 && file.as_os_str() != Reserve::NAME)
            .collect();
        // Small files count for more than their bytes: each has as much to say as any other.
        let mut random = Random::new(self.seed);
        let total: u64 = files.iter().map(|(_, size)| *size).sum();
        for _ in 0..count {
            let place = if random.below(2) == 0 {
                let (file, size) = &files[random.below(files.len() as u64) as usize];
                Some((file, random.below(*size)))
            } else {
                let mut at = random.below(total);
                files.iter().find_map(|(file, size)| {
                    let here = at;
                    at = at.wrapping_sub(*size);
                    (here < *size).then_some((file, here))
                })
            };
            let Some((file, at)) = place else { continue };
            let place = Place {
                file: file.clone(),
                at,
                bit: random.below(8) as u8,
            };
            self.flip(harness, dir, &template, &place, &mut summary)?;
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    /// Flips one bit.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn one(self, harness: &Harness, dir: &Path, place: &Place) -> io::Result<FlipSummary> {
        let template = self.template(harness, dir)?;
        let mut summary = FlipSummary {
            keys: template.model.certain_objects(),
            ..FlipSummary::default()
        };
        self.flip(harness, dir, &template, place, &mut summary)?;
        Ok(summary)
    }

    fn template(self, harness: &Harness, dir: &Path) -> io::Result<Template> {
        let Self { store, size, seed } = self;
        // One writer and the same seed leave the same files.
        let spec = Spec {
            store,
            size,
            seed,
            dir: dir.join("template"),
            writers: 1,
            keys: 64,
            ops: Some(600),
            ..Spec::default()
        };
        Template::closed(harness, &spec)
    }

    fn flip(
        self,
        harness: &Harness,
        dir: &Path,
        template: &Template,
        place: &Place,
        summary: &mut FlipSummary,
    ) -> io::Result<()> {
        let Place { file, at, bit } = place;
        let at = *at;
        let run = dir.join("run");
        template.copy(&run)?;
        flip(&run, place)?;

        let Self { store, size, seed } = self;
        let mut model = template.model.clone();
        let base = Spec {
            store,
            size,
            seed,
            dir: run,
            writers: 1,
            keys: 64,
            first: template.first,
            ..Spec::default()
        };
        let spec = Spec {
            errors: true,
            check: true,
            conditions: false,
            ops: Some(20),
            ..plain(&base)
        };
        let report = harness.run(&spec, None, End::ByItself, &mut model)?;
        summary.flips += 1;
        // What a batch of a journal had where it was damaged is told by the store and by no key.
        let told = self.store == Kind::Journal && !report.damage.is_empty();
        let mut wrong = report.wrong;
        wrong.retain(|wrong| {
            !(wrong.starts_with("the store says: ")
                || told && wrong.contains("has Absent instead of"))
        });
        summary.found_by_check += u64::from(!report.damage.is_empty());
        summary.panics += report.panics;
        summary.writes_failed += u64::from(report.failed > 0);
        let unreadable = report
            .found
            .as_ref()
            .map_or(0, |found| found.unreadable.len());
        if !report.opened {
            summary.refused += 1;
            template.copy(&spec.dir)?;
            flip(&spec.dir, place)?;
            let spec = Spec {
                salvage: true,
                ..spec.clone()
            };
            let report = harness.run(&spec, None, End::ByItself, &mut template.model.clone())?;
            // Some may be missing or older, as salvage says, but all are whole.
            wrong.extend(
                report
                    .wrong
                    .into_iter()
                    .filter(|wrong| !wrong.contains(" instead of [")),
            );
            wrong.retain(|wrong| !wrong.starts_with("the store says: "));
            if let Some(found) = report.found {
                summary.salvaged += 1;
                let missing = summary.keys - found.objects.len().min(summary.keys);
                summary.most_missing = summary.most_missing.max(missing);
            }
            let salvages = matches!(self.store, Kind::Fjall | Kind::Redb);
            if salvages && !report.opened {
                let why = report.open_failures.first().cloned().unwrap_or_default();
                wrong.push(format!("it cannot be salvaged: {why}"));
            }
            for failure in report.open_failures {
                let plain: String = failure
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '#' } else { c })
                    .collect();
                if !summary.refusals.contains(&plain) && summary.refusals.len() < 30 {
                    summary.refusals.push(plain);
                }
            }
        } else if unreadable > 0 {
            summary.unreadable += 1;
            summary.most_unreadable = summary.most_unreadable.max(unreadable);
            if unreadable >= summary.keys {
                wrong.push("a store that opened has no key that can be read".to_owned());
            }
        } else if report.damage.is_empty() && report.failed == 0 {
            summary.unseen += 1;
        }
        // A database may refuse to write where it is damaged, and nowhere else.
        let failure = report.failure.unwrap_or_default();
        let only_there = matches!(self.store, Kind::Fjall | Kind::Redb)
            && report.done > 0
            && failure.contains("is damaged");
        if report.failed > 0 && !only_there {
            wrong.push(format!("writes do not go on: {failure}"));
        }
        if !wrong.is_empty() {
            wrong.truncate(8);
            let command = format!(
                "{COMMAND} flips --store {store} --size {size} --seed {seed} --file {} --at {at} --bit {bit}",
                file.display()
            );
            summary.wrong.push((command, wrong));
        }
        Ok(())
    }
}

fn flip(dir: &Path, place: &Place) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(dir.join(&place.file))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place.at)?;
    file.write_all_at(&[byte[0] ^ (1 << place.bit)], place.at)
}
