//! Servers that are not there, are none, refuse, fall silent or break off: a clear error each, in
//! bounded time, and never a secret in it.

mod support;

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ring::digest::{SHA256, digest};
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, Key, ListOptions, ObjectStore, Operation, PutMode,
    PutOptions,
};
use storehouse_s3::{Credentials, S3, S3Options};
use support::scripted::{Reply, Request, Scripted, answer, error, listing, text, willing};
use support::{Kind, Server, content, streamed};

const SECRET: &str = "mArKoFaSeCrEt-that-nobody-may-see";
const TOKEN: &str = "token-mArKoFaSeCrEt-that-nobody-may-see";

fn options(endpoint: &str) -> S3Options {
    let mut credentials = Credentials::new("the-key", SECRET);
    credentials.session_token = Some(TOKEN.into());
    S3Options {
        endpoint: endpoint.into(),
        bucket: "bucket".into(),
        credentials: Some(credentials),
        connect_timeout: Duration::from_millis(500),
        stall_timeout: Duration::from_millis(500),
        retry_backoff: Duration::from_millis(1),
        max_retries: 2,
        part_size: 5 << 20,
        ..S3Options::default()
    }
}

fn key() -> Key {
    Key::new("object").unwrap()
}

/// The result of `work`, which must come in bounded time; an error of it tells no secret, nor do
/// its causes.
async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let result = tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("it takes for ever");
    if let Err(error) = &result {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        let mut cause = error.source();
        while let Some(source) = cause {
            texts.push(format!("{source} {source:?}"));
            cause = source.source();
        }
        for text in texts {
            // For the search of the whole run's output.
            println!("{text}");
            assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
        }
    }
    result
}

async fn open(options: S3Options) -> Result<S3, Error> {
    bounded(S3::open(options)).await
}

