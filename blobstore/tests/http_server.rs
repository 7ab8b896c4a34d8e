//! `blobstore::http` behind hyper, on sockets: what a body that fails, and a client that goes away,
//! come to.

mod support;

use std::convert::Infallible;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use storehouse_blobstore::http::respond;
use storehouse_blobstore::{BlobStore, Digest, FlatfsKeys, HashFunction, KeyEncoder, PlainKeys};
use storehouse_flatfs::FlatFs;
use storehouse_flatfs::FlatFsOptions;
use storehouse_objectstore::{Memory, ObjectStore};
use support::{Counts, Watched, noise};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// More than sockets hold.
const SIZE: usize = 64 << 20;

/// Serves one blob on every path.
async fn serve<S: ObjectStore, E: KeyEncoder>(
    blobs: BlobStore<S, E>,
    digest: Digest,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (blobs, digest) = (blobs.clone(), digest.clone());
            let service = service_fn(move |request| {
                let (blobs, digest) = (blobs.clone(), digest.clone());
                async move {
                    Ok::<_, Infallible>(
                        respond(&blobs, &digest, request.method(), request.headers())
                            .await
                            .unwrap(),
                    )
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// A request on a connection of its own, read up to the end of the answer's head.
async fn request(address: SocketAddr, method: &str, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("{method} / HTTP/1.1\r\nHost: test\r\n{headers}\r\n").as_bytes())
        .await
        .unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap().into());
    }
    (stream, head.to_lowercase())
}

async fn flatfs(size: usize) -> (TempDir, FlatFs, Digest, Vec<u8>) {
    let dir = TempDir::new().unwrap();
    let store = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    let bytes = noise(size, 3);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    BlobStore::new(store.clone(), FlatfsKeys)
        .put(&digest, bytes.clone())
        .await
        .unwrap();
    (dir, store, digest, bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_on_a_socket_are_whole_and_the_connection_stays() {
    let (_dir, store, digest, bytes) = flatfs(3 << 20).await;
    let address = serve(BlobStore::new(store, FlatfsKeys), digest.clone()).await;
    // All on one connection, each answer delimited by its own length.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let tag = format!("\"{digest}\"");
    let cases = [
        ("GET", String::new(), "200", bytes.len(), 0..bytes.len()),
        ("GET", "Range: bytes=5-9\r\n".into(), "206", 5, 5..10),
        ("HEAD", String::new(), "200", bytes.len(), 0..0),
        ("GET", format!("If-None-Match: {tag}\r\n"), "304", 0, 0..0),
        ("GET", "If-Match: \"a\"\r\n".into(), "412", 0, 0..0),
        (
            "GET",
            format!("Range: bytes={}-\r\n", bytes.len()),
            "416",
            0,
            0..0,
        ),
        ("POST", "Content-Length: 0\r\n".into(), "405", 0, 0..0),
        (
            "GET",
            "Range: bytes=-1000000\r\n".into(),
            "206",
            1_000_000,
            bytes.len() - 1_000_000..bytes.len(),
        ),
    ];
    for (method, headers, status, len, range) in cases {
        stream
            .write_all(format!("{method} / HTTP/1.1\r\nHost: test\r\n{headers}\r\n").as_bytes())
            .await
            .unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap().into());
        }
        let head = head.to_lowercase();
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")),
            "{method} {headers}: {head}"
        );
        assert!(
            status == "304" || head.contains(&format!("\r\ncontent-length: {len}\r\n")),
            "{method} {headers}: {head}"
        );
        assert!(!head.contains("transfer-encoding"), "{head}");
        let mut body = vec![0; range.len()];
        stream.read_exact(&mut body).await.unwrap();
        assert!(body == bytes[range], "{method} {headers}: other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_fails_midway_breaks_the_connection() {
    let (dir, store, digest, bytes) = flatfs(SIZE).await;
    let blobs = BlobStore::new(store.clone(), FlatfsKeys);
    let key = blobs.key(&digest).unwrap();
    let file = dir.path().join(format!(
        "{}/{key}.data",
        store.options().shard.shard(key.as_str())
    ));
    let address = serve(blobs, digest).await;
    for (headers, status, start) in [("", "200", 0), ("Range: bytes=1000-\r\n", "206", 1000)] {
        let (mut stream, head) = request(address, "GET", headers).await;
        assert!(
            head.contains(&format!(" {status} "))
                && head.contains(&format!("content-length: {}\r\n", SIZE - start)),
            "{head}"
        );
        // Cut while it is sent: no more than the sockets' buffers of it is under way.
        OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(SIZE as u64 / 2)
            .unwrap();
        let mut body = Vec::new();
        // The end of the connection, or its reset: either way short of what was announced.
        let _ = stream.read_to_end(&mut body).await;
        assert!(body.len() < SIZE - start, "the whole of {SIZE} bytes came");
        assert!(bytes[start..].starts_with(&body), "other bytes came");
        std::fs::write(&file, &bytes).unwrap();
    }
}

/// Goes away after the first bytes; the body must then be dropped.
async fn go_away(counts: Arc<Counts>, address: SocketAddr, first: usize) {
    let (mut stream, _) = request(address, "GET", "").await;
    stream.read_exact(&mut vec![0; first]).await.unwrap();
    drop(stream);
    counts.body_gone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_stops_the_read() {
    let (_dir, store, digest, _) = flatfs(SIZE).await;
    let store = Watched::new(store);
    let counts = store.counts();
    let address = serve(BlobStore::new(store, FlatfsKeys), digest).await;
    go_away(Arc::clone(&counts), address, 100).await;
    assert!(counts.bytes() < SIZE as u64, "the whole blob was read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_while_the_store_stalls_stops_the_read() {
    let bytes = noise(3 << 20, 9);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    let store = Watched::stalling(Memory::new(), 1 << 20);
    let counts = store.counts();
    let blobs = BlobStore::new(store, PlainKeys);
    blobs.put(&digest, bytes).await.unwrap();
    let address = serve(blobs, digest).await;
    go_away(Arc::clone(&counts), address, 1 << 20).await;
    assert_eq!(counts.bytes(), 1 << 20);
}
