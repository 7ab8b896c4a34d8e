//! Where each store lies: on S3 as a whole, and each where its own section puts it.

#[path = "../objectstore/s3/tests/support/mod.rs"]
mod s3;

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::TryStreamExt;
use s3::Server;
use secrecy::ExposeSecret;
use storehouse::blobstore::{Digest, HashFunction};
use storehouse::formats::ucan::{Capability, DelegationBuilder, Effects, ReceiptBuilder, Signer};
use storehouse::objectstore::{Body, ListOptions, ObjectStore};
use storehouse::records::{
    Acceptance, Allocation, BlobRef, Cid, Consolidation, Delegation, Ipld, Receipt,
};
use storehouse::{Backend, Config, StoreName, Stores};

const HELLO: &str = "qj/ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja.data";

/// A section of a server, whose buckets are this test's own.
fn section(server: &Server, name: &str, prefix: &str) -> String {
    let credentials = server.options.credentials.as_ref().unwrap();
    format!(
        "[{name}]\nendpoint = {:?}\nbucket_prefix = {prefix:?}\ninsecure = true\n{}[{name}.credentials]\naccess_key_id = {:?}\nsecret_access_key = {:?}\n",
        server.options.endpoint,
        server
            .options
            .region
            .as_ref()
            .map(|region| format!("region = {region:?}\n"))
            .unwrap_or_default(),
        credentials.access_key_id.as_ref().unwrap(),
        credentials
            .secret_access_key
            .as_ref()
            .unwrap()
            .expose_secret(),
    )
}

fn in_directory(data_dir: &Path, rest: &str) -> Config {
    Config::from_toml(&format!("[repo]\ndata_dir = {data_dir:?}\n{rest}")).unwrap()
}

async fn refusal(text: &str) -> String {
    match Config::from_toml(text) {
        Ok(config) => Stores::open(&config)
            .await
            .expect_err("this configuration cannot be opened")
            .to_string(),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// A blob, and a record of each kind.
struct Content {
    allocation: Allocation,
    acceptance: Acceptance,
    delegation: Delegation,
    receipt: Receipt,
    consolidation: Consolidation,
}

impl Content {
    fn new() -> Self {
        let signer = Signer::from_seed(&[1; 32]);
        let blob = BlobRef {
            digest: Digest::of(HashFunction::Sha2_256, b"hello"),
            size: 5,
        };
        let capability = Capability::new("blob/accept", signer.did().to_string()).nb(Ipld::Null);
        let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability])
            .expiration(4_000_000_000)
            .sign(&signer)
            .unwrap();
        let receipt = ReceiptBuilder::for_invocation(&delegation, Ok::<_, Ipld>(Ipld::Null))
            .effects(Effects::default())
            .sign(&signer)
            .unwrap();
        Self {
            allocation: Allocation {
                space: "did:web:example.com".parse().unwrap(),
                blob: blob.clone(),
                expires: 1_700_000_000,
                cause: delegation.cid(),
            },
            acceptance: Acceptance::new(
                "did:web:example.com".parse().unwrap(),
                blob,
                delegation.cid(),
                1,
            )
            .unwrap(),
            consolidation: Consolidation {
                track_invocation: delegation.clone(),
                consolidate_invocation: receipt.cid(),
            },
            delegation,
            receipt,
        }
    }

    fn batch(&self) -> Cid {
        "bagbaieraxuevlafzaezruz54lefip4kvv2oackllkme2ogdbm3fy6be3h5za"
            .parse()
            .unwrap()
    }

    async fn put(&self, stores: &Stores) {
        let records = stores.records();
        stores
            .blobs()
            .put(&self.allocation.blob.digest, Body::from("hello"))
            .await
            .unwrap();
        records.allocations.put(&self.allocation).await.unwrap();
        records.acceptances.put(&self.acceptance).await.unwrap();
        records.delegations.put(&self.delegation).await.unwrap();
        records.receipts.put(&self.receipt).await.unwrap();
        records
            .consolidations
            .put(&self.batch(), &self.consolidation)
            .await
            .unwrap();
    }

    async fn check(&self, stores: &Stores) {
        let (records, digest) = (stores.records(), &self.allocation.blob.digest);
        let blob = stores.blobs().get(digest).await.unwrap();
        assert_eq!(blob.body.collect(10).await.unwrap().as_ref(), b"hello");
        assert_eq!(
            records
                .allocations
                .get(digest, &self.allocation.space)
                .await
                .unwrap(),
            self.allocation
        );
        assert_eq!(
            records
                .acceptances
                .get(digest, &self.allocation.space)
                .await
                .unwrap(),
            self.acceptance
        );
        assert_eq!(
            records
                .delegations
                .get(&self.delegation.cid())
                .await
                .unwrap(),
            self.delegation
        );
        assert_eq!(
            records
                .receipts
                .get_by_ran(&self.delegation.cid())
                .await
                .unwrap()
                .as_ref(),
            Some(&self.receipt)
        );
        assert_eq!(
            records.consolidations.get(&self.batch()).await.unwrap(),
            self.consolidation
        );
    }

    /// The keys that a store has on S3, as Piri has them.
    fn on_s3(&self, store: StoreName) -> BTreeSet<String> {
        let space = format!(
            "{}/{}.cbor",
            self.allocation.blob.digest, self.allocation.space
        );
        match store {
            StoreName::Blobs => [HELLO.to_owned()].into(),
            StoreName::Allocations | StoreName::Acceptances => [space].into(),
            StoreName::Delegations => [self.delegation.cid().to_string()].into(),
            StoreName::Receipts => [
                self.receipt.cid().to_string(),
                format!("receipts-ran/{}.ref", self.delegation.cid()),
            ]
            .into(),
            StoreName::Consolidations => [format!("{}.cbor", self.batch())].into(),
            _ => unreachable!("there are no others"),
        }
    }
}

