//! The memory of a node under many connections: 1,000 that read slowly, and 32 uploads, then
//! downloads, of 256 MiB side by side.
//!
//! The node is a process of its own, and the figure its high-water mark of resident memory, as the
//! system accounts it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use storehouse_blobstore::{Digest, HashFunction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::http::server::Server;

const SLOW: &str = "1,000 slow readers";
const PARALLEL: &str = "32 uploads, then downloads";
const MIB: usize = 1 << 20;

pub(crate) fn run(options: &Options) -> Report {
    let (readers, mib) = (1000, options.pick(256, 8));
    let contenders = vec![
        Contender::new(SLOW, || slow_readers(options, readers)),
        Contender::new(PARALLEL, || parallel(options, 32, mib)),
    ];
    let table = Table::measure("MiB", 1, contenders);
    let mut report = Report::default();
    report.at_most(
        &format!("{SLOW}, others answered meanwhile: MiB in all"),
        table.most(SLOW),
        256.0,
    );
    report.at_most(
        &format!("{PARALLEL} of {mib} MiB, all verified: MiB in all"),
        table.most(PARALLEL),
        256.0,
    );
    report.table("peak resident memory of the node", table);
    report
}

/// Content that is another for each `seed`, a piece at a time.
struct Content {
    block: Vec<u8>,
    left: usize,
}

impl Content {
    fn new(seed: usize, mib: usize) -> Self {
        let block = (0..MIB / 8)
            .flat_map(|i| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes())
            .collect();
        let mut content = Self { block, left: mib };
        content.block[..8].copy_from_slice(&(seed as u64).to_le_bytes());
        content
    }

    fn next(&mut self) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        self.block[8..16].copy_from_slice(&(self.left as u64).to_le_bytes());
        Some(&self.block)
    }

    fn digest(seed: usize, mib: usize) -> Digest {
        let mut hash = Sha256::new();
        let mut content = Self::new(seed, mib);
        while let Some(piece) = content.next() {
            hash.update(piece);
        }
        Digest::new(HashFunction::Sha2_256, &hash.finalize()).expect("a digest")
    }
}

/// Sends the head of a request; the body is for the caller.
async fn ask(node: SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node).await.expect("a connection");
    let head = format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .await
        .expect("a request is sent");
    stream
}

/// Reads an answer's head and gives its status; what follows stays unread.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let text = String::from_utf8(head).expect("a head is text");
    text.split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .expect("a status")
}

async fn put(node: SocketAddr, seed: usize, mib: usize) -> Digest {
    let digest = Content::digest(seed, mib);
    let mut stream = ask(
        node,
        &format!(
            "PUT /blobs/{digest} HTTP/1.1\r\nContent-Length: {}",
            mib * MIB
        ),
    )
    .await;
    let mut content = Content::new(seed, mib);
    while let Some(piece) = content.next() {
        stream.write_all(piece).await.expect("a piece is sent");
    }
    assert_eq!(status(&mut stream).await, 201, "an upload");
    digest
}

async fn get(node: SocketAddr, digest: Digest, mib: usize) {
    let mut stream = ask(node, &format!("GET /blobs/{digest} HTTP/1.1")).await;
    assert_eq!(status(&mut stream).await, 200, "a download");
    let (mut hash, mut buffer, mut len) = (Sha256::new(), vec![0; MIB], 0);
    loop {
        match stream.read(&mut buffer).await.expect("a download") {
            0 => break,
            n => {
                hash.update(&buffer[..n]);
                len += n;
            }
        }
    }
    assert_eq!(len, mib * MIB);
    assert_eq!(
        Digest::new(HashFunction::Sha2_256, &hash.finalize()).expect("a digest"),
        digest,
        "other bytes came back"
    );
}

/// Everybody reads 1 KiB every tenth of a second, of a blob of 64 MiB, until requests that are not
/// slow were answered.
fn slow_readers(options: &Options, readers: usize) -> f64 {
    let dir = options.tempdir();
    let node = Server::node(dir.path());
    let address = node.address;
    runtime().block_on(async {
        let digest = put(address, 0, 64).await;
        let (mut stops, mut slow) = (Vec::new(), Vec::new());
        for _ in 0..readers {
            let mut stream = ask(address, &format!("GET /blobs/{digest} HTTP/1.1")).await;
            let (stop, mut stopped) = oneshot::channel::<()>();
            stops.push(stop);
            slow.push(tokio::spawn(async move {
                assert_eq!(status(&mut stream).await, 200, "a slow reader");
                let mut piece = [0; 1024];
                while stopped.try_recv().is_err() {
                    stream
                        .read_exact(&mut piece)
                        .await
                        .expect("a slow reader's bytes");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }));
        }
        for seed in 1..=20 {
            let digest = put(address, seed, 1).await;
            get(address, digest, 1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for stop in stops {
            let _ = stop.send(());
        }
        for reader in slow {
            reader.await.expect("a slow reader");
        }
    });
    node.peak_mib()
}

fn parallel(options: &Options, many: usize, mib: usize) -> f64 {
    let dir = options.tempdir();
    let node = Server::node(dir.path());
    let address = node.address;
    let runtime = runtime();
    let spawned = |seed| runtime.spawn(put(address, seed, mib));
    let digests = runtime.block_on(join_all((0..many).map(spawned)));
    let downloads = digests
        .into_iter()
        .map(|digest| runtime.spawn(get(address, digest.expect("an upload"), mib)));
    for download in runtime.block_on(join_all(downloads)) {
        download.expect("a download");
    }
    node.peak_mib()
}
