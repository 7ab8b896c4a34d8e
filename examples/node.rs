//! A storage node: blobs and records over HTTP, on whichever backend is configured. What it answers
//! to what: `docs/node.md`.
//!
//!     cargo run --release --example node -- [--config TOML] [--data-dir DIR] [--listen ADDR]

#[path = "node/archives.rs"]
mod archives;
#[path = "node/args.rs"]
mod args;
#[path = "node/blobs.rs"]
mod blobs;
#[path = "node/connection.rs"]
mod connection;
#[path = "node/failure.rs"]
mod failure;
#[path = "node/health.rs"]
mod health;
#[path = "node/lanes.rs"]
mod lanes;
#[path = "node/listing.rs"]
mod listing;
#[path = "node/media.rs"]
mod media;
#[path = "node/metrics.rs"]
mod metrics;
#[path = "node/receipts.rs"]
mod receipts;
#[path = "node/records.rs"]
mod records;
#[path = "node/retrieval.rs"]
mod retrieval;
#[path = "node/routes.rs"]
mod routes;
#[path = "node/server.rs"]
mod server;
#[path = "node/state.rs"]
mod state;
#[path = "node/upload.rs"]
mod upload;
#[path = "node/view.rs"]
mod view;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use storehouse::Stores;
use tokio::net::TcpListener;

use args::Args;
use lanes::Lanes;
use receipts::Receipts;
use state::Node;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse() {
        Ok(Some(args)) => args,
        Ok(None) => return ExitCode::SUCCESS, // it printed its help
        Err(message) => {
            eprintln!("{message}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    args::log_to_stderr();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Failed: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    server::raise_file_limit();
    let metrics = metrics::install()?;
    let stores = Stores::open(&args.config).await?;
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|e| format!("--listen {}: {e}", args.listen))?;
    let backend = stores.backend().to_string();
    let node = Arc::new(Node::new(
        stores,
        args.limits,
        args.require_allocation,
        metrics,
    )?);
    let receipts = if args.receipts {
        Some(Receipts::start(&node).await?)
    } else {
        None
    };
    if let Some(receipts) = &receipts {
        node.retrievals.get_or_init(|| receipts.retrievals());
    }
    let stop = server::stop_signal()?;
    let lanes = Lanes::start()?;

    // The first line is for programs, and stays as it is.
    let url = format!("http://{}", listener.local_addr()?);
    println!("listening on {url}");
    println!("blobs are in: {backend}");
    println!("try: curl -T README.md \"{url}/blobs/sha2-256:$(sha256sum README.md | cut -c1-64)\"");

    server::serve(listener, lanes, &node, stop).await;
    if let Some(receipts) = receipts {
        receipts.stop(&node, args.limits.shutdown_timeout).await;
    }
    Ok(())
}

/// An error with its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
