//! Errors of system calls: one at every call, or at random rates, or for want of file descriptors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::random::Random;
use crate::session::{COMMAND, End, Harness, plain};
use crate::shim::{Class, Fault, Injection, Shim, When};
use crate::spec::{Arm, Spec};
use crate::stores::{Kind, Size};
use crate::template::{Template, copy};

/// A store that meets errors.
#[derive(Clone, Copy, Debug)]
pub struct Inject {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// When the errors begin: a store that is opened was killed under load before.
    pub arm: Arm,
    /// What the writes follow from.
    pub seed: u64,
    /// How many writes there are.
    pub ops: u64,
    /// Whether the power is cut at the end of each life: then what was not synced is gone, as is
    /// what a failed sync was about.
    pub cut: bool,
    /// With that, and errors from opening on: whether they meet what a process left that was just
    /// killed, rather than what a power cut left of that.
    pub warm: bool,
}

/// What came of a series.
#[derive(Clone, Debug, Default)]
pub struct InjectSummary {
    /// Lives of the store in which an error was injected.
    pub runs: u64,
    /// Those in which the calls came in another order, so that none was.
    pub passed_by: u64,
    /// Errors.
    pub errors: u64,
    /// Lives in which the store did not open for one error, and the next opening did.
    pub refused_to_open: u64,
    /// Lives in which writes failed after the error was over, until the store was opened again.
    pub stuck: u64,
    /// With what.
    pub stuck_with: Option<String>,
    /// Writes that were acknowledged, and that failed.
    pub done: u64,
    /// Writes that failed.
    pub failed: u64,
    /// Pages that power cuts took.
    pub taken: u64,
    /// What was wrong, and how to repeat it.
    pub wrong: Vec<(String, Vec<String>)>,
}

/// A series ends after this number of lives in which something was wrong.
const ENOUGH: usize = 5;

/// The most that is told of one life.
const TOLD: usize = 8;

impl Inject {
    /// The number of writes that go through the buffers of a store of this size.
    #[must_use]
    pub fn ops(size: Size) -> u64 {
        match size {
            Size::Tiny => 120,
            Size::Production => 320,
        }
    }

    fn command(self, how: &str) -> String {
        let Self {
            store,
            size,
            arm,
            seed,
            ops,
            cut,
            warm,
        } = self;
        let cut = match (cut, warm) {
            (false, _) => "",
            (true, false) => " --cut",
            (true, true) => " --cut --warm",
        };
        format!(
            "{COMMAND} inject --store {store} --size {size} --arm {arm} --seed {seed} --ops {ops}{cut} {how}"
        )
    }

    fn spec(self, dir: PathBuf) -> Spec {
        let Self {
            store,
            size,
            arm,
            seed,
            ops,
            ..
        } = self;
        let after = if arm == Arm::Close { 0 } else { 12 };
        Spec {
            store,
            size,
            dir,
            seed,
            writers: 4,
            keys: 8,
            ops: Some(ops),
            errors: true,
            arm,
            after,
            ..Spec::default()
        }
    }

