//! Errors of system calls: one at every call, or at random rates, or for want of file descriptors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::random::Random;
use crate::session::{COMMAND, End, Harness, plain};
use crate::shim::{Fault, Injection, Shim, When};
use crate::spec::{Arm, Spec};
use crate::stores::{Kind, Size};
use crate::template::Template;

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
    /// What was wrong, and how to repeat it.
    pub wrong: Vec<(String, Vec<String>)>,
}

/// A series ends after so many lives in which something was wrong.
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
        } = self;
        format!(
            "{COMMAND} inject --store {store} --size {size} --arm {arm} --seed {seed} --ops {ops} {how}"
        )
    }

    fn spec(self, dir: PathBuf) -> Spec {
        let Self {
            store,
            size,
            arm,
            seed,
            ops,
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
        setup: &Setup<'_>,
        injection: &Injection,
        spare: Option<u64>,
        how: &str,
        summary: &mut InjectSummary,
    ) -> io::Result<()> {
        let Setup {
            harness,
            shim,
            dir,
            template,
        } = setup;
        let run = dir.join("run");
        template.copy(&run)?;
        let mut model = template.model.clone();
        shim.set(injection)?;
        let close = self.arm == Arm::Close || injection.seed % 4 == 3;
        let spec = Spec {
            first: template.first,
            spare,
            close,
            ..self.spec(run)
        };
        let report = harness.run(&spec, Some(shim), End::ByItself, &mut model)?;
        let injected = shim.injected()?;
        let mut wrong = report.wrong;
        if injected.failed > 0 || spare.is_some() || !wrong.is_empty() {
            summary.runs += 1;
            summary.errors += injected.failed;
            summary.refused_to_open += u64::from(!report.open_failures.is_empty());
            summary.stuck += u64::from(report.stuck);
            summary.stuck_with = summary.stuck_with.take().or(report.failure_after);
            (summary.done, summary.failed) =
                (summary.done + report.done, summary.failed + report.failed);
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

    /// One error at every call, with all that the call may fail with. At most `most` lives, of evenly spread calls.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn every_call(
        self,
        harness: &Harness,
        dir: &Path,
        most: u64,
        fault: Option<Fault>,
    ) -> io::Result<InjectSummary> {
        let shim = Shim::build(dir)?;
        let template = Template::killed(harness, &self.spec(dir.join("template")))?;
        let setup = Setup {
            harness,
            shim: &shim,
            dir,
            template: &template,
        };
        let mut summary = InjectSummary::default();
        let count = Injection::default();
        self.one(&setup, &count, None, "", &mut summary)?;
        let mut lives = Vec::new();
        for (at, call) in shim.injected()?.trace.into_iter().enumerate() {
            lives.extend(
                call.faults()
                    .filter(|of_call| fault.is_none_or(|fault| fault == *of_call))
                    .map(|fault| (at as u64 + 1, fault)),
            );
        }
        let all = lives.len() as u64;
        let mut summary = InjectSummary {
            wrong: summary.wrong,
            ..InjectSummary::default()
        };
        for at in 0..all.min(most) {
            let (nth, fault) = lives[(at * all / all.min(most)) as usize];
            self.nth(&setup, nth, fault, &mut summary)?;
            if summary.wrong.len() >= ENOUGH {
                break;
            }
        }
        Ok(summary)
    }

    fn nth(
        self,
        setup: &Setup<'_>,
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
        let shim = Shim::build(dir)?;
        let template = Template::killed(harness, &self.spec(dir.join("template")))?;
        let mut summary = InjectSummary::default();
        self.nth(
            &Setup {
                harness,
                shim: &shim,
                dir,
                template: &template,
            },
            nth,
            fault,
            &mut summary,
        )?;
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
        let shim = Shim::build(dir)?;
        let mut summary = InjectSummary::default();
        let mut random = Random::new(self.seed);
        for round in 0..rounds {
            let seed = random.bits() >> 1;
            let this = Self { seed, ..self };
            let scratch = dir.join("round");
            let _ = fs::remove_dir_all(&scratch);
            fs::create_dir(&scratch)?;
            let template = Template::killed(harness, &this.spec(scratch.join("template")))?;
            let rate = [100_000, 10_000, 1_000, 100][(round % 4) as usize];
            let injection = Injection {
                when: When::Rate(rate),
                seed,
                ..Injection::default()
            };
            let setup = Setup {
                harness,
                shim: &shim,
                dir,
                template: &template,
            };
            this.one(
                &setup,
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
        let shim = Shim::build(dir)?;
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
            let scratch = dir.join("round");
            let _ = fs::remove_dir_all(&scratch);
            fs::create_dir(&scratch)?;
            let template = Template::killed(harness, &this.spec(scratch.join("template")))?;
            let setup = Setup {
                harness,
                shim: &shim,
                dir,
                template: &template,
            };
            for spare in 0..=most {
                let injection = Injection {
                    seed: spare,
                    ..Injection::default()
                };
                this.one(
                    &setup,
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
        let shim = Shim::build(dir)?;
        let template = Template::killed(harness, &self.spec(dir.join("template")))?;
        let setup = Setup {
            harness,
            shim: &shim,
            dir,
            template: &template,
        };
        let mut summary = InjectSummary::default();
        let when = rate.map_or(When::Never, When::Rate);
        let seed = if rate.is_some() {
            self.seed
        } else {
            spare.unwrap_or(0)
        };
        self.one(
            &setup,
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

/// What the lives of a series have in common.
struct Setup<'a> {
    harness: &'a Harness,
    shim: &'a Shim,
    dir: &'a Path,
    template: &'a Template,
}
