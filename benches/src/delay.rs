//! A server that is far away: a proxy on the loopback that holds back what it passes on.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Listens on a port of its own until the runtime ends; what a client sends reaches `server`, and
/// what that answers the client, each `one_way` later. Not less delay for what comes close behind,
/// and no limit on how much is on its way but for 64 pieces of 64 KiB in each direction.
pub(crate) async fn proxy(server: String, one_way: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its number");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let server = TcpStream::connect(server).await.expect("the server");
                for socket in [&client, &server] {
                    socket.set_nodelay(true).expect("a socket");
                }
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::join!(
                    pass_on(from_client, to_server, one_way),
                    pass_on(from_server, to_client, one_way)
                );
            });
        }
    });
    address
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        // A connection that breaks off ends here too.
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if sender
                .send((Instant::now() + delay, buffer[..read].to_vec()))
                .await
                .is_err()
            {
                break;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
