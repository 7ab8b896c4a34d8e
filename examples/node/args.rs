//! The command line.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;
use storehouse::Config;
use storehouse::records::Did;
use storehouse_node::{AccessRules, Limits, ServerOptions};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const HELP: &str = "\
A storage node: blobs and records over HTTP.

Usage: node [OPTION…] [LIMIT…]

  --config TOML            which backend: see the README; STOREHOUSE_REPO_* variables stand over it
  --data-dir DIR           the data directory, over what is configured; without any configuration, ./storehouse-data
  --listen ADDR            where to listen, 127.0.0.1:7450 by default; port 0 picks a free one
  --require-allocation     take a blob only if a live allocation covers its digest and size
  --receipts               write a signed receipt for every retrieval, to the receipt store and to the journal
  --host NAME              also answer requests to this host, a name or an address; * for all; may be repeated
  --origin ORIGIN          let pages of this origin (https://app.example.com) read and write; may be repeated
  --signer-key DID=KEY     the did:key that an issuer such as a did:web signs with; may be repeated
  --accept-unsigned        take claims and receipts without checking their signatures
  --help                   print this

Limits, each with its default:
  --max-blob-size BYTES    274877906944 (256 GiB)
  --max-record-size BYTES  4194304 (4 MiB)
  --max-uploads N          64 blobs on their way in at once, 16 on S3; others wait their turn, for a minute
  --max-record-requests N  256 requests for records at once; others wait their turn, for a minute
  --max-connections N      4096; others wait to be accepted
  --max-uploads-per-client N, --max-record-requests-per-client N, --max-connections-per-client N
                           an eighth of each; behind a proxy all come from one address
  --min-upload-rate BYTES  4096 per second, over the whole of an upload; 0 for none
  --header-timeout SECS    30 for the whole head of a request, also the next one of a connection
  --body-timeout SECS      30 in which at least 16 KiB of a request's body must come, or its rest
  --write-timeout SECS     60 in which a client must take some of an answer
  --shutdown-timeout SECS  30 for the requests in flight after SIGINT or SIGTERM

Logs go to standard error; RUST_LOG picks them, as in RUST_LOG=info,storehouse_node=debug.
Exit status: 0 after a signal to stop, 1 if it cannot start, 2 if the command line is wrong.";

/// What the user asked for.
pub(crate) struct Args {
    /// Where the stores are.
    pub(crate) config: Config,
    /// Where to listen.
    pub(crate) listen: String,
    /// Refuse blobs that no live allocation covers.
    pub(crate) require_allocation: bool,
    /// Write receipts of retrievals.
    pub(crate) receipts: bool,
    /// Which requests are let in.
    pub(crate) access: AccessRules,
    /// Issuers and the keys that they sign with.
    pub(crate) signer_keys: Vec<(Did, Did)>,
    /// Take claims and receipts without checking their signatures.
    pub(crate) accept_unsigned: bool,
    /// What a request may take.
    pub(crate) limits: Limits,
    /// What a connection may take.
    pub(crate) server: ServerOptions,
}

impl Args {
    /// `None` if help was asked for, which is then printed.
    pub(crate) fn parse() -> Result<Option<Self>> {
        let (mut toml, mut data_dir, mut uploads) = (None, None, None);
        let mut listen = "127.0.0.1:7450".to_owned();
        let (mut require_allocation, mut receipts) = (false, false);
        let (mut limits, mut server) = (Limits::default(), ServerOptions::default());
        let (mut access, mut signer_keys) = (AccessRules::default(), Vec::new());
        let mut accept_unsigned = false;
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("config") => toml = Some(path(&mut parser)?),
                Long("data-dir") => data_dir = Some(path(&mut parser)?),
                Long("listen") => {
                    listen = text(&mut parser)?;
                }
                Long("require-allocation") => require_allocation = true,
                Long("receipts") => receipts = true,
                Long("max-blob-size") => limits.blob_size = number(&mut parser)?,
                Long("max-record-size") => limits.record_size = number(&mut parser)?,
                Long("max-uploads") => uploads = Some(number::<u32>(&mut parser)?.max(1) as usize),
                Long("max-connections") => {
                    server.connections = number::<u32>(&mut parser)?.max(1) as usize
                }
                Long("max-record-requests") => {
                    limits = limits.record_requests(number(&mut parser)?);
                }
                Long("max-uploads-per-client") => {
                    limits = limits.uploads_per_client(number(&mut parser)?);
                }
                Long("max-record-requests-per-client") => {
                    limits = limits.record_requests_per_client(number(&mut parser)?);
                }
                Long("max-connections-per-client") => {
                    server = server.connections_per_client(number(&mut parser)?);
                }
                Long("min-upload-rate") => limits.min_upload_rate = number(&mut parser)?,
                Long("host") => access = access.host(&text(&mut parser)?),
                Long("origin") => {
                    let origin = text(&mut parser)?;
                    access = access
                        .origin(&origin)
                        .map_err(|e| format!("--origin: {e}"))?;
                }
                Long("signer-key") => signer_keys.push(signer_key(&text(&mut parser)?)?),
                Long("accept-unsigned") => accept_unsigned = true,
                Long("header-timeout") => server.header_timeout = seconds(&mut parser)?,
                Long("body-timeout") => limits.body_timeout = seconds(&mut parser)?,
                Long("write-timeout") => server.write_timeout = seconds(&mut parser)?,
                Long("shutdown-timeout") => server.shutdown_timeout = seconds(&mut parser)?,
                Long("help") | Short('h') => {
                    println!("{HELP}");
                    return Ok(None);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        let mut config = Config::load(toml.as_deref())?;
        if data_dir.is_some() {
            // With S3 it is where the keystore and the journal lie.
            config.repo.data_dir = data_dir;
        } else if toml.is_none() && config.repo.s3.is_none() && config.repo.data_dir.is_none() {
            config.repo.data_dir = Some("storehouse-data".into());
        }
        // Only now, with the flags in it.
        config.check()?;
        // On S3 each holds a part of 8 MiB in memory while it fills.
        limits.uploads = uploads.unwrap_or(if config.repo.s3.is_some() {
            16
        } else {
            limits.uploads
        });
        Ok(Some(Self {
            config,
            listen,
            require_allocation,
            receipts,
            access,
            signer_keys,
            accept_unsigned,
            limits,
            server,
        }))
    }
}

fn text(parser: &mut lexopt::Parser) -> Result<String> {
    Ok(parser.value()?.string()?)
}

/// `ISSUER=KEY`, both DIDs.
fn signer_key(text: &str) -> Result<(Did, Did)> {
    let (issuer, key) = text
        .split_once('=')
        .ok_or_else(|| format!("--signer-key {text}: DID=KEY is needed"))?;
    let did = |text: &str| {
        text.parse::<Did>()
            .map_err(|e| format!("--signer-key {text}: {e}"))
    };
    Ok((did(issuer)?, did(key)?))
}

fn path(parser: &mut lexopt::Parser) -> Result<PathBuf> {
    Ok(parser.value()?.into())
}

fn number<T: std::str::FromStr<Err: Into<Box<dyn std::error::Error + Send + Sync>>>>(
    parser: &mut lexopt::Parser,
) -> Result<T> {
    Ok(parser.value()?.parse()?)
}

fn seconds(parser: &mut lexopt::Parser) -> Result<Duration> {
    // A day is as good as for ever, and cannot overflow a clock.
    Ok(Duration::from_secs(number::<u64>(parser)?.clamp(1, 86_400)))
}

/// Logs to standard error: what `RUST_LOG` says, else everything from `info` on.
pub(crate) fn log_to_stderr() {
    let asked = std::env::var("RUST_LOG")
        .ok()
        .and_then(|text| text.parse::<Targets>().ok());
    let wanted = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(lines)
        .with(wanted)
        .init();
}
