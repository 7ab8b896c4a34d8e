//! Ranges of a hot blob over HTTP: the node, nginx with the same file, and a bare handler of the
//! node's HTTP library that answers from memory.
//!
//! `wrk` asks, with 32 connections, for ranges scattered over the blob; the same ones of everybody.
//! Each server is a process of its own.

mod child;
mod nginx;
pub(crate) mod server;
mod wrk;

use std::net::SocketAddr;

use bytes::Bytes;
use storehouse_blobstore::{BlobStore, Digest, FlatfsKeys, HashFunction};
use storehouse_objectstore::ObjectStoreExt;

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers;
use nginx::Nginx;
use server::Server;

pub(crate) use child::run as child;

const SIZE: usize = 64 << 20;
const CONNECTIONS: u32 = 32;

const NODE: &str = "storehouse node";
const NGINX: &str = "nginx";
const BARE: &str = "bare handler";

/// A server and where it has the blob.
struct Target {
    address: SocketAddr,
    path: String,
}

pub(crate) fn run(options: &Options) -> Report {
    wrk::find();
    nginx::find();
    let dir = options.tempdir();
    let data_dir = dir.path().join("data");
    // Where the node keeps its blobs. nginx serves the same files.
    let blobs_dir = data_dir.join("pdp/datastore");
    let (digest, file) = runtime().block_on(async {
        let store = peers::flatfs(&blobs_dir).await;
        let shard = store.options().shard;
        let blobs = BlobStore::new(store, FlatfsKeys);
        let content: Bytes = (0..SIZE / 8)
            .flat_map(|i| (i as u64).to_le_bytes())
            .collect();
        let digest = Digest::of(HashFunction::Sha2_256, &content);
        blobs.put(&digest, content).await.expect("a put");
        let key = blobs.key(&digest).expect("a key");
        assert_eq!(
            blobs
                .store()
                .get_bytes(&key, SIZE as u64)
                .await
                .expect("the blob")
                .len(),
            SIZE
        );
        (digest, format!("/{}/{key}.data", shard.shard(key.as_str())))
    });
    let nginx = Nginx::start(&blobs_dir, &dir.path().join("nginx"));
    let node = Server::node(&data_dir);
    let mut report = Report::default();
    for (len, title, bound) in [(4 << 10, "4 KiB", 0.8), (1 << 20, "1 MiB", 0.6)] {
        let bare = Server::bare(len);
        let targets = [
            (
                NODE,
                Target {
                    address: node.address,
                    path: format!("/blobs/{digest}"),
                },
            ),
            (
                NGINX,
                Target {
                    address: nginx.address,
                    path: file.clone(),
                },
            ),
            (
                BARE,
                Target {
                    address: bare.address,
                    path: format!("/blobs/{digest}"),
                },
            ),
        ];
        let script = wrk::Script::ranges(dir.path(), SIZE, len);
        for (name, target) in &targets {
            script.check(target, *name != BARE);
        }
        let contenders = targets
            .iter()
            .map(|(name, target)| {
                Contender::new(*name, || {
                    script.run(target, CONNECTIONS, options.pick(3, 1))
                })
            })
            .collect();
        let table = Table::measure("requests/s", options.pick(9, 1), contenders);
        let (to_nginx, to_bare, bare_to_nginx) = (
            table.ratio(NODE, NGINX),
            table.ratio(NODE, BARE),
            table.ratio(BARE, NGINX),
        );
        if bare_to_nginx < bound && to_nginx < bound {
            // The HTTP library is the limit.
            report.at_least(
                &format!("{title}: against the bare handler ({bare_to_nginx:.2} of nginx itself)"),
                to_bare,
                0.9,
            );
        } else {
            report.at_least(&format!("{title}: against nginx"), to_nginx, bound);
        }
        report.table(
            &format!("ranges of {title}, {CONNECTIONS} connections"),
            table,
        );
    }
    report
}
