//! What the stores of one section of an S3 server share, and what is swept for them.

#[path = "../objectstore/s3/tests/support/scripted.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests use all of it")]
mod scripted;

use std::path::Path;
use std::time::Duration;

use scripted::{Request, Scripted, answer, willing};
use storehouse::s3::S3Options;
use storehouse::{Config, Stores};

/// Tells the child of a test where the server is.
const ENDPOINT: &str = "STOREHOUSE_TEST_SCRIPTED";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The key of a blob.
const BLOB: &str = "qj/ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja.data";

fn section(endpoint: &str, data_dir: &Path, rest: &str) -> Config {
    let text = format!(
        "[repo]\ndata_dir = {data_dir:?}\n[repo.s3]\nendpoint = {endpoint:?}\nbucket_prefix = \"node-\"\n{rest}"
    );
    Config::from_toml(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stores_of_a_section_ask_once_for_keys() {
    if let Ok(endpoint) = std::env::var(ENDPOINT) {
        let dir = tempfile::tempdir().unwrap();
        // One section for five stores, and one of the same server for the sixth.
        let own = format!(
            "[repo.stores.receipts.s3]\nendpoint = {endpoint:?}\nbucket_prefix = \"other-\"\n"
        );
        for rest in ["", &own] {
            let config = section(&endpoint, dir.path(), rest);
            Stores::open(&config).await.unwrap().close().await.unwrap();
        }
        return;
    }
    let keys = r#"{"AccessKeyId":"given","SecretAccessKey":"mArKoFaSeCrEt","Token":"mArKoFaSeCrEt","Expiration":"2099-01-01T00:00:00Z"}"#;
    let source = Scripted::start(move |_| answer("200 OK", "", keys)).await;
    let server = Scripted::start(willing).await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "the_stores_of_a_section_ask_once_for_keys"]);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        if upper.starts_with("AWS_") || upper.ends_with("_PROXY") {
            child.env_remove(name);
        }
    }
    child
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("{}/keys", source.endpoint),
        )
        .env(ENDPOINT, &server.endpoint);
    let output = tokio::task::spawn_blocking(move || child.output());
    let output = output.await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    let requests = server.take_requests();
    assert!(requests.len() >= 12, "{}", requests.len());
    for request in &requests {
        assert!(
            request.head.contains("Credential=given/"),
            "{}",
            request.head
        );
    }
    // Once for the first configuration; once a section for the second.
    assert_eq!(source.take_requests().len(), 3);
}

/// A server with an upload of a blob that was begun three days before its clock's now, and one of
/// another program.
async fn with_uploads() -> Scripted {
    let upload = |key: &str| {
        format!(
            "<Upload><Key>{key}</Key><UploadId>u</UploadId><Initiated>2020-01-06T00:00:00Z</Initiated></Upload>"
        )
    };
    let uploads = [upload(BLOB), upload("backup.tar")].concat();
    Scripted::start(move |request| match request.asks("uploads=") {
        true => answer(
            "200 OK",
            "date: Thu, 09 Jan 2020 00:00:00 GMT\r\n",
            &format!("<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>"),
        ),
        false => willing(request),
    })
    .await
}

/// What is swept in a while, with sweeps one after another: requests for lists of uploads, and
/// aborts.
async fn swept(settings: &str, interval: Duration) -> (Vec<Request>, Vec<Request>) {
    let server = with_uploads().await;
    let dir = tempfile::tempdir().unwrap();
    let keys =
        "[repo.s3.credentials]\naccess_key_id = \"id\"\nsecret_access_key = \"mArKoFaSeCrEt\"\n";
    let config = section(&server.endpoint, dir.path(), &format!("{settings}\n{keys}"));
    let stores = Stores::builder()
        .config(&config)
        .s3(move |options: S3Options| options.sweep_interval(interval))
        .open()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stores.close().await.unwrap();
    let requests = server.take_requests();
    let listed = requests.iter().filter(|request| request.asks("uploads="));
    let aborted = requests.iter().filter(|request| request.asks("uploadId="));
    (listed.cloned().collect(), aborted.cloned().collect())
}

#[tokio::test]
async fn old_uploads_of_blobs_are_swept() {
    assert_eq!(S3Options::default().sweep_interval, DAY);
    // Soon after opening, and then not before the interval is over.
    let rarely = Duration::from_secs(120);
    let (listed, aborted) = swept("sweep_uploads_after = \"2 days\"", rarely).await;
    assert_eq!(listed.len(), 1);
    assert!(!aborted.is_empty());
    let often = Duration::from_millis(50);
    let (listed, aborted) = swept("sweep_uploads_after = \"2 days\"", often).await;
    assert!(listed.len() > 1);
    for request in &listed {
        assert!(request.is("GET", "/node-pdp"), "{}", request.head);
    }
    assert!(!aborted.is_empty());
    for request in &aborted {
        let path = format!("/node-pdp/{BLOB}");
        assert!(request.is("DELETE", &path), "{}", request.head);
    }
    // Seven days by default: this one is young.
    let (listed, aborted) = swept("", often).await;
    assert!(!listed.is_empty() && aborted.is_empty());
    let (listed, aborted) = swept("sweep_uploads_after = \"never\"", often).await;
    assert!(listed.is_empty() && aborted.is_empty());
}
