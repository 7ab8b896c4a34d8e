//! Answers that ask for a request in another way.

use std::sync::atomic::{AtomicUsize, Ordering};

use storehouse_s3::{CredentialProvider, SharedCredentials};

use crate::*;

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
    let fixed = with(options(&server.endpoint), |o| {
        o.region = Some("us-west-2".into());
    });
    assert_setting(&open(fixed).await.unwrap_err(), "region", "eu-north-7");
    // And a real one.
    let server = Server::start().await;
    if let Kind::MinIo | Kind::Garage = server.kind {
        let wrong = with(server.bucket(), |o| {
            o.region = Some("xx-wrong-1".into());
        });
        assert_setting(
            &open(wrong).await.unwrap_err(),
            "region",
            server.options.region.as_deref().unwrap(),
        );
        let store = open(with(server.bucket(), |o| {
            o.region = None;
        }))
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

/// The host of a scripted server's endpoint.
fn host(server: &Scripted) -> &str {
    server.endpoint.strip_prefix("http://").unwrap()
}

#[tokio::test]
async fn a_redirect_on_the_same_host_is_followed_with_its_body() {
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let (server, store) = store(move |request| {
            if request.asks("hop") {
                return match request.head.split(' ').next() {
                    Some("GET") => answer("200 OK", "etag: \"1\"\r\n", "content"),
                    _ => answer("200 OK", "etag: \"1\"\r\n", ""),
                };
            }
            // Before it reads a body: a stream cannot be sent twice.
            let redirect = text(status, "location: /bucket/object?hop=1\r\n", "");
            match request.header("expect") {
                Some(_) => Reply::Early(redirect),
                None => Reply::Answer(redirect),
            }
        })
        .await;
        for (body, options) in bodies() {
            let put = options.mode(PutMode::Overwrite);
            bounded(store.put_opts(&key(), body, put)).await.unwrap();
        }
        let object = bounded(store.get(&key())).await.unwrap();
        assert_eq!(bounded(object.body.collect(100)).await.unwrap(), "content");
        assert_eq!(server.take_requests().len(), 8);
    }
}

/// Keys that sign for one host are not shown to another, and an error says where it points.
#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed() {
    let evil = Scripted::start(willing).await;
    let to = format!("location: http://{}/bucket/object\r\n", host(&evil));
    for (status, headers, body) in [
        ("307 Temporary Redirect", to.clone(), String::new()),
        ("301 Moved", to.clone(), String::new()),
        ("302 Found", to, String::new()),
        (
            "307 Temporary Redirect",
            String::new(),
            format!(
                "<Error><Code>TemporaryRedirect</Code><Endpoint>{}</Endpoint></Error>",
                host(&evil)
            ),
        ),
    ] {
        let (server, store) = store(move |_| answer(status, &headers, &body)).await;
        let error = bounded(store.get(&key())).await.unwrap_err();
        assert!(error.to_string().contains(host(&evil)), "{error}");
        assert_eq!(server.take_requests().len(), 1);
    }
    assert!(evil.take_requests().is_empty());
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let (server, store) =
        store(|_| answer("307 Temporary Redirect", "location: /bucket/object\r\n", "")).await;
    bounded(store.get(&key())).await.unwrap_err();
    assert_eq!(server.take_requests().len(), 4);
}

/// What would write is not sent elsewhere on a word that may mean another method.
#[tokio::test]
async fn an_older_redirect_holds_for_reading_alone() {
    let (server, store) = store(|request| match request.asks("hop") {
        true => answer("200 OK", "etag: \"1\"\r\n", "content"),
        false => answer("302 Found", "location: ?hop=1\r\n", ""),
    })
    .await;
    bounded(store.get(&key())).await.unwrap();
    bounded(store.put_opts(&key(), "x".into(), PutOptions::default()))
        .await
        .unwrap_err();
    assert_eq!(server.take_requests().len(), 3);
}

#[tokio::test]
async fn a_region_that_is_none_is_not_used() {
    let server = Scripted::start(|_| {
        let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>evil.example/x</Region></Error>";
        answer("400 Bad Request", "x-amz-bucket-region: EVIL\r\n", body)
    })
    .await;
    open(options(&server.endpoint)).await.unwrap_err();
    for request in server.take_requests() {
        assert!(request.head.contains("/us-east-1/s3/"), "{}", request.head);
    }
}

/// The server's clock is two hours ahead, or behind: its `Date` sets the one that signs.
#[tokio::test]
async fn a_clock_that_differs_is_followed() {
    use std::time::SystemTime;

    for (ahead, told) in [(true, true), (false, true), (true, false)] {
        let by = Duration::from_secs(7200);
        let clock = move || match ahead {
            true => SystemTime::now() + by,
            false => SystemTime::now() - by,
        };
        let (server, store) = store_behind(move |request| {
            let signed = request.header("x-amz-date").unwrap();
            // To the hour.
            let expected: String = {
                let time = chrono::DateTime::<chrono::Utc>::from(clock());
                time.format("%Y%m%dT%H").to_string()
            };
            let near = signed.starts_with(&expected)
                || signed[11..13].contains("59")
                || signed[11..13].contains("00");
            if near {
                return willing(request);
            }
            let date = format!("date: {}\r\n", httpdate::fmt_http_date(clock()));
            let body = match told {
                true => "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>",
                false => "",
            };
            answer("403 Forbidden", &date, body)
        })
        .await;
        bounded(store.put_opts(&key(), "x".into(), PutOptions::default()))
            .await
            .unwrap();
        let requests = server.take_requests().len();
        assert_eq!(requests, 1, "the clock is kept");
    }
}

