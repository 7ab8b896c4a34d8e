//! The command line.

use std::error::Error;
use std::path::PathBuf;

use lexopt::prelude::*;
use storehouse::Config;

const HELP: &str = "\
Stores FILE, reads it back whole and in three ranges, compares every byte, lists it, deletes it, and says what it did.

Usage: quickstart [FILE] [--config TOML] [--data-dir DIR] [--json] [--keep]

  FILE             the file to store; without it, the source of this program
  --config TOML    which backend: see the README; STOREHOUSE_REPO_* variables stand over it
  --data-dir DIR   store under DIR, over what is configured; without any configuration, ./storehouse-data
  --json           print one JSON object on standard output
  --keep           leave the blob where it is
  --help           print this

Exit status: 0 if everything matched, 1 if not, 2 if the command line is wrong.";

/// What the user asked for.
pub(crate) struct Args {
    /// The file to store.
    pub(crate) file: PathBuf,
    /// Where to.
    pub(crate) config: Config,
    /// Print JSON instead of sentences.
    pub(crate) json: bool,
    /// Do not delete the blob.
    pub(crate) keep: bool,
}

impl Args {
    /// `None` if help was asked for, which is then printed.
    pub(crate) fn parse() -> Result<Option<Self>, Box<dyn Error + Send + Sync>> {
        let (mut file, mut toml, mut data_dir, mut json, mut keep) =
            (None, None, None, false, false);
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("config") => toml = Some(path(&mut parser)?),
                Long("data-dir") => data_dir = Some(path(&mut parser)?),
                Long("json") => json = true,
                Long("keep") => keep = true,
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    return Ok(None);
                }
                Value(value) if file.is_none() => file = Some(PathBuf::from(value)),
                other => return Err(other.unexpected().into()),
            }
        }
        let mut config = Config::load(toml.as_deref())?;
        if data_dir.is_some() {
            // A directory named here is meant: it wins over a server in the configuration.
            config.repo.s3 = None;
            config.repo.data_dir = data_dir;
        } else if toml.is_none() && config.repo.s3.is_none() && config.repo.data_dir.is_none() {
            config.repo.data_dir = Some("storehouse-data".into());
        }
        let file = file.unwrap_or_else(|| {
            concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart.rs").into()
        });
        Ok(Some(Self {
            file,
            config,
            json,
            keep,
        }))
    }
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf, lexopt::Error> {
    parser.value().map(PathBuf::from)
}
