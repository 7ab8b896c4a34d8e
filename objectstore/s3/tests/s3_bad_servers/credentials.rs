//! Keys: refused, incomplete, from the environment.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_the_keys() {
    let server = Server::start().await;
    let given = server.options.credentials.clone().unwrap();
    let keyed = |credentials| {
        with(server.bucket(), |o| {
            o.credentials = Some(credentials);
        })
    };
    let id = given.access_key_id.clone().unwrap();
    let error = open(keyed(Credentials::new(id, SECRET))).await.unwrap_err();
    match server.kind {
        Kind::Garage => assert_setting(&error, "access_key_id", "AccessDenied"),
        _ => assert_setting(&error, "secret_access_key", "SignatureDoesNotMatch"),
    }
    let unknown = if server.kind == Kind::Garage {
        "GK000000000000000000000000"
    } else {
        "nobody"
    };
    let error = open(keyed(Credentials::new(unknown, SECRET)))
        .await
        .unwrap_err();
    match server.kind {
        Kind::MinIo => assert_setting(&error, "access_key_id", "InvalidAccessKeyId"),
        Kind::Garage => assert_setting(&error, "access_key_id", "AccessDenied"),
        Kind::S3sFs => assert_setting(&error, "access_key_id", "the server"),
        Kind::VersityGw | Kind::Other => assert!(matches!(error, Error::Config { .. }), "{error}"),
    }
}

#[tokio::test]
async fn half_of_the_keys_is_missing() {
    let server = Scripted::start(willing).await;
    let keyed = |id: Option<&str>, secret: Option<&str>| {
        with(options(&server.endpoint), |o| {
            let mut given = Credentials::default();
            given.access_key_id = id.map(String::from);
            given.secret_access_key = secret.map(|text| text.to_owned().into());
            o.credentials = Some(given);
        })
    };
    assert_setting(
        &open(keyed(Some("id"), None)).await.unwrap_err(),
        "secret_access_key",
        "missing",
    );
    assert_setting(
        &open(keyed(Some("id"), Some(""))).await.unwrap_err(),
        "secret_access_key",
        "missing",
    );
    assert_setting(
        &open(keyed(None, Some(SECRET))).await.unwrap_err(),
        "access_key_id",
        "missing",
    );
    assert_setting(
        &open(keyed(Some("i\nd"), Some(SECRET))).await.unwrap_err(),
        "access_key_id",
        "characters",
    );
    assert!(server.take_requests().is_empty());
    assert!(!format!("{:?}", keyed(Some("id"), Some(SECRET))).contains(SECRET));
    assert!(format!("{:?}", keyed(Some("id"), Some(SECRET))).contains("[redacted]"));
}

/// Runs the test of this name in a process of its own, with these variables: the environment of
/// this process cannot be changed while others read it. Gives what the child printed.
fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("credentials::{test}"), "--nocapture"]);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let proxy = name.to_ascii_uppercase().ends_with("_PROXY");
        if name.starts_with("AWS_") || proxy {
            command.env_remove(name);
        }
    }
    // On any machine, for any user.
    command
        .env("STOREHOUSE_TEST_CHILD", "1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn is_child() -> bool {
    std::env::var_os("STOREHOUSE_TEST_CHILD").is_some()
}

/// Opens a store without keys of its own, changed by `change`, and prints what signed its requests
/// or why there are none.
async fn print_signer(change: impl FnOnce(&mut S3Options)) {
    let server = Scripted::start(willing).await;
    let options = with(options(&server.endpoint), |o| {
        o.credentials = None;
        change(o);
    });
    match open(options).await {
        Err(error) => println!("{error}: {:?}", error.source().map(ToString::to_string)),
        Ok(_) => {
            let request = server.take_requests().remove(0);
            let id = request.head.split("Credential=").nth(1).unwrap();
            let token = request.header("x-amz-security-token");
            assert!(token.is_none_or(|token| token == TOKEN));
            let id = id.split('/').next().unwrap();
            println!("signed by {id}, token: {}", token.is_some());
        }
    }
}

