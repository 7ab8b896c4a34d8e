//! A storage node as a library: blobs and records over HTTP, on the stores of a
//! [`Stores`](storehouse::Stores).
//!
//! - [`Node`] holds the stores, and what is in use of the [`Limits`].
//! - [`routes`] has a router for blobs, for records, and for health and metrics. Each can be
//!   mounted into an axum application; [`routes::all`] is all of them.
//! - [`AccessRules`] lets in requests to this host, and no writes from pages of other sites.
//! - [`Server`] accepts connections and serves a router, with limits on what a connection may hold.
//!   `axum::serve` does as well, without these limits.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! use storehouse::{Config, Stores};
//! use storehouse_node::{AccessRules, Node, Server, ServerOptions, routes};
//!
//! let stores = Stores::open(&Config::default()).await?; // nothing configured: memory
//! let node = Node::builder(stores).build().await?;
//! let server = Server::bind("127.0.0.1:0", ServerOptions::default()).await?;
//! println!("listening on http://{}", server.local_addr());
//!
//! let stop = std::future::ready(()); // stop_signal()? in a program
//! let router = AccessRules::default().protect(routes::all(&node));
//! server.serve(router, stop).await;
//! node.shutdown(std::time::Duration::from_secs(30)).await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! What is answered to which request: `docs/guide/node.md` in the repository.
//!
//! Architecture invariants: nothing here names a backend; nothing here reads the environment or the
//! command line.

mod access;
mod answer;
mod api_error;
mod app_state;
mod blobs;
mod blocking;
mod clock;
mod content_negotiation;
mod error;
mod error_chain;
mod fair_share;
mod health;
mod json;
mod limits;
mod metrics;
mod node;
mod parse;
mod receipts;
mod records;
mod request_body;
pub mod routes;
mod server;
mod signers;

pub use access::{AccessRules, LocalAddress};
pub use error::{Error, Result};
pub use limits::Limits;
pub use metrics::Metrics;
pub use node::{Node, NodeBuilder};
pub use server::{Server, ServerOptions, raise_file_limit, stop_signal};
