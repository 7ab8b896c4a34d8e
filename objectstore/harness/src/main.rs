//! Runs a part of the harness by hand.

use std::error::Error;
use std::process::ExitCode;

use storehouse_harness::child::live;
use storehouse_harness::kill::Kills;
use storehouse_harness::session::Harness;
use storehouse_harness::spec::Spec;
use storehouse_harness::stores::{Kind, Size};

const USAGE: &str = "\
harness kill --store STORE [--size tiny|production] [--seed N] [--rounds N]
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("harness: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("child") => {
            live(&Spec::from_args(args)?)?;
            Ok(true)
        }
        Some("kill") => {
            let options = Options::parse()?;
            let kills = Kills {
                store: options.store,
                size: options.size,
                seed: options.seed,
                rounds: options.rounds.unwrap_or(100),
            };
            let dir = tempfile::tempdir()?;
            let summary = kills.run(&options.harness()?, dir.path())?;
            println!("{kills:?}: {summary:#?}");
            Ok(summary.wrong.is_none())
        }
        _ => {
            print!("{USAGE}");
            Ok(false)
        }
    }
}

struct Options {
    store: Kind,
    size: Size,
    seed: u64,
    rounds: Option<u64>,
}

impl Options {
    fn parse() -> Result<Self, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            store: Kind::Flatfs,
            size: Size::Tiny,
            seed: 1,
            rounds: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("store") => options.store = parser.value()?.parse()?,
                Long("size") => options.size = parser.value()?.parse()?,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("rounds") => options.rounds = Some(parser.value()?.parse()?),
                Value(_) => {}
                _ => return Err(arg.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn harness(&self) -> std::io::Result<Harness> {
        Ok(Harness::new(std::env::current_exe()?))
    }
}
