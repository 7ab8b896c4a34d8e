//! The configuration as users get it wrong.

use secrecy::ExposeSecret;

use super::*;

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
secret_access_key = "verysecret"
"#;

fn env(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    vars.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
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
    assert_eq!((s3.endpoint.as_str(), s3.bucket_prefix.as_str(), s3.insecure), ("localhost:9000", "piri-", Some(true)));
    assert_eq!(s3.region.as_deref(), Some("garage"));
    assert_eq!(s3.credentials.unwrap().secret_access_key.unwrap().expose_secret(), "verysecret");
}

#[test]
fn no_debug_and_no_error_shows_a_secret() {
    let shown = format!("{:?}", Config::from_toml(WHOLE).unwrap());
    assert!(!shown.contains("verysecret"), "{shown}");
    // Each of these lines is broken right where the secret stands.
    for broken in [
        "[repo.s3.credentials]\nsecret_access_key = verysecret",
        "[repo.s3.credentials]\nsecret_access_key = \"verysecret",
        "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\ncredentials = 'verysecret, expected verysecret'",
        "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\n[repo.s3.credentials]\nsecret_access_key = [\"verysecret\"]",
    ] {
        let error = Config::from_toml(broken).unwrap_err().to_string();
        assert!(!error.contains("verysecret"), "{error}");
    }
    let number = "[repo.s3]\nendpoint='e'\nbucket_prefix='b'\n[repo.s3.credentials]\nsecret_access_key = 123456";
    let error = Config::from_toml(number).unwrap_err().to_string();
    assert!(error.contains("secret_access_key") && !error.contains("123456"), "{error}");
}

#[test]
fn each_mistake_is_a_sentence_that_names_the_setting() {
    let s3 = |more: &str| format!("[repo.s3]\nendpoint = 'localhost:9000'\nbucket_prefix = 'piri-'\n{more}");
    for (text, expected) in [
        ("[repo]\ndatadir = 'x'".to_owned(), "datadir"),
        ("[repo]\ndata_dir = 3".to_owned(), "repo.data_dir"),
        ("[repo]\ndata_dir = ''".to_owned(), "repo.data_dir: is empty"),
        ("[repository]".to_owned(), "repository"),
        ("[repo.s3]\nendpoint = 'localhost:9000'".to_owned(), "bucket_prefix"),
        ("[repo.s3]\nbucket_prefix = 'piri-'".to_owned(), "endpoint"),
        (s3("regoin = 'x'"), "regoin"),
        (s3("region = ''"), "repo.s3.region: is empty"),
        (s3("insecure = 'yes'"), "repo.s3.insecure"),
        (s3("[repo.s3.credentials]\naccess_key_id = 'a'"), "repo.s3.credentials.secret_access_key: is missing"),
        (s3("[repo.s3.credentials]\nsecret_access_key = 'a'"), "repo.s3.credentials.access_key_id: is missing"),
        (s3("[repo.s3.credentials]"), "repo.s3.credentials: has neither"),
        ("[repo".to_owned(), "line 1"),
    ] {
        let error = Config::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\ngave: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
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
    assert_eq!((s3.insecure, s3.region.as_deref()), (Some(false), Some("garage")), "an empty variable is not set");
    assert_eq!(s3.credentials.unwrap().secret_access_key.unwrap().expose_secret(), "other");
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
    ]);
    let config = Config::with_env(None, vars).unwrap();
    assert_eq!(config.repo.s3.unwrap().bucket_prefix, "b-");
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    for (name, value, expected) in [
        ("STOREHOUSE_REPO_DATADIR", "/x", "STOREHOUSE_REPO_DATADIR: is no setting"),
        ("STOREHOUSE_REPO_S3_INSECURE", "perhaps", "STOREHOUSE_REPO_S3_INSECURE: is neither true nor false"),
        ("STOREHOUSE_REPO_S3_REGION", "x", "endpoint"),
    ] {
        let error = Config::with_env(None, env(&[(name, value)])).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::from_path("/nonexistent/config.toml").unwrap_err().to_string();
    assert!(error.contains("/nonexistent/config.toml"), "{error}");
}
