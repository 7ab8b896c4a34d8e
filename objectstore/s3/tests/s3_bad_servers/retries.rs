//! What is sent again, and what is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

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

/// Every second answer to a request, the first included, is the failure.
fn every_other(
    failure: Reply,
    good: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request) -> Reply {
    let count = AtomicUsize::new(0);
    move |request| match count.fetch_add(1, Ordering::SeqCst) % 2 {
        0 => failure.clone(),
        _ => good(request),
    }
}

fn late_errors() -> Vec<Reply> {
    let late = |code: &str| {
        answer(
            "200 OK",
            "",
            &format!("  <Error><Code>{code}</Code><Message>late</Message></Error>"),
        )
    };
    vec![
        late("InternalError"),
        late("SlowDown"),
        late("ServiceUnavailable"),
    ]
}

/// The probes are tried again as well, and so is the look at the bucket.
#[tokio::test]
async fn opening_survives_a_server_that_fails_at_every_second_request() {
    for failure in [
        error("503 Slow Down", "SlowDown"),
        error("500 Oops", "InternalError"),
        Reply::Cut(0, String::new()),
    ]
    .into_iter()
    .chain(late_errors())
    {
        let server = Scripted::start(every_other(failure, willing)).await;
        // Three probes run at once, and may get each other's bad answers.
        let options = with(options(&server.endpoint), |o| o.max_attempts = 12);
        let store = open(options).await.unwrap();
        store.health().await.unwrap();
    }
}

/// A good status with an `<Error>`, and answers that are cut off in the middle, wherever XML or
/// nothing is expected.
#[tokio::test]
async fn errors_in_good_answers_and_answers_cut_off_are_tried_again() {
    let good = |request: &Request| match request.head.split(' ').next().unwrap() {
        "POST" if request.asks("uploads=") => answer(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        "POST" if request.asks("uploadId=") => answer(
            "200 OK",
            "",
            "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>",
        ),
        "POST" => answer(
            "200 OK",
            "",
            "<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key></Deleted></DeleteResult>",
        ),
        _ => willing(request),
    };
    let cut = text("200 OK", "", &"<ListBucketResult>".repeat(100))[..500].to_owned();
    for failure in late_errors().into_iter().chain([Reply::Cut(0, cut)]) {
        let server = Scripted::start(every_other(failure, good)).await;
        let store = open(with(options(&server.endpoint), |o| o.max_attempts = 12))
            .await
            .unwrap();
        let source = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 6 << 20]))]);
        let put = PutOptions::default().size(6 << 20);
        let put = bounded(store.put_opts(&key(), Body::from_stream(source), put))
            .await
            .unwrap();
        assert_eq!(put.etag.as_str(), "\"x-2\"");
        let keys = ["a", "b"].map(|name| Key::new(name).unwrap());
        let gone: Vec<_> = bounded(store.delete_many(stream::iter(keys).boxed()).try_collect())
            .await
            .unwrap();
        assert_eq!(gone.len(), 2);
        let listed: Vec<_> = bounded(store.list(ListOptions::default()).try_collect())
            .await
            .unwrap();
        assert!(listed.is_empty());
        bounded(store.delete(&key())).await.unwrap();
    }
}

/// The server closes a connection that was kept just when the next request comes.
#[tokio::test]
async fn a_kept_connection_that_was_closed_is_no_failure() {
    let count = AtomicUsize::new(0);
    let (_server, store) = store(
        move |request| match count.fetch_add(1, Ordering::SeqCst) % 2 {
            1 => Reply::Cut(0, String::new()),
            _ => willing(request),
        },
    )
    .await;
    for _ in 0..5 {
        bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    let busy = |after: &str| {
        answer(
            "503 Slow Down",
            &format!("retry-after: {after}\r\n"),
            "<Error><Code>SlowDown</Code></Error>",
        )
    };
    let (server, waiting) = store(every_other(busy("1"), willing)).await;
    let start = std::time::Instant::now();
    bounded(waiting.put_opts(&key(), "content".into(), PutOptions::default()))
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.take_requests().len(), 2);
    // Longer than the budget: it is not waited for.
    let (server, refused) = store(every_other(busy("3600"), willing)).await;
    let error = bounded(refused.put_opts(&key(), "content".into(), PutOptions::default()))
        .await
        .unwrap_err();
    assert_transient(&error, Operation::Put, "SlowDown");
    assert_eq!(server.take_requests().len(), 1);
}

