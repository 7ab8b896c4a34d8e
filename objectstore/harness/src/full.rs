//! A full disk, from every step on.

use std::io::{self, Write};
use std::path::Path;

use crate::random::Random;
use crate::session::{COMMAND, End, Harness, plain};
use crate::shim::{Class, Fault, Injection, Shim, When};
use crate::spec::{Arm, Spec};
use crate::stores::{Kind, Size};
use crate::template::Template;

/// A store whose disk fills up.
#[derive(Clone, Copy, Debug)]
pub struct Full {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// What the writes follow from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct FullSummary {
    /// Disks that filled up at another step each.
    pub runs: u64,
    /// Writes acknowledged while the disk was full: deletes, and what fits into files that are
    /// there.
    pub done_while_full: u64,
    /// Processes that went on writing in the same process once there was space again.
    pub went_on: u64,
    /// Those in which writes still failed, until the store was opened again.
    pub stuck: u64,
    /// With what.
    pub stuck_with: Option<String>,
    /// Stores that opened on a full disk after a kill.
    pub opened_while_full: u64,
    /// Those that did not.
    pub refused_while_full: u64,
    /// With what.
    pub refusal: Option<String>,
    /// Stores of which everything was deleted on a full disk. Only of real ones.
    pub cleared_while_full: u64,
    /// What was wrong, and how to repeat it.
    pub wrong: Vec<(String, Vec<String>)>,
}

/// The free bytes of a real disk when a process begins to write: at most the first, and in every
/// other life at most the second.
const LEFT: [u64; 2] = [24 << 20, 512 << 10];

/// Calls that take space.
const TAKE_SPACE: [Class; 4] = [Class::Open, Class::Write, Class::Truncate, Class::Mkdir];

/// A series ends after this number of lives in which something was wrong.
const ENOUGH: usize = 5;

impl Full {
    fn spec(self, dir: &Path) -> Spec {
        let Self { store, size, seed } = self;
        let ops = Some(if size == Size::Tiny { 80 } else { 160 });
        Spec {
            store,
            size,
            seed,
            ops,
            dir: dir.join("template"),
            writers: 4,
            keys: 8,
            ..Spec::default()
        }
    }

    /// Fills the disk from every call on that takes space, or from at most `most`, evenly spread.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn every_step(self, harness: &Harness, dir: &Path, most: u64) -> io::Result<FullSummary> {
        let shim = Shim::build(dir)?;
        let template = Template::killed(harness, &self.spec(dir))?;
        shim.set(&Injection {
            classes: TAKE_SPACE.to_vec(),
            ..Injection::default()
        })?;
        let run = dir.join("run");
        template.copy(&run)?;
        let count = Spec {
            dir: run,
            first: template.first,
            arm: Arm::Load,
            errors: true,
            ..self.spec(dir)
        };
        harness.run(
            &count,
            Some(&shim),
            End::ByItself,
            &mut template.model.clone(),
        )?;
        let takes: Vec<u64> = (1..)
            .zip(shim.injected()?.trace)
            .filter(|(_, call)| call.faults().any(|fault| fault == Fault::Enospc))
            .map(|(nth, _)| nth)
            .collect();
        let (mut summary, all) = (FullSummary::default(), takes.len() as u64);
        for at in 0..all.min(most) {
            let nth = takes[(at * all / all.min(most)) as usize];
            self.step(harness, dir, &shim, &template, nth, &mut summary)?;
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    /// Fills the disk from one call on.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn one_step(self, harness: &Harness, dir: &Path, nth: u64) -> io::Result<FullSummary> {
        let shim = Shim::build(dir)?;
        let template = Template::killed(harness, &self.spec(dir))?;
        let mut summary = FullSummary::default();
        self.step(harness, dir, &shim, &template, nth, &mut summary)?;
        Ok(summary)
    }

