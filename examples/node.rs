//! A storage node: blobs and records over HTTP, on whichever backend is configured. It embeds
//! `storehouse-node`, as a program of your own would. What it answers to what:
//! `docs/guide/node.md`.
//!
//!     cargo run --release --example node -- [--config TOML] [--data-dir DIR] [--listen ADDR]

#[path = "node/args.rs"]
mod args;

use std::error::Error;
use std::process::ExitCode;

use storehouse::Stores;
use storehouse_node::{Metrics, Node, Server, raise_file_limit, routes, stop_signal};

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
    raise_file_limit();
    let metrics = Metrics::install()?; // before stores are opened
    let stores = Stores::open(&args.config).await?;
    let backend = stores.backend().to_string();
    let server = Server::bind(&args.listen, args.server.clone()).await?;
    let mut node = Node::builder(stores)
        .limits(args.limits)
        .require_allocation(args.require_allocation)
        .receipts(args.receipts)
        .accept_unsigned(args.accept_unsigned)
        .metrics(metrics);
    for (issuer, key) in args.signer_keys {
        node = node.signer_key(issuer, key);
    }
    let node = node.build().await?;
    let stop = stop_signal()?;

    // The first line is for programs, and stays as it is.
    let url = format!("http://{}", server.local_addr());
    println!("listening on {url}");
    println!("blobs are in: {backend}");
    println!("try: curl -T README.md \"{url}/blobs/sha2-256:$(sha256sum README.md | cut -c1-64)\"");

    server
        .serve(args.access.protect(routes::all(&node)), stop)
        .await;
    node.shutdown(args.server.shutdown_timeout).await;
    Ok(())
}

/// An error with its causes, outermost first.
fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
