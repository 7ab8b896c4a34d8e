//! Power cuts, on a file system that a script mounts and cuts off.

use std::io;
use std::time::Duration;

use crate::model::Model;
use crate::random::Random;
use crate::session::{Cut, End, Harness, plain};
use crate::spec::Spec;
use crate::stores::{Kind, Size};

/// A series of power cuts.
#[derive(Clone, Copy, Debug)]
pub struct Power {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// What the writes and the times of the cuts follow from.
    pub seed: u64,
    /// How many.
    pub rounds: u64,
}

/// What it came to.
#[derive(Clone, Debug, Default)]
pub struct PowerSummary {
    /// Power cuts.
    pub cuts: u64,
    /// Those before the store was open and read.
    pub in_opening: u64,
    /// Writes acknowledged.
    pub done: u64,
    /// The first thing that was wrong, and in which round.
    pub wrong: Option<(u64, Vec<String>)>,
}

impl Power {
    /// Writes to a store on the file system and cuts the power, again and again. Each process
    /// compares what it finds with all that was acknowledged before.
    ///
    /// # Errors
    /// If a child cannot be started, or the script fails.
    pub fn run(self, harness: &Harness, cut: &Cut) -> io::Result<PowerSummary> {
        let mut summary = PowerSummary::default();
        let (mut model, mut random) = (Model::default(), Random::new(self.seed));
        let Self { store, size, .. } = self;
        let mut spec = Spec {
            store,
            size,
            dir: cut.mount.join("store"),
            ..Spec::default()
        };
        for round in 0..self.rounds {
            spec.seed = random.bits();
            let end = match random.below(5) {
                // While it opens and puts in order what the last one left.
                0 => End::CutAfter(Duration::from_micros(random.below(30_000)), cut),
                _ => End::CutInLoad(Duration::from_micros(random.below(400_000)), cut),
            };
            let endless = Spec {
                ops: None,
                ..spec.clone()
            };
            let report = harness.run(&endless, None, end, &mut model)?;
            cut.run("remount")?;
            summary.cuts += 1;
            summary.done += report.done;
            summary.in_opening += u64::from(report.found.is_none());
            spec.first = spec.first.max(report.last + 1);
            let mut wrong = report.wrong;
            if wrong.is_empty() && (random.below(5) == 0 || round + 1 == self.rounds) {
                let report = harness.verify(&plain(&spec), &mut model)?;
                spec.first = spec.first.max(report.last + 1);
                wrong = report.wrong;
            }
            if !wrong.is_empty() {
                wrong.truncate(20);
                summary.wrong = Some((round, wrong));
                break;
            }
        }
        Ok(summary)
    }
}