#[tokio::test]
async fn keys_come_from_the_environment() {
    const NAME: &str = "keys_come_from_the_environment";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let said = child(
        NAME,
        &[
            ("AWS_ACCESS_KEY_ID", "from-env"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", TOKEN),
        ],
    );
    assert!(said.contains("signed by from-env, token: true"), "{said}");
    let half = child(NAME, &[("AWS_ACCESS_KEY_ID", "from-env")]);
    assert!(
        half.contains("open: AWS_SECRET_ACCESS_KEY: is missing"),
        "{half}"
    );
    let half = child(NAME, &[("AWS_SECRET_ACCESS_KEY", SECRET)]);
    assert!(
        half.contains("open: AWS_ACCESS_KEY_ID: is missing"),
        "{half}"
    );
    let none = child(NAME, &[]);
    assert!(
        none.contains("open: access_key_id: there are no keys"),
        "{none}"
    );
}

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn keys_come_from_a_profile() {
    const NAME: &str = "keys_come_from_a_profile";
    if is_child() {
        let profile = std::env::var("TEST_PROFILE").ok();
        return print_signer(|o| o.profile = profile).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let keys = |name: &str, id: &str| {
        format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET}\n")
    };
    let credentials = file(
        &directory,
        "credentials",
        &(keys("default", "usual") + &keys("node", "of-node")),
    );
    let config = file(&directory, "config", &keys("profile other", "of-other"));
    let files = [
        ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()),
        ("AWS_CONFIG_FILE", config.as_str()),
    ];
    let environment = [
        ("AWS_ACCESS_KEY_ID", "from-env"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ];
    for (more, expected) in [
        (vec![], "signed by usual"),
        (vec![("AWS_PROFILE", "node")], "signed by of-node"),
        (vec![("AWS_PROFILE", "other")], "signed by of-other"),
        // A profile that is named passes the environment over.
        (
            [&environment[..], &[("TEST_PROFILE", "node")]].concat(),
            "signed by of-node",
        ),
        (environment.to_vec(), "signed by from-env"),
        (vec![("TEST_PROFILE", "nobody")], "there are no keys"),
    ] {
        let said = child(NAME, &[&files[..], &more].concat());
        assert!(said.contains(expected), "{more:?}: {said}");
    }
}

/// A source of keys over HTTP, at an address that only the test knows.
fn given_keys() -> String {
    format!(
        r#"{{"Code":"Success","LastUpdated":"2020-01-01T00:00:00Z","Type":"AWS-HMAC","AccessKeyId":"given","SecretAccessKey":"{SECRET}","Token":"{TOKEN}","Expiration":"2099-01-01T00:00:00Z"}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_the_container() {
    const NAME: &str = "keys_come_from_the_container";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let source = Scripted::start(|request| match request.header("authorization") {
        Some("Bearer open-sesame") => answer("200 OK", "", &given_keys()),
        _ => answer("403 Forbidden", "", "{}"),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let right = file(&directory, "right", "Bearer open-sesame");
    let ended = file(&directory, "ended", "Bearer open-sesame\n");
    let url = format!("{}/keys", source.endpoint);
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    for (token, expected) in [
        (
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer open-sesame"),
            "signed by given, token: true",
        ),
        (
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", right.as_str()),
            "signed by given, token: true",
        ),
        // It is no header's value: an error that says so, and no panic.
        (
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ended.as_str()),
            "access_key_id: there are no keys",
        ),
        (
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong"),
            "the source of the keys failed",
        ),
    ] {
        let said = child(NAME, &[uri, token]);
        assert!(said.contains(expected), "{token:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_the_instance() {
    const NAME: &str = "keys_come_from_the_instance";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let source = Scripted::start(|request| match request.head.split(' ').nth(1) {
        Some("/latest/api/token") => answer(
            "200 OK",
            "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n",
            "session",
        ),
        _ if request.header("x-aws-ec2-metadata-token") != Some("session") => {
            answer("401 Unauthorized", "", "")
        }
        Some(path) if path.ends_with("/the-role") => answer("200 OK", "", &given_keys()),
        _ => answer("200 OK", "", "the-role"),
    })
    .await;
    let said = child(
        NAME,
        &[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &source.endpoint),
        ],
    );
    assert!(said.contains("signed by given, token: true"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_a_web_identity() {
    const NAME: &str = "keys_come_from_a_web_identity";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let source = Scripted::start(|_| {
        answer("200 OK", "content-type: text/xml\r\n", &format!("<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>assumed</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>{TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"))
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    // With the line end that editors leave.
    let token = file(&directory, "token", "a-token\n");
    let said = child(
        NAME,
        &[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/node"),
            ("AWS_ROLE_SESSION_NAME", "the-session"),
            ("AWS_ENDPOINT_URL_STS", &source.endpoint),
        ],
    );
    assert!(said.contains("signed by assumed, token: true"), "{said}");
    let asked = source.take_requests();
    assert!(
        asked[0].body.contains("RoleSessionName=the-session"),
        "{}",
        asked[0].body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_a_process() {
    const NAME: &str = "keys_come_from_a_process";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = format!(
        r#"printf '{{"Version":1,"AccessKeyId":"printed","SecretAccessKey":"{SECRET}","SessionToken":"{TOKEN}"}}'"#
    );
    let config = file(
        &directory,
        "config",
        &format!(
            "[profile node]\ncredential_process = sh {}\n",
            file(&directory, "keys.sh", &program)
        ),
    );
    let said = child(
        NAME,
        &[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "node")],
    );
    assert!(said.contains("signed by printed, token: true"), "{said}");
}

/// A login by `aws sso login` leaves a token in the home directory, which buys keys.
#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_a_single_sign_on() {
    const NAME: &str = "keys_come_from_a_single_sign_on";
    if is_child() {
        return print_signer(|_| {}).await;
    }
    let portal = Scripted::start(|request| match request.header("x-amz-sso_bearer_token") {
        Some("the-login") => answer("200 OK", "content-type: application/json\r\n", &format!(r#"{{"roleCredentials":{{"accessKeyId":"signed-on","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}","expiration":4070908800000}}}}"#)),
        _ => answer("401 Unauthorized", "", "{}"),
    })
    .await;
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let name = digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, b"the-session");
    let name: String = name
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let login = r#"{"accessToken":"the-login","expiresAt":"2099-01-01T00:00:00Z","region":"us-east-1","startUrl":"https://node.awsapps.com/start"}"#;
    std::fs::write(cache.join(format!("{name}.json")), login).unwrap();
    let config = file(
        &home,
        "config",
        "[profile node]\nsso_session = the-session\nsso_account_id = 123456789012\nsso_role_name = node\n[sso-session the-session]\nsso_region = us-east-1\nsso_start_url = https://node.awsapps.com/start\n",
    );
    let said = child(
        NAME,
        &[
            ("HOME", home.path().to_str().unwrap()),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_PROFILE", "node"),
            ("AWS_ENDPOINT_URL_SSO", &portal.endpoint),
        ],
    );
    assert!(said.contains("signed by signed-on, token: true"), "{said}");
}

/// Stores that share a source ask it once, and one that fails says why.
#[tokio::test]
async fn a_provider_of_the_callers_own_is_asked_once_for_all_stores() {
    #[derive(Clone, Debug, Default)]
    struct Vault {
        asked: std::sync::Arc<std::sync::atomic::AtomicUsize>,
        sealed: bool,
    }

    impl storehouse_s3::CredentialProvider for Vault {
        fn credentials(
            &self,
        ) -> futures_util::future::BoxFuture<
            '_,
            Result<Credentials, storehouse_objectstore::BoxError>,
        > {
            self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Box::pin(async move {
                match self.sealed {
                    true => Err("the vault is sealed".into()),
                    false => Ok(Credentials::new("from-vault", SECRET)),
                }
            })
        }
    }

    let server = Scripted::start(willing).await;
    let vault = Vault::default();
    let shared = storehouse_s3::SharedCredentials::new(vault.clone());
    let options = |shared: &storehouse_s3::SharedCredentials, bucket: &str| {
        with(options(&server.endpoint), |o| {
            o.credentials = None;
            o.bucket = bucket.into();
            o.provider = Some(shared.clone());
        })
    };
    for bucket in ["one", "two", "three"] {
        open(options(&shared, bucket)).await.unwrap();
    }
    assert_eq!(vault.asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    let requests = server.take_requests();
    assert!(
        requests
            .iter()
            .all(|request| request.head.contains("Credential=from-vault/"))
    );
    let sealed = Vault {
        sealed: true,
        ..Vault::default()
    };
    let error = open(options(
        &storehouse_s3::SharedCredentials::new(sealed),
        "four",
    ))
    .await
    .unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "the vault is sealed");
    assert!(server.take_requests().is_empty());
}

/// A proxy sees what goes through it, with its own password, and nothing that is excepted.
#[tokio::test(flavor = "multi_thread")]
async fn proxies_come_from_the_environment() {
    const NAME: &str = "proxies_come_from_the_environment";
    if is_child() {
        let endpoint = std::env::var("TEST_ENDPOINT").unwrap();
        match open(options(&endpoint)).await {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}: {:?}", error.source().map(ToString::to_string)),
        }
        return;
    }
    let proxy = Scripted::start(|request| match request.head.starts_with("CONNECT") {
        true => answer("403 Forbidden", "", ""),
        false => willing(request),
    })
    .await;
    let address = proxy.endpoint.replace("http://", "http://user:pass@");
    // The name is nowhere: only the proxy could know it.
    let plain = ("TEST_ENDPOINT", "http://s3.nowhere.invalid:9000");
    let said = child(NAME, &[("http_proxy", &address), plain]);
    assert!(said.contains("opened"), "{said}");
    let requests = proxy.take_requests();
    assert!(
        requests[0]
            .head
            .starts_with("GET http://s3.nowhere.invalid:9000/bucket?"),
        "{}",
        requests[0].head
    );
    assert_eq!(
        requests[0].header("proxy-authorization"),
        Some("Basic dXNlcjpwYXNz")
    );
    let excepted = child(
        NAME,
        &[
            ("http_proxy", &address),
            ("NO_PROXY", "nowhere.invalid"),
            plain,
        ],
    );
    assert!(
        excepted.contains("no connection could be made"),
        "{excepted}"
    );
    assert!(proxy.take_requests().is_empty());
    let secure = ("TEST_ENDPOINT", "https://s3.nowhere.invalid");
    let said = child(NAME, &[("HTTPS_PROXY", &address), secure]);
    assert!(said.contains("no connection could be made"), "{said}");
    assert!(!said.contains("pass@"), "{said}");
    assert!(
        proxy.take_requests()[0]
            .head
            .starts_with("CONNECT s3.nowhere.invalid:443 ")
    );
    let said = child(NAME, &[("HTTPS_PROXY", "socks5://127.0.0.1:1"), secure]);
    assert!(
        said.contains("HTTPS_PROXY: is not a proxy over http"),
        "{said}"
    );
}