    /// Fills a real file system, mounted at `mount`, in each of `rounds` lives, but for some bytes,
    /// which a process writes to. Then the disk is full, and another process opens the store, reads
    /// it and deletes everything. Once there is space again a third one goes on.
    ///
    /// # Errors
    /// If a child cannot be started, or the file system cannot be filled.
    pub fn on_disk(
        self,
        harness: &Harness,
        dir: &Path,
        mount: &Path,
        rounds: u64,
    ) -> io::Result<FullSummary> {
        let template = Template::killed(harness, &self.spec(dir))?;
        let (mut summary, mut random) = (FullSummary::default(), Random::new(self.seed));
        let (run, filler) = (mount.join("store"), mount.join("filler"));
        for round in 0..rounds {
            template.copy(&run)?;
            let left = random.below(LEFT[round as usize % 2]);
            let mut model = template.model.clone();
            let base = Spec {
                seed: random.bits(),
                dir: run.clone(),
                first: template.first,
                errors: true,
                must_read: true,
                close: false,
                ..self.spec(dir)
            };
            summary.runs += 1;
            fill(&filler, left)?;
            let report = harness.run(&base, None, End::ByItself, &mut model)?;
            let mut wrong = report.wrong;
            summary.opened_while_full += u64::from(report.opened);
            fill(&filler, 0)?;
            let spec = Spec {
                ops: Some(0),
                clear: true,
                first: base.first.max(report.last + 1),
                ..base.clone()
            };
            let report = harness.run(&spec, None, End::ByItself, &mut model)?;
            summary.done_while_full += report.done;
            summary.opened_while_full += u64::from(report.opened);
            summary.refused_while_full += u64::from(!report.opened);
            summary.refusal = summary.refusal.take().or(report.failure);
            wrong.extend(report.wrong);
            std::fs::remove_file(&filler)?;
            let spec = Spec {
                first: spec.first.max(report.last + 1),
                ..plain(&base)
            };
            let report = harness.verify(&spec, &mut model)?;
            let left_over = report.found.as_ref().map_or(1, |found| found.objects.len());
            summary.cleared_while_full += u64::from(left_over == 0);
            wrong.extend(report.wrong);
            if !wrong.is_empty() {
                wrong.truncate(8);
                let what = format!("round {round} of seed {}, {left} bytes left", self.seed);
                summary.wrong.push((what, wrong));
            }
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        std::fs::remove_dir_all(run)?;
        Ok(summary)
    }

    fn step(
        self,
        harness: &Harness,
        dir: &Path,
        shim: &Shim,
        template: &Template,
        nth: u64,
        summary: &mut FullSummary,
    ) -> io::Result<()> {
        let run = dir.join("run");
        template.copy(&run)?;
        let mut model = template.model.clone();
        let full = |from| Injection {
            when: When::FromNth(from),
            classes: TAKE_SPACE.to_vec(),
            fault: Some(Fault::Enospc),
            seed: nth,
        };
        let base = Spec {
            dir: run,
            first: template.first,
            ..self.spec(dir)
        };
        let mut wrong = Vec::new();
        summary.runs += 1;

        // Writing until it is full and beyond. In every other life there is space again.
        shim.set(&full(nth))?;
        let after = if nth.is_multiple_of(2) { 16 } else { 0 };
        let spec = Spec {
            errors: true,
            must_read: true,
            arm: Arm::Load,
            after,
            close: false,
            ..base.clone()
        };
        let report = harness.run(&spec, Some(shim), End::ByItself, &mut model)?;
        summary.went_on += u64::from(after > 0);
        summary.stuck += u64::from(report.stuck);
        summary.stuck_with = summary.stuck_with.take().or(report.failure_after);
        wrong.extend(report.wrong);

        // Opening, reading, writing and deleting while it still is.
        if wrong.is_empty() {
            shim.set(&full(1))?;
            let first = base.first.max(report.last + 1);
            let spec = Spec {
                errors: true,
                must_read: true,
                arm: Arm::Open,
                first,
                close: false,
                ..base.clone()
            };
            let report = harness.run(&spec, Some(shim), End::ByItself, &mut model)?;
            summary.done_while_full += report.done;
            summary.opened_while_full += u64::from(report.opened);
            summary.refused_while_full += u64::from(!report.opened);
            summary.refusal = summary
                .refusal
                .take()
                .or(report.open_failures.into_iter().next());
            wrong.extend(report.wrong);
            if wrong.is_empty() {
                let spec = Spec {
                    first: first.max(report.last + 1),
                    ..plain(&base)
                };
                wrong = harness.verify(&spec, &mut model)?.wrong;
            }
        }
        if !wrong.is_empty() {
            wrong.truncate(8);
            let Self { store, size, seed } = self;
            let command =
                format!("{COMMAND} full --store {store} --size {size} --seed {seed} --call {nth}");
            summary.wrong.push((command, wrong));
        }
        Ok(())
    }
}

/// Fills the file system of `filler` with it, but for `left` bytes.
fn fill(filler: &Path, left: u64) -> io::Result<()> {
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(filler)?;
    for piece in [1 << 20, 64 << 10, 4 << 10] {
        let zeros = vec![0; piece];
        loop {
            match file.write_all(&zeros) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::StorageFull => break,
                Err(e) => return Err(e),
            }
        }
    }
    file.sync_all()?;
    let len = file.metadata()?.len();
    file.set_len(len.saturating_sub(left))?;
    file.sync_all()
}