async fn keys(stores: &Stores, store: StoreName) -> BTreeSet<String> {
    let records = stores.records();
    let list = match store {
        StoreName::Blobs => stores.blobs().store().list(ListOptions::default()),
        StoreName::Allocations => records
            .allocations
            .records()
            .object_store()
            .list(ListOptions::default()),
        StoreName::Acceptances => records
            .acceptances
            .records()
            .object_store()
            .list(ListOptions::default()),
        StoreName::Delegations => records
            .delegations
            .records()
            .object_store()
            .list(ListOptions::default()),
        StoreName::Receipts => records
            .receipts
            .records()
            .object_store()
            .list(ListOptions::default()),
        StoreName::Consolidations => records
            .consolidations
            .records()
            .object_store()
            .list(ListOptions::default()),
        _ => unreachable!("there are no others"),
    };
    list.map_ok(|entry| entry.key.to_string())
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test]
async fn s3_is_six_buckets_of_piri() {
    let (server, dir) = (Server::in_process().await, tempfile::tempdir().unwrap());
    let config = in_directory(dir.path(), &section(&server, "repo.s3", "piri-"));
    let content = Content::new();
    let stores = Stores::open(&config).await.unwrap();
    content.put(&stores).await;
    drop(stores);
    let stores = Stores::open(&config).await.unwrap();
    content.check(&stores).await;
    for (store, bucket) in StoreName::ALL.into_iter().zip([
        "pdp",
        "allocations",
        "acceptances",
        "claims",
        "receipts",
        "consolidation",
    ]) {
        let (endpoint, bucket) = (server.options.endpoint.clone(), format!("piri-{bucket}"));
        assert_eq!(stores.backend_of(store), &Backend::S3 { endpoint, bucket });
        assert_eq!(keys(&stores, store).await, content.on_s3(store), "{store}");
    }
    // What never goes there is under the data directory, and nothing else is.
    let mut local: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    local.sort();
    assert_eq!(local, ["egress_tracker", "keystore"]);
}

