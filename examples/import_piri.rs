//! Imports the records of a Piri node, of which not a byte is changed. Stop the node first.
//!
//! ```text
//! cargo run --release --example import_piri -- --from DIR --to DIR [--dry-run] [--json]
//! ```
//!
//! `--from` is the node's data directory, `--to` that of storehouse, or a configuration (a file
//! that ends in `.toml`). It can be repeated. The exit status is 1 if a record could not be
//! imported.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use lexopt::prelude::*;
use storehouse::records::import::{self, ImportOptions, ImportReport, Progress};
use storehouse::{Config, Stores};

const USAGE: &str = "usage: import_piri --from DIR --to DIR|CONFIG.toml [--dry-run] [--json]";

#[derive(Default)]
struct Args {
    from: PathBuf,
    to: PathBuf,
    dry_run: bool,
    json: bool,
}

impl Args {
    fn parse() -> Result<Self, lexopt::Error> {
        let mut args = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("from") => args.from = parser.value()?.into(),
                Long("to") => args.to = parser.value()?.into(),
                Long("dry-run") => args.dry_run = true,
                Long("json") => args.json = true,
                other => return Err(other.unexpected()),
            }
        }
        if args.from.as_os_str().is_empty() || args.to.as_os_str().is_empty() {
            Err("--from and --to are needed".into())
        } else {
            Ok(args)
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(args) => args,
        Err(e) => {
            eprintln!("{e}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&args).await {
        Ok(report) => {
            print(&report, args.json);
            if report.is_complete() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(e) => {
            eprintln!("Failed: {}", chain(&*e));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<ImportReport, Box<dyn Error>> {
    let config = if args
        .to
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        Config::from_toml(&std::fs::read_to_string(&args.to)?)?
    } else {
        let mut config = Config::default();
        config.repo.data_dir = Some(args.to.clone());
        config
    };
    if same(&args.from, config.repo.data_dir.as_deref()) {
        return Err("--from and --to are the same directory".into());
    }
    let stores = Stores::open(&config).await?;
    let quiet = args.json;
    let progress = move |progress: &Progress| {
        if !quiet {
            eprintln!("{}: {} records", progress.directory, progress.read);
        }
    };
    let options = ImportOptions::default()
        .dry_run(args.dry_run)
        .progress(Arc::new(progress));
    Ok(import::piri(&args.from, stores.records(), &options).await?)
}

fn same(from: &Path, to: Option<&Path>) -> bool {
    let (from, to) = (
        from.canonicalize().ok(),
        to.and_then(|to| to.canonicalize().ok()),
    );
    from.is_some() && from == to
}

fn print(report: &ImportReport, json: bool) {
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(report).unwrap_or_default()
        );
        return;
    }
    let done = if report.dry_run {
        "to import"
    } else {
        "imported"
    };
    println!(
        "{:<40} {:>9} {done:>9} {:>9} {:>9} {:>9}",
        "database", "read", "present", "index", "failed"
    );
    for database in &report.databases {
        let counts = [
            database.read,
            database.imported,
            database.present,
            database.index,
            database.failed,
        ];
        println!(
            "{:<40} {}",
            database.directory,
            counts.map(|count| format!("{count:>9}")).join(" ")
        );
    }
    for database in &report.databases {
        for problem in &database.problems {
            println!("{} {}: {}", database.directory, problem.key, problem.reason);
        }
    }
    println!("used where they lie: {}", report.in_place.join(", "));
    println!("left alone: {}", report.others.join(", "));
}

/// An error with its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