#[tokio::test]
async fn the_budget_ends_it() {
    let server = Scripted::start(|request| match request.is("GET", "/bucket/object") {
        true => error("503 Slow Down", "SlowDown"),
        false => willing(request),
    })
    .await;
    let options = with(options(&server.endpoint), |o| {
        o.max_attempts = u32::MAX;
        o.retry_budget = Duration::from_millis(300);
        o.retry_backoff = Duration::from_millis(20);
    });
    let store = open(options).await.unwrap();
    let start = std::time::Instant::now();
    bounded(store.get(&key())).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(server.take_requests().len() > 3);
}

/// Keys that a bulk delete kept are asked for again within its budget.
#[tokio::test]
async fn a_bulk_delete_has_one_budget() {
    let kept = "<DeleteResult><Error><Key>a</Key><Code>InternalError</Code></Error><Deleted><Key>b</Key></Deleted></DeleteResult>";
    let count = AtomicUsize::new(0);
    let server = Scripted::start(move |request| match request.is("POST", "/bucket") {
        true => match count.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Later(Duration::from_millis(1900), text("200 OK", "", kept)),
            _ => error("503 Slow Down", "SlowDown"),
        },
        false => willing(request),
    })
    .await;
    let options = with(options(&server.endpoint), |o| {
        o.max_attempts = u32::MAX;
        o.retry_budget = Duration::from_secs(2);
        o.stall_timeout = Duration::from_secs(10);
    });
    let store = open(options).await.unwrap();
    let start = std::time::Instant::now();
    let keys = ["a", "b"].map(|name| Key::new(name).unwrap());
    let gone: Vec<_> = store
        .delete_many(stream::iter(keys).boxed())
        .collect()
        .await;
    assert!(
        start.elapsed() < Duration::from_millis(2400),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(gone.iter().filter(|key| key.is_ok()).count(), 1, "{gone:?}");
}

/// Whatever is there under a key that names the content is that content.
#[tokio::test]
async fn a_create_of_content_under_its_own_name_is_tried_again() {
    let put = PutOptions::default().mode(PutMode::Create);
    for (addressed, tries) in [(true, 2), (false, 1)] {
        let count = AtomicUsize::new(0);
        let server = Scripted::start(move |request| match request.is("PUT", "/bucket/object") {
            true => match count.fetch_add(1, Ordering::SeqCst) {
                // It was stored, but the answer is lost.
                0 => Reply::Cut(0, String::new()),
                _ => error("412 Precondition Failed", "PreconditionFailed"),
            },
            false
                if request.header("if-none-match").is_some()
                    && request.header("if-match").is_none() =>
            {
                error("412 Precondition Failed", "PreconditionFailed")
            }
            false => willing(request),
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        assert!(store.capabilities().create);
        server.take_requests();
        let options = put.clone().content_addressed(addressed);
        let error = bounded(store.put_opts(&key(), "content".into(), options))
            .await
            .unwrap_err();
        assert_eq!(error.is_already_exists(), addressed, "{error}");
        assert_eq!(server.take_requests().len(), tries);
    }
}

/// The answer to a completion is lost, and the next attempt finds no upload: the object is there.
#[tokio::test]
async fn a_completion_whose_answer_was_lost_is_found() {
    let parts = "\"0cc175b9c0f1b6a831c399e269772661\"";
    for (tag, stored) in [("\"another-2\"".to_owned(), false), (joint_tag(2), true)] {
        let count = AtomicUsize::new(0);
        let (_server, store) = store(move |request| match request.head.split(' ').next().unwrap() {
            "POST" if request.asks("uploads=") => answer("200 OK", "", "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
            "POST" => match count.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::Cut(0, String::new()),
                _ => error("404 Not Found", "NoSuchUpload"),
            },
            "HEAD" => Reply::Answer(format!("HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {}\r\n\r\n", 6 << 20)),
            "PUT" => answer("200 OK", &format!("etag: {parts}\r\n"), ""),
            _ => answer("204 No Content", "", ""),
        })
        .await;
        let source = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 6 << 20]))]);
        let put = PutOptions::default().size(6 << 20);
        let result = bounded(store.put_opts(&key(), Body::from_stream(source), put)).await;
        match result {
            Ok(put) => assert!(stored && put.etag.as_str() == joint_tag(2)),
            Err(error) => assert!(
                !stored && error.to_string().contains("may be stored or not"),
                "{error}"
            ),
        }
    }
}

/// The tag that S3 gives `parts` parts with the MD5 of "a": the MD5 of those MD5s.
fn joint_tag(parts: usize) -> String {
    use md5::{Digest, Md5};
    let sum: Vec<u8> = std::iter::repeat_n(Md5::digest(b"a"), parts)
        .flatten()
        .collect();
    let hex: String = Md5::digest(sum)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}-{parts}\"")
}