/// Each store somewhere else: another disk, a bucket of another name, another server, one database
/// for two, memory.
#[tokio::test]
async fn each_store_where_its_section_puts_it() {
    let (server, other) = (Server::in_process().await, Server::in_process().await);
    let (dir, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [blobs, database, red] = ["blobs", "database", "red"].map(|name| disk.path().join(name));
    let rest = [
        section(&server, "repo.s3", "piri-"),
        format!("[repo.stores.blobs]\nbackend = 'flatfs'\npath = {blobs:?}\n"),
        "[repo.stores.allocations]\nbackend = 'memory'\n".into(),
        format!("[repo.stores.acceptances]\nbackend = 'redb'\npath = {red:?}\n"),
        format!("[repo.stores.delegations]\nbackend = 'datastore'\npath = {database:?}\n"),
        "[repo.stores.receipts]\nbucket = 'a-bucket'\n".into(),
        section(&other, "repo.stores.receipts.s3", "unused-"),
        format!("[repo.stores.consolidations]\npath = {database:?}\n"),
    ];
    let config = in_directory(dir.path(), &rest.concat());
    let content = Content::new();
    let stores = Stores::open(&config).await.unwrap();
    content.put(&stores).await;
    content.check(&stores).await;
    drop(stores);

    let stores = Stores::open(&config).await.unwrap();
    let records = stores.records();
    assert!(
        !records
            .allocations
            .exists(&content.allocation.blob.digest)
            .await
            .unwrap(),
        "memory is gone"
    );
    records.allocations.put(&content.allocation).await.unwrap();
    content.check(&stores).await;
    let receipts = Backend::S3 {
        endpoint: other.options.endpoint.clone(),
        bucket: "a-bucket".into(),
    };
    for (store, backend) in StoreName::ALL.into_iter().zip([
        Backend::Flatfs {
            path: blobs.clone(),
        },
        Backend::Memory,
        Backend::Redb { path: red.clone() },
        Backend::Redb {
            path: database.clone(),
        },
        receipts,
        Backend::Redb {
            path: database.clone(),
        },
    ]) {
        assert_eq!(stores.backend_of(store), &backend, "{store}");
    }
    assert_eq!(std::fs::read(blobs.join(HELLO)).unwrap(), b"hello");
    assert_eq!(
        keys(&stores, StoreName::Receipts).await,
        content.on_s3(StoreName::Receipts)
    );
    // Records of two kinds in one database, each under its own name, and those elsewhere not.
    let found = keys(&stores, StoreName::Delegations).await;
    assert_eq!(found, keys(&stores, StoreName::Consolidations).await);
    let kinds: BTreeSet<_> = found
        .iter()
        .map(|key| key.split('/').next().unwrap())
        .collect();
    assert_eq!(kinds, ["claim", "consolidation"].into());
    assert!(
        keys(&stores, StoreName::Acceptances)
            .await
            .iter()
            .all(|key| key.starts_with("acceptance/"))
    );
    // The server of the rest has seen no bucket, as nothing is left for it.
    assert!(server.take_requests().is_empty());
}

#[tokio::test]
async fn one_store_on_s3_and_the_rest_in_the_directory() {
    let (server, dir) = (Server::in_process().await, tempfile::tempdir().unwrap());
    let config = in_directory(dir.path(), &section(&server, "repo.stores.blobs.s3", "b-"));
    let content = Content::new();
    let stores = Stores::open(&config).await.unwrap();
    content.put(&stores).await;
    content.check(&stores).await;
    assert_eq!(
        stores.backend(),
        &Backend::S3 {
            endpoint: server.options.endpoint.clone(),
            bucket: "b-pdp".into()
        }
    );
    assert_eq!(
        stores.backend_of(StoreName::Receipts),
        &Backend::Redb {
            path: dir.path().join("records")
        }
    );
    assert_eq!(
        keys(&stores, StoreName::Blobs).await,
        [HELLO.to_owned()].into()
    );
}

#[tokio::test]
async fn combinations_that_cannot_be_are_one_sentence_each() {
    let s3 = "[repo.s3]\nendpoint = '127.0.0.1:1'\nbucket_prefix = 'b-'\ninsecure = true\n";
    for (text, expected) in [
        (
            s3.to_owned(),
            "repo.data_dir: is not set: with repo.s3, the keystore and the journal",
        ),
        (
            format!("{s3}[repo.stores.blobs]\nbackend = 'memory'"),
            "repo.data_dir: is not set: with repo.s3",
        ),
        (
            "[repo.stores.blobs]\npath = '/x'".into(),
            "repo.data_dir: is not set: with repo.stores.blobs.path",
        ),
        (
            s3.replace("repo.s3", "repo.stores.blobs.s3"),
            "repo.data_dir: is not set: with repo.stores.blobs.s3",
        ),
        (
            "[repo.stores.blobs]\nbackend = 'flatfs'".into(),
            "repo.stores.blobs.path: is not set, and neither is repo.data_dir",
        ),
        (
            "[repo.stores.receipts]\nbackend = 'datastore'".into(),
            "repo.stores.receipts.path: is not set, and neither is repo.data_dir",
        ),
        (
            "[repo.stores.receipts]\nbucket = 'x'".into(),
            "repo.stores.receipts.s3: is not set, and neither is repo.s3",
        ),
        (
            format!("[repo]\ndata_dir = '/x'\n{s3}[repo.stores.receipts]\nbucket = 'b-claims'"),
            "repo.stores.receipts.bucket: is \"b-claims\", which delegations have already",
        ),
        (
            format!(
                "[repo]\ndata_dir = '/x'\n{s3}[repo.stores.receipts.s3]\nendpoint = 'http://127.0.0.1:1/'\nbucket_prefix = 'b-'\n[repo.stores.receipts]\nbucket = 'b-pdp'"
            ),
            "repo.stores.receipts.bucket: is \"b-pdp\", which blobs have already",
        ),
        (
            format!(
                "[repo]\ndata_dir = '/x'\n{s3}[repo.stores.delegations]\nbucket = 'b-receipts'"
            ),
            "repo.stores.delegations.bucket: is \"b-receipts\", which receipts have already",
        ),
        (
            "[repo]\ndata_dir = '/x'\n[repo.stores.blobs]\npath = '/x'".into(),
            "repo.stores.blobs.path: /x and /x/records, where allocations lie, are one directory or one within the other",
        ),
        (
            "[repo]\ndata_dir = '/x'\n[repo.stores.receipts]\npath = '/x/keystore'".into(),
            "repo.stores.receipts.path: /x/keystore and /x/keystore, where the keystore or the journal lie",
        ),
        (
            "[repo]\ndata_dir = '/x'\n[repo.stores.receipts]\npath = '/x/records/more'".into(),
            "repo.stores.receipts.path: /x/records/more and /x/records, where allocations lie",
        ),
    ] {
        let error = refusal(&text).await;
        assert!(error.starts_with(expected), "{text}\ngave: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
    assert!(
        !Path::new("/x").exists(),
        "nothing is created before everything is checked"
    );
}

/// What is wrong with a directory or a server is told by the setting that put a store there.
#[tokio::test]
async fn a_place_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (file, foreign) = (dir.path().join("file"), dir.path().join("foreign"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("something"), "").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = |endpoint: &str| {
        format!(
            "[repo.stores.receipts.s3]\nbucket_prefix = 'b-'\ninsecure = true\nendpoint = {endpoint:?}"
        )
    };
    for (text, expected) in [
        (
            format!("[repo.stores.blobs]\npath = {file:?}"),
            "repo.stores.blobs.path: ",
        ),
        (
            format!("[repo.stores.blobs]\npath = {foreign:?}"),
            "repo.stores.blobs.path: ",
        ),
        (
            format!("[repo.stores.receipts]\npath = {file:?}"),
            "repo.stores.receipts.path: ",
        ),
        (
            format!("[repo.stores.receipts]\npath = {foreign:?}"),
            "repo.stores.receipts.path: ",
        ),
        (server("https://127.0.0.1:1"), "repo.stores.receipts.s3."),
        (server(&free.to_string()), "repo.stores.receipts.s3"),
    ] {
        let error = refusal(&format!(
            "[repo]\ndata_dir = {:?}\n{text}",
            dir.path().join("data")
        ))
        .await;
        assert!(error.starts_with(expected), "{text}\ngave: {error}");
    }
}

/// Nothing kept beyond the process needs no directory, also if each store says so itself.
#[tokio::test]
async fn all_in_memory_by_name() {
    let text: String = StoreName::ALL
        .iter()
        .map(|name| format!("[repo.stores.{name}]\nbackend = 'memory'\n"))
        .collect();
    let stores = Stores::open(&Config::from_toml(&text).unwrap())
        .await
        .unwrap();
    let content = Content::new();
    content.put(&stores).await;
    content.check(&stores).await;
    assert!(
        StoreName::ALL
            .iter()
            .all(|&name| stores.backend_of(name) == &Backend::Memory)
    );
    assert_eq!(stores.local().data_dir(), None);
}