    /// One life with an injection, and the next one without.
    fn one(
        self,
        setup: &mut Setup<'_>,
        injection: &Injection,
        spare: Option<u64>,
        how: &str,
        summary: &mut InjectSummary,
    ) -> io::Result<()> {
        let harness = setup.harness;
        // After a power cut a file system is mounted anew: stores that can tell are shown another.
        let warm = self.warm && self.cut && self.arm == Arm::Open;
        let run = if self.cut && self.arm == Arm::Open && !warm {
            setup.elsewhere.path().join("run")
        } else {
            setup.dir.join("run")
        };
        setup.template.copy(&run)?;
        let mut model = setup.template.model.clone();
        setup.shim.set(injection)?;
        if self.cut {
            setup.shim.note_unsynced()?;
        }
        let close = self.arm == Arm::Close || injection.seed % 4 == 3;
        let mut spec = Spec {
            first: setup.template.first,
            spare,
            close,
            ..self.spec(run)
        };
        if injection.when == When::SyncsLie {
            // A true sync would mend all.
            spec.after = 0;
        }
        if warm {
            let fill = Spec {
                ops: Some(60),
                close: false,
                ..plain(&spec)
            };
            setup.shim.set(&Injection::default())?;
            let report = harness.run(&fill, Some(&setup.shim), End::ByItself, &mut model)?;
            spec.first = spec.first.max(report.last + 1);
            setup.shim.set(injection)?;
        }
        let end = if injection.fault == Some(Fault::Kill) {
            End::ByShim
        } else {
            End::ByItself
        };
        let report = harness.run(&spec, Some(&setup.shim), end, &mut model)?;
        let injected = setup.shim.injected()?;
        let mut wrong = report.wrong;
        if report.panics > 0 {
            wrong.push("a panic".to_owned());
        }
        if injected.failed > 0 || spare.is_some() || self.cut || !wrong.is_empty() {
            summary.runs += 1;
            summary.errors += injected.failed;
            summary.refused_to_open += u64::from(!report.open_failures.is_empty());
            summary.stuck += u64::from(report.stuck);
            summary.stuck_with = summary.stuck_with.take().or(report.failure_after);
            (summary.done, summary.failed) =
                (summary.done + report.done, summary.failed + report.failed);
            if self.cut {
                let mut random = Random::new(injection.seed);
                // In every other life all of it goes, else some.
                let all = injection.seed.is_multiple_of(2);
                let unsynced = setup.shim.unsynced()?;
                summary.taken += unsynced.take(&spec.dir, &mut || all || random.below(2) == 0)?;
                if self.arm != Arm::Open || warm {
                    let next = setup.elsewhere.path().join("run");
                    copy(&spec.dir, &next)?;
                    spec.dir = next;
                }
            }
            if wrong.is_empty() {
                let spec = Spec {
                    first: spec.first.max(report.last + 1),
                    ..plain(&spec)
                };
                wrong = harness.verify(&spec, &mut model)?.wrong;
            }
        } else {
            summary.passed_by += 1;
        }
        if self.cut && self.store == Kind::Journal {
            // An end of which a power cut took a part looks like damage. All whole frames are kept.
            wrong.retain(|wrong| !wrong.starts_with("the store says: SetAside"));
        }
        if !wrong.is_empty() {
            wrong.truncate(TOLD);
            wrong.extend(injected.first.map(|first| format!("after {first}")));
            wrong.extend(
                report
                    .failure
                    .map(|failure| format!("a write failed with: {failure}")),
            );
            summary.wrong.push((self.command(how), wrong));
        }
        Ok(())
    }

