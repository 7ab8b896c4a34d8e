//! The section of an S3 server.

use super::*;

#[test]
fn the_limits_of_an_s3_server_are_read_as_people_write_them() {
    let config = Config::from_toml(
        r#"
[repo]
data_dir = "/data"
[repo.s3]
endpoint = "localhost:9000"
bucket_prefix = "a-"
connect_timeout = "10 s"
stall_timeout = "1min 30s"
retry_budget = "2 min"
max_attempts = 3
part_size = "16 MiB"
part_memory = 1048576
max_requests = 7
create_bucket = false
addressing = "virtual"
profile = "node"
storage_class = "STANDARD_IA"
sse = "aws:kms"
sse_kms_key_id = "alias/node"
sweep_uploads_after = "3 days"
"#,
    )
    .unwrap();
    let s3 = config.repo.s3.unwrap();
    let secs = |secs| Some(Duration::from_secs(secs));
    assert_eq!(
        (s3.connect_timeout, s3.stall_timeout, s3.retry_budget),
        (secs(10), secs(90), secs(120))
    );
    assert_eq!((s3.max_attempts, s3.max_requests), (Some(3), Some(7)));
    assert_eq!(
        (s3.part_size, s3.part_memory),
        (Some(16 << 20), Some(1 << 20))
    );
    assert_eq!(
        (s3.create_bucket, s3.sse),
        (Some(false), Some(SseConfig::Kms))
    );
    assert_eq!(s3.addressing, AddressingConfig::Virtual);
    let age = Duration::from_secs(3 * 24 * 3600);
    assert_eq!(s3.sweep_uploads_after, SweepConfig::After(age));
    let week = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(SweepConfig::default(), SweepConfig::After(week));
}

#[test]
fn wrong_settings_of_an_s3_server_are_named() {
    for (line, name) in [
        ("stall_timeout = 10", "stall_timeout"),
        ("stall_timeout = \"10\"", "stall_timeout"),
        ("stall_timeout = \"0 s\"", "stall_timeout"),
        ("retry_budget = \"soon\"", "retry_budget"),
        ("part_size = \"8 QiB\"", "part_size"),
        ("part_size = -1", "part_size"),
        ("max_attempts = 0", "max_attempts"),
        ("max_requests = 0", "max_requests"),
        ("addressing = \"dns\"", "addressing"),
        ("sse = \"rot13\"", "sse"),
        ("sse = \"AES256\"\nsse_kms_key_id = \"k\"", "sse_kms_key_id"),
        ("anonymous = true\nprofile = \"p\"", "anonymous"),
        ("sweep_uploads_after = \"sometimes\"", "sweep_uploads_after"),
        ("storage_class = \"\"", "storage_class"),
    ] {
        let text = format!(
            "[repo]\ndata_dir = \"/data\"\n[repo.s3]\nendpoint = \"h:1\"\nbucket_prefix = \"a-\"\n{line}\n"
        );
        let error = Config::from_toml(&text).unwrap_err().to_string();
        assert!(error.contains(name), "{line}: {error}");
    }
    let vars = [
        ("STOREHOUSE_REPO_DATA_DIR", "/data"),
        ("STOREHOUSE_REPO_S3_ENDPOINT", "h:1"),
        ("STOREHOUSE_REPO_S3_BUCKET_PREFIX", "a-"),
        ("STOREHOUSE_REPO_S3_STALL_TIMEOUT", "30 s"),
        ("STOREHOUSE_REPO_S3_SWEEP_UPLOADS_AFTER", "never"),
        ("STOREHOUSE_REPO_S3_PART_SIZE", "8388608"),
    ];
    let s3 = Config::with_env(None, env(&vars)).unwrap().repo.s3.unwrap();
    assert_eq!(s3.stall_timeout, Some(Duration::from_secs(30)));
    assert_eq!(s3.sweep_uploads_after, SweepConfig::Never);
    assert_eq!(s3.part_size, Some(8 << 20));
}
