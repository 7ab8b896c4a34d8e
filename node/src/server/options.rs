//! What a connection may take.

use std::time::Duration;

/// What a connection may take, and how long.
///
/// ```
/// use std::time::Duration;
/// use storehouse_node::ServerOptions;
///
/// let behind_a_proxy = ServerOptions::default()
///     .connections(512)
///     .connections_per_client(512)
///     .reserved_files(128)
///     .backlog(256)
///     .header_timeout(Duration::from_secs(5))
///     .write_timeout(Duration::from_secs(20))
///     .shutdown_timeout(Duration::from_secs(10));
/// assert_eq!(behind_a_proxy.connections_per_client, Some(behind_a_proxy.connections));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Connections at once; others wait to be accepted. 4,096 by default.
    pub connections: usize,
    /// Connections of one client at once: of an IPv4 address, or of the first 64 bits of an IPv6
    /// address. More are answered with 503 and closed. `None`, the default, is an eighth of
    /// [`connections`](Self::connections). Behind a proxy all come from one address: set it to the
    /// whole there.
    pub connections_per_client: Option<usize>,
    /// File descriptors that connections leave to the stores. If the process's limit of open files
    /// is too low for [`connections`](Self::connections), of which each may be a socket and a file
    /// that is read, fewer are accepted. 64 by default.
    pub reserved_files: usize,
    /// Connections that wait to be accepted, at most as the system has it (`net.core.somaxconn`).
    /// 4,096 by default.
    pub backlog: u32,
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
            connections_per_client: None,
            reserved_files: 64,
            backlog: 4096,
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

    /// Sets [`connections_per_client`](Self::connections_per_client). 0 counts as 1.
    #[must_use]
    pub fn connections_per_client(mut self, connections: usize) -> Self {
        self.connections_per_client = Some(connections.max(1));
        self
    }

    /// Sets [`reserved_files`](Self::reserved_files).
    #[must_use]
    pub fn reserved_files(mut self, files: usize) -> Self {
        self.reserved_files = files;
        self
    }

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
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
