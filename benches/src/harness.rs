//! Taking turns, medians, ratios, and whether they suffice.

use std::path::PathBuf;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

#[derive(Default)]
pub(crate) struct Options {
    /// One JSON object on standard output.
    pub(crate) json: bool,
    /// A tenth or less of the work: to see that it runs, not to believe the figures.
    pub(crate) quick: bool,
    /// Where to put the data; the system's directory for temporary files otherwise.
    pub(crate) dir: Option<PathBuf>,
}

impl Options {
    pub(crate) fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// An empty directory.
    pub(crate) fn tempdir(&self) -> TempDir {
        match &self.dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        }
        .expect("a directory for the data")
    }
}

/// A runtime as a node has it: a worker for each core.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Somebody who takes turns. Each round gives one figure.
pub(crate) struct Contender<'a> {
    name: String,
    round: Box<dyn FnMut() -> f64 + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(name: impl Into<String>, round: impl FnMut() -> f64 + 'a) -> Self {
        Self {
            name: name.into(),
            round: Box::new(round),
        }
    }

    /// One whose round is a future, run on a worker of the runtime.
    pub(crate) fn on(
        runtime: &'a Runtime,
        name: impl Into<String>,
        mut round: impl FnMut() -> BoxFuture<'static, f64> + 'a,
    ) -> Self {
        Self::new(name, move || {
            runtime.block_on(runtime.spawn(round())).expect("a round")
        })
    }
}

/// The figures of all who took turns together.
pub(crate) struct Table {
    unit: &'static str,
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    /// Lets everybody take a turn for practice, then `rounds` that count.
    pub(crate) fn measure(
        unit: &'static str,
        rounds: usize,
        mut contenders: Vec<Contender<'_>>,
    ) -> Self {
        let mut rows: Vec<(String, Vec<f64>)> = contenders
            .iter()
            .map(|contender| (contender.name.clone(), Vec::new()))
            .collect();
        for round in 0..=rounds {
            for (contender, (_, figures)) in contenders.iter_mut().zip(&mut rows) {
                let figure = (contender.round)();
                if round > 0 {
                    figures.push(figure);
                }
            }
        }
        Self { unit, rows }
    }

    fn figures(&self, name: &str) -> &[f64] {
        self.rows
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, figures)| &figures[..])
            .expect("a contender of that name")
    }

    pub(crate) fn median(&self, name: &str) -> f64 {
        median(self.figures(name).to_vec())
    }

    pub(crate) fn most(&self, name: &str) -> f64 {
        self.figures(name).iter().copied().fold(f64::MIN, f64::max)
    }

    /// The median of a round's ratios: what slows the machine down slows both.
    pub(crate) fn ratio(&self, a: &str, b: &str) -> f64 {
        median(
            self.figures(a)
                .iter()
                .zip(self.figures(b))
                .map(|(a, b)| a / b)
                .collect(),
        )
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A figure and its bound.
struct Goal {
    what: String,
    figure: f64,
    bound: f64,
    at_least: bool,
}

impl Goal {
    fn met(&self) -> bool {
        if self.at_least {
            self.figure >= self.bound
        } else {
            self.figure <= self.bound
        }
    }
}

#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<(String, Table)>,
    goals: Vec<Goal>,
}

impl Report {
    pub(crate) fn table(&mut self, title: &str, table: Table) {
        self.tables.push((title.to_owned(), table));
    }

    pub(crate) fn at_least(&mut self, what: &str, figure: f64, bound: f64) {
        self.goals.push(Goal {
            what: what.to_owned(),
            figure,
            bound,
            at_least: true,
        });
    }

    pub(crate) fn at_most(&mut self, what: &str, figure: f64, bound: f64) {
        self.goals.push(Goal {
            what: what.to_owned(),
            figure,
            bound,
            at_least: false,
        });
    }

    pub(crate) fn met(&self) -> bool {
        self.goals.iter().all(Goal::met)
    }

    pub(crate) fn print(&self, name: &str, about: &str, options: &Options) {
        if options.json {
            println!("{}", self.json(name));
            return;
        }
        println!("{name}: {about}");
        for (title, table) in &self.tables {
            println!(
                "\n{title}, {}, median (least to most) of {} rounds",
                table.unit,
                table.rows.first().map_or(0, |(_, f)| f.len())
            );
            for (name, figures) in &table.rows {
                let (least, most) = figures
                    .iter()
                    .fold((f64::MAX, f64::MIN), |(least, most), f| {
                        (least.min(*f), most.max(*f))
                    });
                println!(
                    "  {name:<38} {:>12} ({} to {})",
                    short(table.median(name)),
                    short(least),
                    short(most)
                );
            }
        }
        println!();
        for goal in &self.goals {
            let (bound, verdict) = (
                if goal.at_least { "at least" } else { "at most" },
                if goal.met() { "met" } else { "MISSED" },
            );
            println!(
                "  {:<64} {:>8}   {bound} {}: {verdict}",
                goal.what,
                short(goal.figure),
                goal.bound
            );
        }
    }

    fn json(&self, name: &str) -> Value {
        let tables = self.tables.iter().map(|(title, table)| {
            let rows = table.rows.iter().map(|(name, figures)| json!({ "name": name, "median": table.median(name), "rounds": figures }));
            json!({ "title": title, "unit": table.unit, "rows": rows.collect::<Vec<_>>() })
        });
        let goals = self.goals.iter().map(|goal| {
            let bound = if goal.at_least { "at_least" } else { "at_most" };
            json!({ "what": goal.what, "figure": goal.figure, bound: goal.bound, "met": goal.met() })
        });
        json!({ "benchmark": name, "tables": tables.collect::<Vec<_>>(), "goals": goals.collect::<Vec<_>>(), "met": self.met() })
    }
}

fn short(figure: f64) -> String {
    match figure.abs() {
        f if f >= 1000.0 => format!("{figure:.0}"),
        f if f >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
