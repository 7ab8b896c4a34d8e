//! Opening stores by configuration alone, as users do it and as they get it wrong.

use std::path::Path;

use storehouse::blobstore::{Digest, HashFunction};
use storehouse::objectstore::Body;
use storehouse::records::{Allocation, BlobRef};
use storehouse::{Backend, Config, S3Config, Stores};

const HELLO: &str = "qj/ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja.data";

fn in_directory(path: &Path) -> Config {
    let mut config = Config::default();
    config.repo.data_dir = Some(path.into());
    config
}

fn on_s3(endpoint: &str, insecure: Option<bool>, data_dir: &Path) -> Config {
    let mut config = in_directory(data_dir);
    let mut s3 = S3Config::new(endpoint, "test-");
    s3.insecure = insecure;
    let toml = "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\n[repo.s3.credentials]\naccess_key_id='KEYID'\nsecret_access_key='mArKoFaSeCrEt'";
    s3.credentials = Config::from_toml(toml)
        .unwrap()
        .repo
        .s3
        .unwrap()
        .credentials;
    config.repo.s3 = Some(s3);
    config
}

/// The error with its causes, as a program would print it.
async fn refusal(config: &Config) -> String {
    let error = Stores::open(config)
        .await
        .expect_err("this configuration cannot be opened");
    let chain: Vec<String> =
        std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect();
    let text = chain.join(": ");
    assert!(!text.contains("mArKoFaSeCrEt"), "{text}");
    text
}

async fn round_trip(stores: &Stores) {
    let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    stores
        .blobs()
        .put(&digest, Body::from("hello"))
        .await
        .unwrap();
    let blob = stores.blobs().get_range(&digest, 1..3).await.unwrap();
    assert_eq!(
        (blob.size, blob.body.collect(10).await.unwrap().as_ref()),
        (5, b"el".as_ref())
    );
}

#[tokio::test]
async fn nothing_configured_is_memory() {
    let stores = Stores::open(&Config::default()).await.unwrap();
    assert_eq!(stores.backend(), &Backend::Memory);
    round_trip(&stores).await;
}

#[tokio::test]
async fn data_dir_alone_is_flatfs_where_piri_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("not/yet/there");
    let stores = Stores::open(&in_directory(&data_dir)).await.unwrap();
    assert_eq!(
        stores.backend(),
        &Backend::Flatfs {
            path: data_dir.join("pdp/datastore")
        }
    );
    round_trip(&stores).await;
    assert_eq!(
        std::fs::read(data_dir.join("pdp/datastore").join(HELLO)).unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn records_in_a_directory_are_there_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = in_directory(dir.path());
    let allocation = Allocation {
        space: "did:web:example.com".parse().unwrap(),
        blob: BlobRef {
            digest: Digest::of(HashFunction::Sha2_256, b"hello"),
            size: 5,
        },
        expires: 1_700_000_000,
        // Of the empty map, as dag-cbor.
        cause: "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
            .parse()
            .unwrap(),
    };
    let stores = Stores::open(&config).await.unwrap();
    stores.records().allocations.put(&allocation).await.unwrap();
    drop(stores);
    let stores = Stores::open(&config).await.unwrap();
    let found = stores
        .records()
        .allocations
        .get(&allocation.blob.digest, &allocation.space)
        .await
        .unwrap();
    assert_eq!(found, allocation);
}

#[tokio::test]
async fn a_directory_in_use_is_refused_until_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let config = in_directory(dir.path());
    let first = Stores::open(&config).await.unwrap();
    let text = refusal(&config).await;
    assert!(
        text.starts_with("repo.data_dir: ") && text.contains("in use"),
        "{text}"
    );
    drop(first);
    Stores::open(&config).await.unwrap();
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let text = refusal(&in_directory(&file)).await;
    assert!(
        text.starts_with("repo.data_dir: ") && text.contains(file.to_str().unwrap()),
        "{text}"
    );

    let other = dir.path().join("other");
    std::fs::create_dir_all(other.join("pdp/datastore")).unwrap();
    std::fs::write(
        other.join("pdp/datastore/SHARDING"),
        "/repo/flatfs/shard/v1/prefix/2\n",
    )
    .unwrap();
    let text = refusal(&in_directory(&other)).await;
    assert!(
        text.starts_with("repo.data_dir: ") && text.contains("prefix/2"),
        "{text}"
    );

    let foreign = dir.path().join("foreign");
    std::fs::create_dir_all(foreign.join("pdp/datastore")).unwrap();
    std::fs::write(foreign.join("pdp/datastore/something"), "").unwrap();
    let text = refusal(&in_directory(&foreign)).await;
    assert!(
        text.starts_with("repo.data_dir: ") && text.contains("SHARDING"),
        "{text}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    // Not even root makes directories there.
    let text = refusal(&in_directory(Path::new("/proc/storehouse"))).await;
    assert!(
        text.starts_with("repo.data_dir: ") && text.contains("/proc/storehouse"),
        "{text}"
    );
}

#[tokio::test]
async fn an_endpoint_that_contradicts_insecure_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for (endpoint, insecure) in [("https://127.0.0.1:1", true), ("http://127.0.0.1:1", false)] {
        let text = refusal(&on_s3(endpoint, Some(insecure), dir.path())).await;
        assert!(
            text.starts_with("repo.s3.") && text.contains("insecure"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_in_bounded_time() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = on_s3(&free.to_string(), Some(true), dir.path());
    let text = tokio::time::timeout(std::time::Duration::from_secs(60), refusal(&config))
        .await
        .expect("bounded time");
    assert!(
        text.starts_with("repo.s3") && text.contains(&free.to_string()),
        "{text}"
    );
}
