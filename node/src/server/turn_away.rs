//! Connections that are refused because their client has enough of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that are told so at once. Others are closed without a word.
const AT_ONCE: usize = 32;

/// How long a client may take to read it.
const PATIENCE: Duration = Duration::from_secs(1);

const BODY: &str =
    "{\"error\":{\"code\":\"busy\",\"message\":\"too many connections of this client\"}}\n";

/// Tells clients that they have too many connections.
#[derive(Clone, Debug)]
pub(super) struct TurnAway(Arc<Semaphore>);

impl TurnAway {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Room to tell one of them, if there is any.
    pub(super) fn try_start(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Answers with 503 and closes the connection.
pub(super) async fn answer(mut stream: TcpStream) {
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: \
         {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n{BODY}",
        BODY.len()
    );
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // With bytes unread, closing resets the connection, and the answer may be lost.
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    let _ = tokio::time::timeout(PATIENCE, told).await;
}
