//! Accepting connections, and serving a router on them.

mod connection;
mod files;
mod listen;
mod options;
mod serve;
mod signals;
mod turn_away;
mod workers;

pub use files::raise_file_limit;
pub use options::ServerOptions;
pub use serve::Server;
pub use signals::stop_signal;
