//! What a connection may take.

use std::time::Duration;

/// What a connection may take, and how long.
///
/// ```
/// use std::time::Duration;
/// use storehouse_node::ServerOptions;
///
/// let options = ServerOptions::default().connections(512).header_timeout(Duration::from_secs(5));
/// assert_eq!(options.connections, 512);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Connections at once; others wait to be accepted. 4,096 by default.
    pub connections: usize,
    /// For the whole head of a request, also the next one of a connection. 30 s by default.
    pub header_timeout: Duration,
    /// In which a client must take some of an answer. 60 s by default.
    pub write_timeout: Duration,
    /// For the requests in flight when the server stops. 30 s by default.
    pub shutdown_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connections: 4096,
            header_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerOptions {
    /// Sets [`connections`](Self::connections). 0 counts as 1.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets [`header_timeout`](Self::header_timeout).
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets [`shutdown_timeout`](Self::shutdown_timeout).
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }
}