    /// One error at every call, or at those of one class, with all that the call may fail with, or
    /// one thing. At most `most` lives, of evenly spread calls.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn every_call(
        self,
        harness: &Harness,
        dir: &Path,
        most: u64,
        fault: Option<Fault>,
        class: Option<Class>,
    ) -> io::Result<InjectSummary> {
        let mut setup = Setup::new(self, harness, dir)?;
        let mut summary = InjectSummary::default();
        let count = Injection::default();
        self.one(&mut setup, &count, None, "", &mut summary)?;
        let mut lives = Vec::new();
        for (at, call) in setup.shim.injected()?.trace.into_iter().enumerate() {
            if class.is_some() && class != call.class() {
                continue;
            }
            let faults = call
                .faults()
                .filter(|one| fault.is_none_or(|fault| fault == *one));
            lives.extend(faults.map(|fault| (at as u64 + 1, fault)));
        }
        let all = lives.len() as u64;
        let mut summary = InjectSummary {
            wrong: summary.wrong,
            ..InjectSummary::default()
        };
        for at in 0..all.min(most) {
            let (nth, fault) = lives[(at * all / all.min(most)) as usize];
            self.nth(&mut setup, nth, fault, &mut summary)?;
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    fn nth(
        self,
        setup: &mut Setup<'_>,
        nth: u64,
        fault: Fault,
        summary: &mut InjectSummary,
    ) -> io::Result<()> {
        let injection = Injection {
            when: When::Nth(nth),
            fault: Some(fault),
            seed: nth,
            ..Injection::default()
        };
        self.one(
            setup,
            &injection,
            None,
            &format!("--call {nth} --fault {fault}"),
            summary,
        )
    }

    /// One error at one call.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn one_call(
        self,
        harness: &Harness,
        dir: &Path,
        nth: u64,
        fault: Fault,
    ) -> io::Result<InjectSummary> {
        let mut setup = Setup::new(self, harness, dir)?;
        let mut summary = InjectSummary::default();
        self.nth(&mut setup, nth, fault, &mut summary)?;
        Ok(summary)
    }

    /// Any errors at random, from every tenth to every ten-thousandth call.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn at_random(
        self,
        harness: &Harness,
        dir: &Path,
        rounds: u64,
    ) -> io::Result<InjectSummary> {
        let mut summary = InjectSummary::default();
        let mut random = Random::new(self.seed);
        for round in 0..rounds {
            let seed = random.bits() >> 1;
            let this = Self { seed, ..self };
            let scratch = fresh(dir.join("round"))?;
            let mut setup = Setup::new(this, harness, &scratch)?;
            let rate = [100_000, 10_000, 1_000, 100][(round % 4) as usize];
            let injection = Injection {
                when: When::Rate(rate),
                seed,
                ..Injection::default()
            };
            this.one(
                &mut setup,
                &injection,
                None,
                &format!("--rate {rate}"),
                &mut summary,
            )?;
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    /// Leaves 0 to `most` file descriptors, `rounds` times, with many writes and with few.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn few_descriptors(
        self,
        harness: &Harness,
        dir: &Path,
        rounds: u64,
        most: u64,
    ) -> io::Result<InjectSummary> {
        let mut summary = InjectSummary::default();
        for round in 0..rounds {
            // A store that never fills its buffers does other things than one that does.
            let ops = if round % 2 == 0 {
                self.ops
            } else {
                self.ops / 8
            };
            let this = Self {
                seed: self.seed + round,
                ops,
                ..self
            };
            let scratch = fresh(dir.join("round"))?;
            let mut setup = Setup::new(this, harness, &scratch)?;
            for spare in 0..=most {
                let injection = Injection {
                    seed: spare,
                    ..Injection::default()
                };
                this.one(
                    &mut setup,
                    &injection,
                    Some(spare),
                    &format!("--spare {spare}"),
                    &mut summary,
                )?;
            }
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    /// A disk that says that it has synced and has not, and then a power cut: what was acknowledged
    /// must be missing, or this harness finds nothing.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn lying_disk(self, harness: &Harness, dir: &Path) -> io::Result<InjectSummary> {
        let this = Self { cut: true, ..self };
        let mut setup = Setup::new(this, harness, dir)?;
        let mut summary = InjectSummary::default();
        let lie = Injection {
            when: When::SyncsLie,
            ..Injection::default()
        };
        this.one(&mut setup, &lie, None, "", &mut summary)?;
        Ok(summary)
    }

    /// The same with one number, or one rate.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn with(
        self,
        harness: &Harness,
        dir: &Path,
        rate: Option<u64>,
        spare: Option<u64>,
    ) -> io::Result<InjectSummary> {
        let mut setup = Setup::new(self, harness, dir)?;
        let mut summary = InjectSummary::default();
        let when = rate.map_or(When::Never, When::Rate);
        let seed = if rate.is_some() {
            self.seed
        } else {
            spare.unwrap_or(0)
        };
        self.one(
            &mut setup,
            &Injection {
                when,
                seed,
                ..Injection::default()
            },
            spare,
            "",
            &mut summary,
        )?;
        Ok(summary)
    }
}

/// An empty directory.
fn fresh(dir: PathBuf) -> io::Result<PathBuf> {
    match fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => fs::create_dir(&dir).map(|()| dir),
    }
}

/// What the lives of a series have in common.
struct Setup<'a> {
    harness: &'a Harness,
    shim: Shim,
    dir: &'a Path,
    /// On another file system, if there is one in memory.
    elsewhere: TempDir,
    template: Template,
}

impl<'a> Setup<'a> {
    fn new(inject: Inject, harness: &'a Harness, dir: &'a Path) -> io::Result<Self> {
        let memory = Path::new("/dev/shm");
        let elsewhere = if memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let mut shim = Shim::build(dir)?;
        let spec = inject.spec(dir.join("template"));
        // A store on the file system on which it was may think that nothing can have been lost.
        let template = if inject.cut && inject.arm == Arm::Open && !inject.warm {
            Template::cut(harness, &spec, &mut shim)?
        } else {
            Template::killed(harness, &spec)?
        };
        Ok(Self {
            harness,
            shim,
            dir,
            elsewhere: elsewhere?,
            template,
        })
    }
}