/// A server that is willing but for requests for `/bucket/object`.
async fn store(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Scripted, S3) {
    let server = Scripted::start(move |request| {
        let special = ["GET", "PUT", "HEAD", "DELETE", "POST"]
            .iter()
            .any(|method| request.is(method, "/bucket/object"));
        if special {
            script(request)
        } else {
            willing(request)
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    (server, store)
}

#[track_caller]
fn assert_transient(error: &Error, operation: Operation, says: &str) {
    let text = error.to_string();
    assert!(
        matches!(error, Error::Backend { operation: o, class: ErrorClass::Transient, .. } if *o == operation),
        "{text}"
    );
    assert!(
        text.contains(says) && text.contains("\"bucket\" at http"),
        "{text}"
    );
}

#[track_caller]
fn assert_setting(error: &Error, name: &str, says: &str) {
    assert!(
        matches!(error, Error::Config { setting, .. } if *setting == name),
        "{error} {error:?}"
    );
    assert!(error.to_string().contains(says), "{error}");
}

#[tokio::test]
async fn nobody_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = open(options(&endpoint)).await.unwrap_err();
    assert_transient(&error, Operation::Open, "no connection could be made");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[tokio::test]
async fn no_tls_is_spoken_there() {
    // It waits for the end of a head that never comes.
    let server = Scripted::start(willing).await;
    let error = open(options(&server.endpoint.replace("http:", "https:")))
        .await
        .unwrap_err();
    assert_transient(&error, Operation::Open, "silent");
    let server = Server::in_process().await;
    let error = open(S3Options {
        insecure: None,
        ..server.bucket()
    })
    .await
    .unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("no connection could be made"),
        "{error}"
    );
}

#[tokio::test]
async fn it_is_silent() {
    let server = Scripted::start(|_| Reply::Silence(0, String::new())).await;
    assert_transient(
        &open(options(&server.endpoint)).await.unwrap_err(),
        Operation::Open,
        "silent",
    );
}

#[tokio::test]
async fn it_is_no_s3_server() {
    let page = "<!DOCTYPE html><html><body><p>Welcome<br></body></html>";
    for (status, body) in [
        ("200 OK", page),
        ("404 Not Found", page),
        ("200 OK", ""),
        ("200 OK", "{}"),
        ("400 Bad Request", "what?"),
        ("302 Found", page),
    ] {
        let server = Scripted::start(move |_| {
            answer(
                status,
                "content-type: text/html\r\nlocation: /login\r\n",
                body,
            )
        })
        .await;
        assert_setting(
            &open(options(&server.endpoint)).await.unwrap_err(),
            "endpoint",
            "no S3 server",
        );
    }
    let server = Scripted::start(|_| Reply::Early("SSH-2.0-OpenSSH_9.6\r\n".into())).await;
    assert_transient(
        &open(options(&server.endpoint)).await.unwrap_err(),
        Operation::Open,
        "connection broke",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_refuses_the_keys() {
    let server = Server::start().await;
    let given = server.options.credentials.clone().unwrap();
    let with = |credentials| S3Options {
        credentials: Some(credentials),
        ..server.bucket()
    };
    let id = given.access_key_id.clone().unwrap();
    let error = open(with(Credentials::new(id, SECRET))).await.unwrap_err();
    match server.kind {
        Kind::Garage => assert_setting(&error, "access_key_id", "AccessDenied"),
        _ => assert_setting(&error, "secret_access_key", "SignatureDoesNotMatch"),
    }
    let unknown = if server.kind == Kind::Garage {
        "GK000000000000000000000000"
    } else {
        "nobody"
    };
    let error = open(with(Credentials::new(unknown, SECRET)))
        .await
        .unwrap_err();
    match server.kind {
        Kind::MinIo => assert_setting(&error, "access_key_id", "InvalidAccessKeyId"),
        Kind::Garage => assert_setting(&error, "access_key_id", "AccessDenied"),
        Kind::S3sFs => assert_setting(&error, "access_key_id", "the server"),
        Kind::Other => assert!(matches!(error, Error::Config { .. }), "{error}"),
    }
}

#[tokio::test]
async fn half_of_the_keys_is_missing() {
    let server = Scripted::start(willing).await;
    let with = |id: Option<&str>, secret: Option<&str>| S3Options {
        credentials: Some(Credentials {
            access_key_id: id.map(String::from),
            secret_access_key: secret.map(|text| text.to_owned().into()),
            session_token: None,
        }),
        ..options(&server.endpoint)
    };
    assert_setting(
        &open(with(Some("id"), None)).await.unwrap_err(),
        "secret_access_key",
        "missing",
    );
    assert_setting(
        &open(with(Some("id"), Some(""))).await.unwrap_err(),
        "secret_access_key",
        "missing",
    );
    assert_setting(
        &open(with(None, Some(SECRET))).await.unwrap_err(),
        "access_key_id",
        "missing",
    );
    assert_setting(
        &open(with(Some("i\nd"), Some(SECRET))).await.unwrap_err(),
        "access_key_id",
        "characters",
    );
    assert!(server.take_requests().is_empty());
    assert!(!format!("{:?}", with(Some("id"), Some(SECRET))).contains(SECRET));
    assert!(format!("{:?}", with(Some("id"), Some(SECRET))).contains("[redacted]"));
}

/// The environment of this process cannot be changed while others read it, so the test runs in a
/// process of its own.
#[tokio::test]
async fn keys_come_from_the_environment() {
    if std::env::var_os("STOREHOUSE_TEST_CHILD").is_none() {
        let child = |variables: &[(&str, &str)]| {
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "keys_come_from_the_environment", "--nocapture"]);
            for name in [
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
            ] {
                command.env_remove(name);
            }
            // No metadata service answers there, whatever machine this is.
            command
                .env("STOREHOUSE_TEST_CHILD", "1")
                .env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
                .envs(variables.iter().copied());
            let output = command.output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let said = child(&[
            ("AWS_ACCESS_KEY_ID", "from-env"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_SESSION_TOKEN", TOKEN),
        ]);
        assert!(said.contains("signed by from-env with a token"), "{said}");
        assert!(
            child(&[("AWS_ACCESS_KEY_ID", "from-env")])
                .contains("open: AWS_SECRET_ACCESS_KEY: is missing")
        );
        assert!(
            child(&[("AWS_SECRET_ACCESS_KEY", SECRET)])
                .contains("open: AWS_ACCESS_KEY_ID: is missing")
        );
        assert!(child(&[]).contains("open: access_key_id: there are no keys"));
        return;
    }
    let server = Scripted::start(willing).await;
    match open(S3Options {
        credentials: None,
        ..options(&server.endpoint)
    })
    .await
    {
        Err(error) => println!("{error}"),
        Ok(_) => {
            let head = server.take_requests()[0].head.clone();
            assert!(head.contains(&format!("x-amz-security-token: {TOKEN}")));
            let id = head
                .split("Credential=")
                .nth(1)
                .unwrap()
                .split('/')
                .next()
                .unwrap();
            println!("signed by {id} with a token");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_in_another_region() {
    let server = Scripted::start(|request| {
        if request.head.contains("/eu-north-7/s3/") {
            return willing(request);
        }
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-north-7</Region></Error>";
        answer("400 Bad Request", "", body)
    })
    .await;
    open(options(&server.endpoint)).await.unwrap();
    let fixed = S3Options {
        region: Some("us-west-2".into()),
        ..options(&server.endpoint)
    };
    assert_setting(&open(fixed).await.unwrap_err(), "region", "eu-north-7");
    // And a real one.
    let server = Server::start().await;
    if let Kind::MinIo | Kind::Garage = server.kind {
        let wrong = S3Options {
            region: Some("xx-wrong-1".into()),
            ..server.bucket()
        };
        assert_setting(
            &open(wrong).await.unwrap_err(),
            "region",
            server.options.region.as_deref().unwrap(),
        );
        let store = open(S3Options {
            region: None,
            ..server.bucket()
        })
        .await
        .unwrap();
        store.remove_bucket().await.unwrap();
    }
}

#[tokio::test]
async fn its_clock_is_another() {
    let server = Scripted::start(|_| error("403 Forbidden", "RequestTimeTooSkewed")).await;
    let error = open(options(&server.endpoint)).await.unwrap_err();
    assert!(error.to_string().contains("clock"), "{error}");
}

#[tokio::test]
async fn it_has_no_such_bucket_any_more() {
    let (_server, store) = store(|_| error("404 Not Found", "NoSuchBucket")).await;
    for error in [
        bounded(store.get_opts(&key(), GetOptions::default()))
            .await
            .unwrap_err(),
        bounded(store.put_opts(&key(), "x".into(), PutOptions::default()))
            .await
            .unwrap_err(),
        bounded(store.delete(&key())).await.unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("no such bucket") && error.class() == ErrorClass::Fatal,
            "{error}"
        );
    }
}

fn bodies() -> Vec<(Body, PutOptions)> {
    let bytes = content(3 << 20);
    let sum = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
    let create = PutOptions::default().mode(PutMode::Create);
    vec![
        (bytes.clone().into(), PutOptions::default()),
        (streamed(&bytes, 100_000), PutOptions::default().sha256(sum)),
        (streamed(&content(6 << 20), 100_000), create.sha256(sum)),
    ]
}

/// One that honours conditions, so that they are not refused before they are sent.
async fn honouring(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Scripted, S3) {
    let server = Scripted::start(move |request| {
        let repeated = request.head.contains("if-match");
        match request.is("PUT", "/bucket/object") {
            true => script(request),
            false if repeated => error("412 Precondition Failed", "PreconditionFailed"),
            // The first of them is taken, as there is nothing yet; the second is not told from it,
            // so both are refused.
            false => willing(request),
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    assert!(
        store.capabilities().replace
            && !store.capabilities().create
            && !store.capabilities().verifies_sha256
    );
    server.take_requests();
    (server, store)
}

#[tokio::test]
async fn it_breaks_off_in_the_middle_of_a_put() {
    let (_server, store) = store(|_| Reply::Cut(100_000, String::new())).await;
    for (body, options) in bodies() {
        let options = PutOptions {
            mode: PutMode::Overwrite,
            ..options
        };
        let error = bounded(store.put_opts(&key(), body, options))
            .await
            .unwrap_err();
        assert_transient(&error, Operation::Put, "connection broke");
    }
}

#[tokio::test]
async fn it_falls_silent_in_the_middle_of_a_put() {
    for read in [0, 100_000, 3 << 20] {
        let (_server, store) = store(move |_| Reply::Silence(read, String::new())).await;
        for (body, options) in bodies() {
            let options = PutOptions {
                mode: PutMode::Overwrite,
                ..options
            };
            let error = bounded(store.put_opts(&key(), body, options))
                .await
                .unwrap_err();
            assert_transient(&error, Operation::Put, "silent");
        }
    }
}

/// Silence on the caller's side is no fault of the server's.
#[tokio::test]
async fn a_slow_source_is_waited_for() {
    let (_server, store) = store(willing).await;
    let bytes = content(300_000);
    let sum = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
    let pieces =
        stream::iter([bytes.slice(..100_000), bytes.slice(100_000..)]).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            Ok::<_, std::io::Error>(piece)
        });
    bounded(store.put_opts(
        &key(),
        Body::from_stream(pieces),
        PutOptions::default().size(300_000).sha256(sum),
    ))
    .await
    .unwrap();
}

/// A refusal that comes before the body was read is the verdict, not the broken connection that
/// follows it.
#[tokio::test]
async fn it_refuses_before_it_reads() {
    let (server, store) = honouring(|_| {
        let Reply::Answer(refusal) = error("412 Precondition Failed", "PreconditionFailed") else {
            unreachable!()
        };
        Reply::Early(refusal)
    })
    .await;
    let tag = PutMode::Replace(storehouse_objectstore::ETag::new("\"2\""));
    for (body, options) in bodies() {
        let refused = bounded(store.put_opts(&key(), body, options.mode(tag.clone())))
            .await
            .unwrap_err();
        assert!(refused.is_precondition(), "{refused}");
        assert_eq!(server.take_requests().len(), 1);
    }
}

#[tokio::test]
async fn failures_that_pass_are_tried_again() {
    // Answers that say the server did nothing, or requests that may be done twice.
    for failure in [
        error("503 Slow Down", "SlowDown"),
        error("500 Oops", "InternalError"),
        Reply::Cut(0, String::new()),
    ] {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let (server, store) = store(move |request| {
            match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 {
                2 => match request.is("GET", "/bucket/object") {
                    true => answer("200 OK", "etag: \"1\"\r\n", "content"),
                    false => willing(request),
                },
                _ => failure.clone(),
            }
        })
        .await;
        bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
            .await
            .unwrap();
        assert_eq!(server.take_requests().len(), 3);
        assert_eq!(
            bounded(store.get_opts(&key(), GetOptions::default()))
                .await
                .unwrap()
                .body
                .collect(100)
                .await
                .unwrap(),
            "content"
        );
        bounded(store.delete(&key())).await.unwrap();
        assert_eq!(server.take_requests().len(), 6);
    }
    let (server, store) = store(|_| error("503 Slow Down", "SlowDown")).await;
    let error = bounded(store.get_opts(&key(), GetOptions::default()))
        .await
        .unwrap_err();
    assert_transient(&error, Operation::Get, "503 SlowDown");
    assert_eq!(server.take_requests().len(), 3);
}

/// The first try may have written the object: the second would be refused on account of it.
#[tokio::test]
async fn a_conditional_put_is_not_tried_again_if_it_may_have_happened() {
    let put =
        PutOptions::default().mode(PutMode::Replace(storehouse_objectstore::ETag::new("\"2\"")));
    for (reply, tries) in [
        (error("500 Oops", "InternalError"), 1),
        (Reply::Cut(0, String::new()), 1),
        (error("503 Slow Down", "SlowDown"), 3),
    ] {
        let (server, store) = honouring(move |_| reply.clone()).await;
        let error = bounded(store.put_opts(&key(), "content".into(), put.clone()))
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(server.take_requests().len(), tries, "{error}");
    }
}

#[tokio::test]
async fn it_breaks_off_or_falls_silent_in_the_middle_of_a_get() {
    let head = "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 1000000\r\n\r\n";
    let half = format!("{head}{}", "x".repeat(500_000));
    let cut = half.clone();
    let (_server, cutting) = store(move |_| Reply::Cut(0, cut.clone())).await;
    let object = bounded(cutting.get_opts(&key(), GetOptions::default()))
        .await
        .unwrap();
    let error = bounded(object.body.collect(u64::MAX)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Truncated {
                expected: 1_000_000,
                received: 500_000,
                ..
            }
        ),
        "{error} {error:?}"
    );
    let (_server, silent) = store(move |_| Reply::Silence(0, half.clone())).await;
    let object = bounded(silent.get_opts(&key(), GetOptions::default()))
        .await
        .unwrap();
    assert_transient(
        &bounded(object.body.collect(u64::MAX)).await.unwrap_err(),
        Operation::Get,
        "silent",
    );
}

#[tokio::test]
async fn a_dropped_body_closes_its_connection() {
    let head = "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 1000000\r\n\r\n";
    let half = format!("{head}{}", "x".repeat(500_000));
    let (server, store) = store(move |_| Reply::Silence(0, half.clone())).await;
    let mut body = bounded(store.get_opts(&key(), GetOptions::default()))
        .await
        .unwrap()
        .body;
    body.next().await.unwrap().unwrap();
    let with = server.open_connections();
    drop(body);
    for _ in 0..500 {
        if server.open_connections() < with {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn it_gives_what_was_not_asked_for() {
    for reply in [
        // The whole object for a range of it.
        answer("200 OK", "etag: \"1\"\r\n", "0123456789"),
        // Another range, a range of nothing, one that is none, no tag.
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: bytes 0-4/10\r\n",
            "01234",
        ),
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: bytes 5-4/10\r\n",
            "",
        ),
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: bytes 2-99999999999999999999/10\r\n",
            "",
        ),
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: lines 2-4/10\r\n",
            "",
        ),
        answer("206 Partial", "content-range: bytes 2-4/10\r\n", "234"),
    ] {
        let (_server, store) = store(move |request| match request.is("HEAD", "/bucket/object") {
            true => {
                Reply::Answer("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 10\r\n\r\n".into())
            }
            false => reply.clone(),
        })
        .await;
        let error = bounded(store.get_opts(&key(), GetOptions::default().range(2..5)))
            .await
            .unwrap_err();
        assert!(
            error.class() == ErrorClass::Fatal && matches!(error, Error::Backend { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_listing_goes_wrong() {
    let entry = |key: &str| {
        format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>\"1\"</ETag></Contents>")
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let cut = text("200 OK", "", &"<ListBucketResult>".repeat(1000));
    for (reply, says) in [
        (Reply::Cut(0, cut[..1000].to_owned()), "connection broke"),
        (Reply::Silence(0, cut[..1000].to_owned()), "silent"),
        (
            answer("200 OK", "content-type: text/html\r\n", "<html>"),
            "no answer of S3's",
        ),
        (
            listing("<Contents><Key>k</Key><Size>-1</Size></Contents>"),
            "without its size",
        ),
        (
            listing(&format!("{}<IsTruncated>true</IsTruncated>", entry("a"))),
            "how it goes on",
        ),
        (listing(&format!("{}{more}", entry("a"))), "again and again"),
        (
            listing(&format!("{}{}", entry("b"), entry("a"))),
            "out of order",
        ),
        (
            listing(&format!("{}{}", entry("b"), entry("b"))),
            "out of order",
        ),
        (error("500 Oops", "InternalError"), "500 InternalError"),
        (error("403 Forbidden", "AccessDenied"), "403 AccessDenied"),
    ] {
        // Until the store is open it is an empty bucket.
        let server = Scripted::start(move |request| {
            match request.head.contains("max-keys=1&") || request.head.contains("max-keys=1 ") {
                false if request.is("GET", "/bucket") => reply.clone(),
                _ => willing(request),
            }
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        let listed = bounded(store.list(ListOptions::default()).try_collect::<Vec<_>>()).await;
        let error = listed.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Backend {
                    operation: Operation::List,
                    ..
                }
            ) && error.to_string().contains(says),
            "{error}"
        );
        // After its error it ends.
        assert_eq!(
            store
                .list(ListOptions::default())
                .filter(|entry| std::future::ready(entry.is_err()))
                .count()
                .await,
            1
        );
    }
}

/// Names that are no keys are passed over, and a listing without tags is one.
#[tokio::test]
async fn a_listing_holds_names_that_are_no_keys() {
    let server = Scripted::start(|request| match request.is("GET", "/bucket") {
        true => listing("<Contents><Key>a//b</Key><Size>1</Size></Contents><Contents><Key>folder/</Key><Size>0</Size></Contents><Contents><Key>k</Key><Size>1</Size></Contents>"),
        false => willing(request),
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|entry| (entry.key.as_str(), entry.metadata.etag.as_str()))
            .collect::<Vec<_>>(),
        [("k", "")]
    );
}

#[tokio::test]
async fn bulk_deletes_that_the_server_does_not_have_or_does_by_halves() {
    let keys = || stream::iter(["a", "b", "c"].map(|name| Key::new(name).unwrap())).boxed();
    for refusal in [
        error("501 Not Implemented", "NotImplemented"),
        error("405 Not Allowed", "MethodNotAllowed"),
        error("400 Bad", "MalformedXML"),
    ] {
        let server = Scripted::start(move |request| {
            if request.is("POST", "/bucket") {
                refusal.clone()
            } else {
                willing(request)
            }
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        server.take_requests();
        let mut gone: Vec<_> = store.delete_many(keys()).try_collect().await.unwrap();
        gone.sort_unstable();
        assert_eq!(
            gone.iter().map(Key::as_str).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(server.take_requests().len(), 4);
    }
    let partly = "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let server = Scripted::start(move |request| {
        if request.is("POST", "/bucket") {
            answer("200 OK", "", partly)
        } else {
            willing(request)
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    let results: Vec<_> = store.delete_many(keys()).collect().await;
    let kept: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!((results.len(), kept.len()), (3, 1));
    assert!(
        matches!(kept[0], Error::Backend { key: Some(key), .. } if key.as_str() == "b"),
        "{}",
        kept[0]
    );
}

/// A completion that fails after its good status was sent, and an upload that nobody can open.
#[tokio::test]
async fn a_multipart_upload_goes_wrong() {
    let initiated =
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    for (step, says) in [
        ("uploads=", "500"),
        ("partNumber=2", "500"),
        ("complete", "500 InternalError"),
    ] {
        let (server, store) = store(move |request| {
            let fail = |at: &str| at == step;
            match request.head.split(' ').next().unwrap() {
                "POST" if request.head.contains("uploads=") && !fail("uploads=") => {
                    answer("200 OK", "", initiated)
                }
                "POST" if request.head.contains("uploadId=") && fail("complete") => answer(
                    "200 OK",
                    "",
                    "  <Error><Code>InternalError</Code><Message>late</Message></Error>",
                ),
                "PUT" if request.head.contains("partNumber=2") && fail("partNumber=2") => {
                    error("500 Oops", "InternalError")
                }
                "PUT" | "DELETE" => willing(request),
                _ => error("500 Oops", "InternalError"),
            }
        })
        .await;
        let source = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 11 << 20]))]);
        let key = key();
        let put = store.put_opts(
            &key,
            Body::from_stream(source),
            PutOptions::default().size(11 << 20),
        );
        let error = bounded(put).await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains(says),
            "{step}: {error}"
        );
        let aborted = server
            .take_requests()
            .iter()
            .any(|request| request.is("DELETE", "/bucket/object"));
        assert_eq!(aborted, step != "uploads=", "{step}");
    }
}

#[tokio::test]
async fn it_has_no_room() {
    for (status, code) in [
        ("507 Insufficient Storage", "XMinioStorageFull"),
        ("403 Forbidden", "QuotaExceeded"),
        ("507 Oops", ""),
    ] {
        let (_server, store) = store(move |_| error(status, code)).await;
        let error = bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
            .await
            .unwrap_err();
        assert!(
            error.is_full() && matches!(error, Error::Backend { .. }),
            "{error}"
        );
    }
}
