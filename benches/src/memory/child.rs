//! One operation in a process of its own, which says how much memory it took.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_blobstore::{
    BlobStore, Digest, FlatfsKeys, HashFunction, KeyEncoder, PutBlob, S3Keys,
};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_objectstore::{Body, ObjectStore};
use storehouse_s3::S3;

use super::server;
use crate::harness::runtime;

/// The pieces that a body comes in: what an HTTP server hands on.
const PIECE: usize = 64 * 1024;

type Blobs = BlobStore<Arc<dyn ObjectStore>, Arc<dyn KeyEncoder>>;

/// `child BACKEND OPERATION MIB DIR`: prints a JSON object with `idle` and `peak`, in bytes.
pub(crate) fn run(args: &[String]) {
    let [backend, operation, mib, dir] = args else {
        panic!("child BACKEND OPERATION MIB DIR")
    };
    let size = mib.parse::<u64>().expect("a number of MiB") << 20;
    let (idle, peak) = runtime().block_on(async {
        let blobs = open(backend, dir).await;
        let digest = Digest::of_body(HashFunction::Sha2_256, body(size))
            .await
            .expect("a digest");
        // From here on the system counts the peak anew.
        std::fs::write("/proc/self/clear_refs", "5").expect("resetting the peak");
        let idle = status("VmRSS:");
        match operation.as_str() {
            "put" => {
                // Asked for again, or later rounds would find the blob there.
                blobs
                    .put_opts(&digest, body(size), PutBlob::default().replace(true))
                    .await
                    .expect("a put");
            }
            "get" => {
                let blob = blobs.get(&digest).await.expect("a get");
                let read = blob
                    .body
                    .try_fold(0, async |sum, piece| Ok(sum + piece.len() as u64))
                    .await
                    .expect("the body");
                assert_eq!(read, size);
            }
            "many" => many(&blobs).await,
            other => panic!("no operation {other}"),
        }
        (idle, status("VmHWM:"))
    });
    println!("{}", serde_json::json!({ "idle": idle, "peak": peak }));
}

async fn open(backend: &str, dir: &str) -> Blobs {
    if backend == "s3" {
        let store = S3::open(server::options()).await.expect("the server");
        return BlobStore::new(Arc::new(store), Arc::new(S3Keys));
    }
    let store = FlatFs::open(dir, FlatFsOptions::default())
        .await
        .expect("the directory");
    BlobStore::new(Arc::new(store), Arc::new(FlatfsKeys))
}

async fn many(blobs: &Blobs) {
    let round = std::process::id();
    let puts = (0..1000_u32).map(|i| {
        let content: Bytes = [round.to_le_bytes(), i.to_le_bytes()]
            .concat()
            .repeat(PIECE / 8)
            .into();
        let digest = Digest::of(HashFunction::Sha2_256, &content);
        async move {
            blobs
                .put(&digest, Body::from(content))
                .await
                .expect("a put");
            blobs.delete(&digest).await
        }
    });
    // All of them at once, and polled by one task as well as by many.
    let done: Vec<_> = stream::iter(puts).buffer_unordered(1000).collect().await;
    assert!(done.len() == 1000 && done.iter().all(Result::is_ok));
}

/// A body of `size` bytes, made as it is read; the same one each time.
fn body(size: u64) -> Body {
    let pieces = (0..size / PIECE as u64).map(|i| {
        let mut piece = vec![i as u8; PIECE];
        piece[..8].copy_from_slice(&i.to_le_bytes());
        Ok::<_, Infallible>(Bytes::from(piece))
    });
    Body::from_stream(stream::iter(pieces)).with_size(size)
}

/// A line of this process's status, in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("the line");
    line.trim()
        .trim_end_matches("kB")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1024
}
