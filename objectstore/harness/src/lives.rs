//! Whole lives: thousands of short sessions, then a trickle, then everything is deleted.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::Model;
use crate::random::Random;
use crate::session::{End, Harness, plain, usage};
use crate::spec::Spec;
use crate::stores::{Kind, Size};

/// A life of a store.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// The store.
    pub store: Kind,
    /// Its sizes.
    pub size: Size,
    /// What the writes follow from.
    pub seed: u64,
    /// Sessions: open, put once, close or be killed.
    pub sessions: u64,
    /// Puts of the trickle.
    pub trickle: u64,
    /// The time between them, in milliseconds.
    pub pause: u64,
    /// How long the store has to give space back once all is deleted.
    pub patience: Duration,
}

/// What a store takes at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure {
    /// Bytes of all files, as blocks of the disk.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// The most memory of a process, in KiB.
    pub memory_kib: u64,
    /// File descriptors of a process.
    pub descriptors: u64,
    /// The time to open, in microseconds: the median of some sessions.
    pub open_us: u64,
}

/// A life.
#[derive(Clone, Debug, Default)]
pub struct LifeSummary {
    /// Early in the sessions.
    pub early: Measure,
    /// At their end.
    pub late: Measure,
    /// The most of anything in all sessions.
    pub most: Measure,
    /// After the trickle.
    pub trickled: Measure,
    /// Once all was deleted.
    pub cleared: Measure,
    /// How long that took, in milliseconds.
    pub cleared_after_ms: u64,
    /// What was wrong.
    pub wrong: Vec<String>,
}

/// Sessions are measured in groups.
const GROUP: u64 = 50;

/// The limit on file descriptors.
const DESCRIPTORS: u64 = 256;

impl Lives {
    /// Lives once, in `dir`.
    ///
    /// # Errors
    /// If a child cannot be started.
    pub fn run(self, harness: &Harness, dir: &Path) -> io::Result<LifeSummary> {
        let Self {
            store, size, seed, ..
        } = self;
        let descriptors = Some(DESCRIPTORS);
        let mut spec = Spec {
            store,
            size,
            seed,
            dir: dir.join("store"),
            writers: 1,
            keys: 100,
            descriptors,
            ..Spec::default()
        };
        let (mut model, mut random) = (Model::default(), Random::new(seed));
        let mut life = LifeSummary::default();
        let mut open = Vec::new();
        for session in 0..self.sessions {
            spec.seed = random.bits();
            let close = random.below(2) == 0;
            let one = Spec {
                ops: Some(1),
                read: false,
                close,
                ..spec.clone()
            };
            let report = harness.run(&one, None, End::ByItself, &mut model)?;
            spec.first = spec.first.max(report.last + 1);
            life.wrong.extend(
                report
                    .wrong
                    .into_iter()
                    .map(|wrong| format!("session {session}: {wrong}")),
            );
            let (memory, descriptors, took) = report.uses.unwrap_or_default();
            open.push(took);
            life.most.memory_kib = life.most.memory_kib.max(memory);
            life.most.descriptors = life.most.descriptors.max(descriptors);
            if (session + 1) % GROUP == 0 {
                let measure = self.measure(&spec, &mut open, memory, descriptors)?;
                life.most.bytes = life.most.bytes.max(measure.bytes);
                life.most.files = life.most.files.max(measure.files);
                life.most.open_us = life.most.open_us.max(measure.open_us);
                if session < GROUP {
                    life.early = measure;
                }
                life.late = measure;
            }
            if (session + 1) % (GROUP * 10) == 0 {
                self.verify(harness, &mut spec, &mut model, &mut life)?;
            }
            if !life.wrong.is_empty() {
                return Ok(life);
            }
        }
        let trickle = Spec {
            ops: Some(self.trickle),
            pause: self.pause,
            ..spec.clone()
        };
        let report = harness.run(&trickle, None, End::ByItself, &mut model)?;
        spec.first = spec.first.max(report.last + 1);
        life.wrong.extend(report.wrong);
        let (memory, descriptors, took) = report.uses.unwrap_or_default();
        life.trickled = self.measure(&spec, &mut vec![took], memory, descriptors)?;
        self.verify(harness, &mut spec, &mut model, &mut life)?;

        let clear = Spec {
            clear: true,
            ..spec.clone()
        };
        let report = harness.run(&clear, None, End::ByItself, &mut model)?;
        spec.first = spec.first.max(report.last + 1);
        life.wrong.extend(report.wrong);
        // A store that is open may go on with its work; one look at it a second, as short as that.
        let start = Instant::now();
        loop {
            let look = Spec {
                linger: 1_000,
                ..plain(&spec)
            };
            let report = harness.run(&look, None, End::ByItself, &mut model)?;
            life.wrong.extend(report.wrong);
            let (memory, descriptors, took) = report.uses.unwrap_or_default();
            let before = life.cleared.bytes;
            life.cleared = self.measure(&spec, &mut vec![took], memory, descriptors)?;
            life.cleared_after_ms = start.elapsed().as_millis() as u64;
            if life.cleared.bytes == before || start.elapsed() > self.patience {
                return Ok(life);
            }
        }
    }

    fn verify(
        self,
        harness: &Harness,
        spec: &mut Spec,
        model: &mut Model,
        life: &mut LifeSummary,
    ) -> io::Result<()> {
        let report = harness.verify(&plain(spec), model)?;
        spec.first = spec.first.max(report.last + 1);
        life.wrong.extend(report.wrong);
        Ok(())
    }

    fn measure(
        self,
        spec: &Spec,
        open: &mut Vec<u64>,
        memory_kib: u64,
        descriptors: u64,
    ) -> io::Result<Measure> {
        let (bytes, files) = usage(&spec.dir)?;
        open.sort_unstable();
        let open_us = open.get(open.len() / 2).copied().unwrap_or(0);
        open.clear();
        Ok(Measure {
            bytes,
            files,
            memory_kib,
            descriptors,
            open_us,
        })
    }
}
