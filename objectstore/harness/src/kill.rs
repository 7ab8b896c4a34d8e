//! SIGKILL at random.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::model::Model;
use crate::random::Random;
use crate::session::{COMMAND, End, Harness, plain};
use crate::spec::Spec;
use crate::stores::{Kind, Size};

/// Kills, and what came of them.
#[derive(Clone, Copy, Debug)]
pub struct Kills {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// What the writes and the times of the kills follow from.
    pub seed: u64,
    /// How many.
    pub rounds: u64,
}

/// What a series of kills came to.
#[derive(Clone, Debug, Default)]
pub struct KillSummary {
    /// Kills.
    pub kills: u64,
    /// Those before the store was open and read.
    pub in_opening: u64,
    /// Writes acknowledged.
    pub done: u64,
    /// The first thing that was wrong, and in which round.
    pub wrong: Option<(u64, Vec<String>)>,
}

impl Kills {
    /// The command that repeats this.
    #[must_use]
    pub fn command(self) -> String {
        let Self {
            store,
            size,
            seed,
            rounds,
        } = self;
        format!("{COMMAND} kill --store {store} --size {size} --seed {seed} --rounds {rounds}")
    }

    /// Writes to a store in `dir` and kills the process, again and again. Each process compares
    /// what it finds with all that was acknowledged before. Ends with the first round in which
    /// something is wrong.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn run(self, harness: &Harness, dir: &Path) -> io::Result<KillSummary> {
        let mut summary = KillSummary::default();
        let (mut model, mut random) = (Model::default(), Random::new(self.seed));
        let mut spec = Spec {
            store: self.store,
            size: self.size,
            dir: dir.join("store"),
            seed: self.seed,
            ..Spec::default()
        };
        for round in 0..self.rounds {
            spec.ops = None;
            spec.seed = random.bits();
            // A tenth is killed while it opens.
            let end = match random.below(10) {
                0 => End::KilledAfter(Duration::from_micros(random.below(20_000))),
                _ => End::KilledInLoad(Duration::from_micros(random.below(250_000))),
            };
            let report = harness.run(&spec, None, end, &mut model)?;
            summary.kills += 1;
            summary.done += report.done;
            summary.in_opening += u64::from(report.found.is_none());
            spec.first = spec.first.max(report.last + 1);
            let mut wrong = report.wrong;
            // Most are found as they were left by the next that writes; some by one that checks
            // all.
            if wrong.is_empty() && (random.below(10) == 0 || round + 1 == self.rounds) {
                let report = harness.verify(&plain(&spec), &mut model)?;
                spec.first = spec.first.max(report.last + 1);
                wrong = report.wrong;
            }
            if !wrong.is_empty() {
                summary.wrong = Some((round, wrong));
                break;
            }
        }
        Ok(summary)
    }
}
