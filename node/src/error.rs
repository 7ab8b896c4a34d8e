//! Errors of starting a node. Errors that clients see are `api_error`'s.

use std::io;

use storehouse::local;

/// Why a node cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration does not give all stores of a node.
    #[error("the stores of a node")]
    Stores(#[from] storehouse::Error),
    /// The key that receipts are signed with cannot be read or made.
    #[error("the key that receipts are signed with")]
    Key(#[from] local::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was given.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An origin that is none.
    #[error("{origin:?} is no origin: scheme://host or scheme://host:port is needed")]
    Origin {
        /// As it was given.
        origin: String,
    },
    /// The system has no threads or files left for the server.
    #[error("cannot start the server's threads")]
    Workers(#[source] io::Error),
    /// The process has a recorder of metrics already, or its settings are wrong.
    #[error("cannot gather metrics")]
    Metrics(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The result of starting a node.
pub type Result<T> = std::result::Result<T, Error>;
