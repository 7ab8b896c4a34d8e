//! The configuration as users get it wrong.

mod s3;

use std::time::Duration;

use secrecy::ExposeSecret;
use storehouse_local::journal::{JournalOptions, Retention, SyncPolicy};

use super::*;
use crate::StoreName;

const WHOLE: &str = r#"
[repo]
data_dir = "/data"
temp_dir = "/tmp"
[repo.s3]
endpoint = "localhost:9000"
bucket_prefix = "piri-"
insecure = true
region = "garage"
[repo.s3.credentials]
access_key_id = "KEYID"
secret_access_key = "mArKoFaSeCrEt"
[repo.stores.blobs]
path = "/blobs"
[repo.stores.receipts]
bucket = "the-receipts"
[repo.stores.receipts.s3]
endpoint = "elsewhere:9000"
[repo.keystore]
passphrase = "mArKoFaSeCrEt of keys"
[repo.journal]
rotate_bytes = 1000
rotate_seconds = 60
sync = "interval"
sync_bytes = 4096
sync_millis = 20
retain_seconds = 0
retain_bytes = 1000000
"#;

fn env(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn nothing_configured_is_memory() {
    let config = Config::from_toml("").unwrap();
    assert!(config.repo.data_dir.is_none() && config.repo.s3.is_none());
}

#[test]
fn the_names_of_piri_are_read() {
    let config = Config::from_toml(WHOLE).unwrap();
    let s3 = config.repo.s3.unwrap();
    assert_eq!(config.repo.data_dir.unwrap().to_str(), Some("/data"));
    assert_eq!(
        (s3.endpoint.as_str(), s3.bucket_prefix.as_str(), s3.insecure),
        ("localhost:9000", "piri-", Some(true))
    );
    assert_eq!(s3.region.as_deref(), Some("garage"));
    assert_eq!(
        s3.credentials
            .unwrap()
            .secret_access_key
            .unwrap()
            .expose_secret(),
        "mArKoFaSeCrEt"
    );
}

/// What the documents show is a configuration.
#[test]
fn the_documents_show_what_is_read() {
    for text in [
        include_str!("../../../docs/guide/configure.md"),
        include_str!("../settings.rs"),
    ] {
        let lines = text
            .lines()
            .map(|line| line.strip_prefix("///").unwrap_or(line).trim_start());
        let shown: Vec<_> = lines
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .collect();
        let repo = Config::from_toml(&shown.join("\n")).unwrap().repo;
        assert!(
            repo.s3.is_some()
                && repo.stores.blobs.is_some()
                && repo.keystore.passphrase_file.is_some()
                && repo.journal.sync.is_some()
        );
    }
}

#[test]
fn the_log_of_flatfs_is_off_unless_asked_for() {
    let log = |text| Config::from_toml(text).map(|config| config.repo.flatfs.log);
    assert!(!log("").unwrap());
    assert!(!log("[repo.flatfs]").unwrap());
    assert!(log("[repo.flatfs]\nlog = true").unwrap());
    let error = log("[repo.flatfs]\nlogs = true").unwrap_err().to_string();
    assert!(error.contains("logs"), "{error}");
    let vars = env(&[("STOREHOUSE_REPO_FLATFS_LOG", "true")]);
    assert!(Config::with_env(None, vars).unwrap().repo.flatfs.log);
}

#[test]
fn no_debug_and_no_error_shows_a_secret() {
    let shown = format!("{:?}", Config::from_toml(WHOLE).unwrap());
    assert!(!shown.contains("mArKoFaSeCrEt"), "{shown}");
    // Each of these lines is broken right where the secret stands.
    for broken in [
        "[repo.s3.credentials]\nsecret_access_key = mArKoFaSeCrEt",
        "[repo.s3.credentials]\nsecret_access_key = \"mArKoFaSeCrEt",
        "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\ncredentials = 'mArKoFaSeCrEt, expected mArKoFaSeCrEt'",
        "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\n[repo.s3.credentials]\nsecret_access_key = [\"mArKoFaSeCrEt\"]",
        "[repo.keystore]\npassphrase = [\"mArKoFaSeCrEt\"]",
        "[repo.keystore]\npassphrase = 'mArKoFaSeCrEt'",
        "[repo]\nkeystore = 'mArKoFaSeCrEt'",
        "[repo.keystore]\npassphrase = 'mArKoFaSeCrEt'\npassphrase_file = '/x'",
    ] {
        let error = Config::from_toml(broken)
            .and_then(|config| config.check())
            .unwrap_err()
            .to_string();
        assert!(!error.contains("mArKoFaSeCrEt"), "{error}");
    }
    let number = "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\n[repo.s3.credentials]\nsecret_access_key = 123456";
    let error = Config::from_toml(number).unwrap_err().to_string();
    assert!(
        error.contains("secret_access_key") && !error.contains("123456"),
        "{error}"
    );
}

#[test]
fn each_mistake_is_a_sentence_that_names_the_setting() {
    let s3 = |more: &str| {
        format!("[repo.s3]\nendpoint = 'localhost:9000'\nbucket_prefix = 'piri-'\n{more}")
    };
    let store =
        |name: &str, text: &str, expected| (format!("[repo.stores.{name}]\n{text}"), expected);
    let journal = |text: &str, expected| (format!("[repo.journal]\n{text}"), expected);
    for (text, expected) in [
        ("[repo]\ndatadir = 'x'".to_owned(), "datadir"),
        ("[repo]\ndata_dir = 3".to_owned(), "repo.data_dir"),
        (
            "[repo]\ndata_dir = ''".to_owned(),
            "repo.data_dir: is empty",
        ),
        ("[repository]".to_owned(), "repository"),
        (
            "[repo.s3]\nendpoint = 'localhost:9000'".to_owned(),
            "bucket_prefix",
        ),
        ("[repo.s3]\nbucket_prefix = 'piri-'".to_owned(), "endpoint"),
        (s3("regoin = 'x'"), "regoin"),
        (s3("region = ''"), "repo.s3.region: is missing or empty"),
        (s3("insecure = 'yes'"), "repo.s3.insecure"),
        (
            s3("[repo.s3.credentials]\naccess_key_id = 'a'"),
            "repo.s3.credentials.secret_access_key: is missing",
        ),
        (
            s3("[repo.s3.credentials]\nsecret_access_key = 'a'"),
            "repo.s3.credentials.access_key_id: is missing",
        ),
        (
            s3("[repo.s3.credentials]"),
            "repo.s3.credentials: has neither",
        ),
        ("[repo".to_owned(), "line 1"),
        store("blob", "backend = 'memory'", "blob"),
        store("blobs", "backend = 'disk'", "repo.stores.blobs.backend"),
        store(
            "blobs",
            "backend = 'datastore'",
            "repo.stores.blobs.backend: is \"datastore\", which keeps small records",
        ),
        store(
            "receipts",
            "backend = 'flatfs'",
            "repo.stores.receipts.backend: is \"flatfs\", which does not take",
        ),
        store(
            "receipts",
            "backend = 's3'\npath = '/x'",
            "repo.stores.receipts.path: is for a directory",
        ),
        store(
            "receipts",
            "backend = 'memory'\nbucket = 'x'",
            "repo.stores.receipts.bucket: is for s3",
        ),
        store(
            "receipts",
            "path = '/x'\nbucket = 'x'",
            "repo.stores.receipts.bucket: is for s3",
        ),
        store(
            "receipts",
            "path = ''",
            "repo.stores.receipts.path: is empty",
        ),
        store(
            "receipts",
            "bucket = ''",
            "repo.stores.receipts.bucket: is empty",
        ),
        store(
            "receipts",
            "[repo.stores.receipts.s3]\nendpoint = 'e'",
            "repo.stores.receipts.s3.bucket_prefix: is missing or empty",
        ),
        store(
            "receipts",
            "backend = 'memory'\n[repo.stores.receipts.s3]\nendpoint = 'e'",
            "repo.stores.receipts.s3: is for s3",
        ),
        ("[repo.keystore]\nphrase = 'x'".to_owned(), "phrase"),
        (
            "[repo.keystore]\npassphrase = ''".to_owned(),
            "repo.keystore.passphrase: is empty",
        ),
        (
            "[repo.keystore]\npassphrase_file = ''".to_owned(),
            "repo.keystore.passphrase_file: is empty",
        ),
        journal("rotate_at = 1", "rotate_at"),
        journal("rotate_bytes = 0", "repo.journal.rotate_bytes: is 0"),
        journal("rotate_bytes = -1", "repo.journal.rotate_bytes"),
        journal(
            "rotate_seconds = 0",
            "repo.journal.rotate_seconds: is not within",
        ),
        journal(
            "rotate_seconds = 9223372036854775807",
            "repo.journal.rotate_seconds: is not within",
        ),
        journal("sync = 'never'", "repo.journal.sync"),
        journal(
            "sync = 'interval'\nsync_bytes = 1",
            "repo.journal.sync_millis: is missing",
        ),
        journal(
            "sync = 'interval'\nsync_millis = 1",
            "repo.journal.sync_bytes: is missing",
        ),
        journal(
            "sync = 'interval'\nsync_bytes = 0\nsync_millis = 1",
            "repo.journal.sync_bytes: is 0",
        ),
        journal(
            "sync = 'interval'\nsync_bytes = 1\nsync_millis = 0",
            "repo.journal.sync_millis: is not within",
        ),
        journal(
            "sync = 'on_rotation'\nsync_bytes = 1",
            "repo.journal.sync_bytes: is for",
        ),
        journal(
            "retain_seconds = 9223372036854775807",
            "repo.journal.retain_seconds: is more than",
        ),
    ] {
        let error = Config::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\ngave: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
}

#[test]
fn stores_keystore_and_journal_are_read() {
    let repo = Config::from_toml(WHOLE).unwrap().repo;
    let blobs = repo.stores.blobs.unwrap();
    assert_eq!(
        (blobs.kind(StoreName::Blobs), blobs.path.unwrap().to_str()),
        (Some(BackendKind::Flatfs), Some("/blobs"))
    );
    let receipts = repo.stores.receipts.unwrap();
    assert_eq!(
        (
            receipts.kind(StoreName::Receipts),
            receipts.bucket.as_deref()
        ),
        (Some(BackendKind::S3), Some("the-receipts"))
    );
    assert_eq!(receipts.s3.unwrap().endpoint, "elsewhere:9000");
    assert_eq!(
        repo.keystore.passphrase().unwrap().unwrap().expose(),
        b"mArKoFaSeCrEt of keys"
    );
    let (options, rotator) = (repo.journal.options(), repo.journal.rotator());
    assert_eq!(
        options,
        JournalOptions::default()
            .rotate_at(1000)
            .sync(SyncPolicy::Interval {
                bytes: 4096,
                time: Duration::from_millis(20)
            })
    );
    assert_eq!(rotator.rotate_every, Duration::from_secs(60));
    assert_eq!(
        rotator.retention,
        Retention::default()
            .older_than(Duration::ZERO)
            .total_above(1_000_000)
    );
    assert_eq!(
        JournalConfig::default().options(),
        JournalOptions::default()
    );
}

#[test]
fn a_passphrase_comes_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passphrase");
    let keystore = KeystoreConfig {
        passphrase_file: Some(path.clone()),
        ..KeystoreConfig::default()
    };
    for (text, expected) in [
        ("mArKoFaSeCrEt", "mArKoFaSeCrEt"),
        ("mArKoFaSeCrEt\n", "mArKoFaSeCrEt"),
        ("mArKoFaSeCrEt \n\r\n", "mArKoFaSeCrEt \n"),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            keystore.passphrase().unwrap().unwrap().expose(),
            expected.as_bytes()
        );
    }
    for (text, expected) in [
        ("", "holds no passphrase"),
        ("\r\n", "holds no passphrase"),
        (&*"x".repeat(65537), "more than 65536 bytes"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = keystore.passphrase().unwrap_err().to_string();
        assert!(
            error.starts_with("repo.keystore.passphrase_file: ") && error.contains(expected),
            "{error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    let error = keystore.passphrase().unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    // A FIFO without a writer would never be read to its end.
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let error = keystore.passphrase().unwrap_err().to_string();
    assert!(error.contains("is not a regular file"), "{error}");
}

/// A passphrase in the environment and a data directory on the command line.
#[test]
fn settings_are_checked_together_after_the_flags() {
    let vars = [("STOREHOUSE_REPO_KEYSTORE_PASSPHRASE", "mArKoFaSeCrEt")];
    let mut config = Config::with_env(None, env(&vars)).unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(
        error.starts_with("repo.keystore.passphrase: is set, but without repo.data_dir"),
        "{error}"
    );
    config.repo.data_dir = Some("/data".into());
    config.check().unwrap();
    let file = Config::from_toml("[repo.keystore]\npassphrase_file = '/x'").unwrap();
    let error = file.check().unwrap_err().to_string();
    assert!(
        error.starts_with("repo.keystore.passphrase_file: is set, but without repo.data_dir"),
        "{error}"
    );
}

#[test]
fn the_environment_stands_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, WHOLE).unwrap();
    let vars = env(&[
        ("STOREHOUSE_REPO_DATA_DIR", "/elsewhere"),
        ("STOREHOUSE_REPO_S3_INSECURE", "false"),
        ("STOREHOUSE_REPO_S3_REGION", ""),
        ("STOREHOUSE_REPO_S3_CREDENTIALS_SECRET_ACCESS_KEY", "other"),
        ("HOME", "/root"),
    ]);
    let config = Config::with_env(Some(&path), vars).unwrap();
    let s3 = config.repo.s3.unwrap();
    assert_eq!(config.repo.data_dir.unwrap().to_str(), Some("/elsewhere"));
    assert_eq!(
        (s3.insecure, s3.region.as_deref()),
        (Some(false), Some("garage")),
        "an empty variable is not set"
    );
    assert_eq!(
        s3.credentials
            .unwrap()
            .secret_access_key
            .unwrap()
            .expose_secret(),
        "other"
    );
}

#[test]
fn the_environment_alone_can_configure_everything() {
    let vars = env(&[
        ("STOREHOUSE_REPO_S3_ENDPOINT", "localhost:9000"),
        ("STOREHOUSE_REPO_S3_BUCKET_PREFIX", "b-"),
        ("STOREHOUSE_REPO_S3_CREDENTIALS_ACCESS_KEY_ID", "id"),
        ("STOREHOUSE_REPO_S3_CREDENTIALS_SECRET_ACCESS_KEY", "s"),
        ("STOREHOUSE_REPO_S3_CREDENTIALS_SESSION_TOKEN", "t"),
        ("STOREHOUSE_REPO_S3_CA_FILE", "/ca.pem"),
        ("STOREHOUSE_REPO_TEMP_DIR", "/tmp"),
        ("STOREHOUSE_REPO_DATA_DIR", "/data"),
        ("STOREHOUSE_REPO_STORES_BLOBS_BACKEND", "flatfs"),
        ("STOREHOUSE_REPO_STORES_BLOBS_PATH", "/blobs"),
        ("STOREHOUSE_REPO_STORES_RECEIPTS_BUCKET", "the-receipts"),
        ("STOREHOUSE_REPO_STORES_RECEIPTS_S3_ENDPOINT", "elsewhere:1"),
        (
            "STOREHOUSE_REPO_STORES_RECEIPTS_S3_CREDENTIALS_ACCESS_KEY_ID",
            "id",
        ),
        (
            "STOREHOUSE_REPO_STORES_RECEIPTS_S3_CREDENTIALS_SECRET_ACCESS_KEY",
            "s",
        ),
        ("STOREHOUSE_REPO_KEYSTORE_PASSPHRASE", "mArKoFaSeCrEt"),
        ("STOREHOUSE_REPO_KEYSTORE_ALLOW_UNSEALED", "true"),
        ("STOREHOUSE_REPO_KEYSTORE_ALLOW_GROUP_ACCESS", "1"),
        ("STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES", "5"),
        ("STOREHOUSE_REPO_JOURNAL_ROTATE_SECONDS", "6"),
        ("STOREHOUSE_REPO_JOURNAL_SYNC", "interval"),
        ("STOREHOUSE_REPO_JOURNAL_SYNC_BYTES", "7"),
        ("STOREHOUSE_REPO_JOURNAL_SYNC_MILLIS", "8"),
        ("STOREHOUSE_REPO_JOURNAL_RETAIN_SECONDS", "9"),
        ("STOREHOUSE_REPO_JOURNAL_RETAIN_BYTES", "10"),
    ]);
    let repo = Config::with_env(None, vars).unwrap().repo;
    assert_eq!(repo.s3.unwrap().bucket_prefix, "b-");
    assert_eq!(
        repo.stores.blobs.unwrap().path.unwrap().to_str(),
        Some("/blobs")
    );
    assert!(
        repo.stores
            .receipts
            .unwrap()
            .s3
            .unwrap()
            .credentials
            .is_some()
    );
    assert!(repo.keystore.passphrase.is_some());
    assert!(repo.keystore.allow_unsealed && repo.keystore.allow_group_access);
    let JournalConfig {
        rotate_bytes,
        rotate_seconds,
        sync,
        sync_bytes,
        sync_millis,
        retain_seconds,
        retain_bytes,
    } = repo.journal;
    let numbers = [
        rotate_bytes,
        rotate_seconds,
        sync_bytes,
        sync_millis,
        retain_seconds,
        retain_bytes,
    ]
    .map(Option::unwrap);
    assert_eq!(
        (numbers, sync),
        ([5, 6, 7, 8, 9, 10], Some(SyncConfig::Interval))
    );
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    for (name, value, expected) in [
        (
            "STOREHOUSE_REPO_DATADIR",
            "/x",
            "STOREHOUSE_REPO_DATADIR: is no setting",
        ),
        (
            "STOREHOUSE_REPO_S3_INSECURE",
            "perhaps",
            "STOREHOUSE_REPO_S3_INSECURE: is neither true nor false",
        ),
        ("STOREHOUSE_REPO_S3_REGION", "x", "endpoint"),
        (
            "STOREHOUSE_REPO_STORES_BLOB_PATH",
            "x",
            "STOREHOUSE_REPO_STORES_BLOB_PATH: is no setting",
        ),
        (
            "STOREHOUSE_REPO_STORES_BLOBS_DIRECTORY",
            "x",
            "STOREHOUSE_REPO_STORES_BLOBS_DIRECTORY: is no setting",
        ),
        (
            "STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES",
            "1 MiB",
            "STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES: is no whole number",
        ),
        (
            "STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES",
            "18446744073709551616",
            "STOREHOUSE_REPO_JOURNAL_ROTATE_BYTES: is no whole number",
        ),
    ] {
        let error = Config::with_env(None, env(&[(name, value)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::from_path("/nonexistent/config.toml").unwrap_err();
    let text = error.to_string();
    assert_eq!(
        text,
        "configuration /nonexistent/config.toml: cannot be read"
    );
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(
        cause.downcast_ref::<std::io::Error>().unwrap().kind(),
        std::io::ErrorKind::NotFound
    );
}

#[test]
fn a_file_of_settings_has_an_end() {
    let error = Config::from_path("/dev/zero").unwrap_err().to_string();
    assert!(
        error.contains("/dev/zero") && error.contains("more than 1048576 bytes"),
        "{error}"
    );
}
