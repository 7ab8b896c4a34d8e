//! Stores a file, reads it back whole and in ranges, compares every byte, and says what it did.
//!
//!     cargo run --release --example quickstart -- [FILE] [--config TOML] [--data-dir DIR] [--json] [--keep]

#[path = "quickstart/args.rs"]
mod args;
#[path = "quickstart/progress.rs"]
mod progress;
#[path = "quickstart/report.rs"]
mod report;
#[path = "quickstart/round.rs"]
mod round;

use std::process::ExitCode;

use args::Args;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(Some(args)) => args,
        Ok(None) => return ExitCode::SUCCESS, // it printed its help
        Err(error) => {
            eprintln!("{}\nTry --help.", chain(error.as_ref()));
            return ExitCode::from(2);
        }
    };
    match round::run(&args).await {
        Ok(report) => {
            report.print(args.json);
            if report.verified {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("Failed: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