async fn store_behind(
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scripted, S3) {
    let server = Scripted::start(script).await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    (server, store)
}

#[tokio::test]
async fn it_does_not_know_how_to_expect_or_wants_a_length() {
    let (server, store) = store(|request| match request.header("expect") {
        Some(_) => Reply::Early(text("417 Expectation Failed", "", "")),
        None => willing(request),
    })
    .await;
    for (body, options) in bodies() {
        let put = options.mode(PutMode::Overwrite);
        bounded(store.put_opts(&key(), body, put)).await.unwrap();
    }
    // It is told once.
    assert_eq!(server.take_requests().len(), 4);
    let (server, store) = store_behind(|request| match request.header("content-length") {
        None => answer("411 Length Required", "", ""),
        Some(_) => willing(request),
    })
    .await;
    bounded(store.delete(&key())).await.unwrap();
    assert_eq!(server.take_requests().len(), 1);
}

/// What one request learns holds for all, and those under way with it are sent again as well.
#[tokio::test]
async fn requests_under_way_together_are_all_sent_again() {
    const TOGETHER: usize = 16;
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>";
    let ahead = std::time::SystemTime::now() + Duration::from_secs(7200);
    let date = format!("date: {}\r\n", httpdate::fmt_http_date(ahead));
    let first_hour = chrono::DateTime::<chrono::Utc>::from(ahead - Duration::from_secs(3600));
    let first_hour = first_hour.format("%Y%m%dT%H%M%SZ").to_string();
    let expectation = |request: &Request| request.header("expect").is_some();
    let length = |request: &Request| request.header("content-length").is_none();
    let clock = move |request: &Request| {
        let signed = request.header("x-amz-date").unwrap();
        signed < first_hour.as_str()
    };
    type Wrong = Box<dyn Fn(&Request) -> bool + Send + Sync>;
    let cases: [(Wrong, String, bool); 3] = [
        (
            Box::new(expectation),
            text("417 Expectation Failed", "", ""),
            true,
        ),
        (Box::new(length), text("411 Length Required", "", ""), false),
        (Box::new(clock), text("403 Forbidden", &date, skewed), false),
    ];
    for (wrong, refusal, puts) in cases {
        let barrier = std::sync::Arc::new(tokio::sync::Barrier::new(TOGETHER));
        let (server, store) = store(move |request| match wrong(request) {
            true => Reply::Together(std::sync::Arc::clone(&barrier), refusal.clone()),
            false => willing(request),
        })
        .await;
        let bytes = content(300_000);
        let sum: [u8; 32] = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
        let work = (0..TOGETHER).map(|nth| {
            let (store, key) = (store.clone(), key());
            let (body, put) = match nth % 2 {
                0 => (bytes.clone().into(), PutOptions::default()),
                _ => (streamed(&bytes, 100_000), PutOptions::default().sha256(sum)),
            };
            async move {
                match puts {
                    true => store.put_opts(&key, body, put).await.map(drop),
                    false => store.delete(&key).await,
                }
            }
        });
        bounded(futures_util::future::try_join_all(work))
            .await
            .unwrap();
        assert_eq!(server.take_requests().len(), 2 * TOGETHER);
    }
}

#[derive(Clone, Debug, Default)]
struct Vault(std::sync::Arc<AtomicUsize>);

impl CredentialProvider for Vault {
    fn credentials(
        &self,
    ) -> futures_util::future::BoxFuture<'_, Result<Credentials, storehouse_objectstore::BoxError>>
    {
        let nth = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(Credentials::new(format!("key-{nth}"), SECRET)) })
    }
}

/// The server says that the keys have expired: the provider is asked for others, once, and the
/// request sent again, also a HEAD, which is not told why.
#[tokio::test]
async fn expired_keys_are_renewed() {
    let server = Scripted::start(|request| {
        let old =
            request.head.contains("Credential=key-0/") && request.head.contains("/bucket/object");
        match (old, request.is("HEAD", "/bucket/object")) {
            (true, true) => {
                Reply::Answer("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".into())
            }
            (true, false) => error("400 Bad Request", "ExpiredToken"),
            (false, true) => {
                Reply::Answer("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 7\r\n\r\n".into())
            }
            (false, false) if request.is("GET", "/bucket/object") => answer(
                "206 Partial",
                "etag: \"1\"\r\ncontent-range: bytes 0-0/7\r\n",
                "c",
            ),
            (false, false) => willing(request),
        }
    })
    .await;
    for head in [true, false] {
        let vault = Vault::default();
        let options = with(options(&server.endpoint), |o| {
            o.credentials = None;
            o.provider = Some(SharedCredentials::new(vault.clone()));
        });
        let store = open(options).await.unwrap();
        if head {
            assert_eq!(bounded(store.head(&key())).await.unwrap().size, 7);
        } else {
            bounded(store.put_opts(&key(), "x".into(), PutOptions::default()))
                .await
                .unwrap();
        }
        assert_eq!(vault.0.load(Ordering::SeqCst), 2);
    }
    // Keys that are fixed cannot be renewed, and it is said that they have expired.
    let fixed = Scripted::start(|_| error("400 Bad Request", "ExpiredToken")).await;
    let error = open(options(&fixed.endpoint)).await.unwrap_err();
    assert_setting(&error, "session_token", "ExpiredToken");
    assert_eq!(fixed.take_requests().len(), 1);
}
