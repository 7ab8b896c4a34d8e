//! Gets that break or give something else.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

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
                source: Some(_),
                key: _,
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
        // Another range, a range of nothing, one that is none.
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

/// The server's end of a connection that breaks, and of the one that follows.
fn breaking(
    second: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Request) -> Reply {
    let count = AtomicUsize::new(0);
    move |request| {
        let body = text_of(1_000_000);
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            let head = "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 1000000\r\n\r\n";
            return Reply::Cut(0, format!("{head}{}", &body[..500_000]));
        }
        second(request)
    }
}

fn text_of(len: usize) -> String {
    (0..len)
        .map(|i| char::from(b'a' + (i / 7 % 26) as u8))
        .collect()
}

#[tokio::test]
async fn a_get_that_breaks_goes_on_where_it_stopped() {
    let (server, store) = store(breaking(|request| {
        let body = text_of(1_000_000);
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: bytes 500000-999999/1000000\r\n",
            &body[request_start(request)..],
        )
    }))
    .await;
    let object = bounded(store.get(&key())).await.unwrap();
    let body = bounded(object.body.collect(u64::MAX)).await.unwrap();
    assert!(body == text_of(1_000_000));
    let requests = server.take_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("range"), Some("bytes=500000-999999"));
    assert_eq!(requests[1].header("if-match"), Some("\"1\""));
}

fn request_start(request: &Request) -> usize {
    let range = request.header("range").unwrap();
    let range = range.strip_prefix("bytes=").unwrap();
    range.split('-').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_get_that_breaks_again_and_again_comes_to_an_end() {
    // Each attempt brings a little, but less than a piece: they count together.
    let (server, store) = store(breaking(|request| {
        let start = request_start(request);
        let body = text_of(1_000_000);
        let head = format!(
            "HTTP/1.1 206 Partial\r\netag: \"1\"\r\ncontent-range: bytes {start}-999999/1000000\r\ncontent-length: {}\r\n\r\n",
            1_000_000 - start
        );
        Reply::Cut(0, format!("{head}{}", &body[start..start + 10]))
    }))
    .await;
    let object = bounded(store.get(&key())).await.unwrap();
    let error = bounded(object.body.collect(u64::MAX)).await.unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
    assert_eq!(server.take_requests().len(), 3);
}

#[tokio::test]
async fn an_object_that_changed_meanwhile_is_not_patched_together() {
    for reply in [
        error("412 Precondition Failed", "PreconditionFailed"),
        error("404 Not Found", "NoSuchKey"),
        error("416 Range", "InvalidRange"),
        answer(
            "206 Partial",
            "etag: \"2\"\r\ncontent-range: bytes 500000-999999/1000000\r\n",
            &text_of(500_000),
        ),
        answer(
            "206 Partial",
            "etag: \"1\"\r\ncontent-range: bytes 500000-999999/1000001\r\n",
            &text_of(500_000),
        ),
    ] {
        let (_server, store) = store(breaking(move |_| reply.clone())).await;
        let object = bounded(store.get(&key())).await.unwrap();
        let error = bounded(object.body.collect(u64::MAX)).await.unwrap_err();
        assert!(error.to_string().contains("was replaced"), "{error}");
    }
}

#[tokio::test]
async fn legal_answers_in_other_forms() {
    let chunked = "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n";
    for (range, head, body, etag) in [
        (
            None,
            "etag: \"1\"\r\ntransfer-encoding: chunked\r\n",
            chunked,
            "\"1\"",
        ),
        (
            None,
            "etag: W/\"1\"\r\ncontent-length: 10\r\n",
            "0123456789",
            "W/\"1\"",
        ),
        (
            None,
            "etag: 1\r\ncontent-length: 10\r\n",
            "0123456789",
            "\"1\"",
        ),
        // Gateways over files have no tags, and other dates.
        (
            None,
            "content-length: 10\r\nlast-modified: Sunday, 06-Nov-94 08:49:37 GMT\r\n",
            "0123456789",
            "",
        ),
        (
            None,
            "content-length: 10\r\ncontent-encoding: aws-chunked\r\n",
            "0123456789",
            "",
        ),
        (
            Some(2..5),
            "content-range: bytes 2-4/*\r\ncontent-length: 3\r\n",
            "234",
            "",
        ),
        (
            Some(2..5),
            "content-range: bytes 2-4/10\r\ntransfer-encoding: chunked\r\n",
            "3\r\n234\r\n0\r\n\r\n",
            "",
        ),
    ] {
        let status = if range.is_some() {
            "206 Partial"
        } else {
            "200 OK"
        };
        let reply = format!("HTTP/1.1 {status}\r\n{head}\r\n{body}");
        let tag = head
            .lines()
            .find(|line| line.starts_with("etag"))
            .map(str::to_owned);
        let date = head
            .lines()
            .find(|line| line.starts_with("last"))
            .map(str::to_owned);
        let (_server, store) = store(move |request| match request.is("HEAD", "/bucket/object") {
            true => {
                let lines: String = [&tag, &date]
                    .into_iter()
                    .flatten()
                    .map(|line| format!("{line}\r\n"))
                    .collect();
                Reply::Answer(format!(
                    "HTTP/1.1 200 OK\r\n{lines}content-length: 10\r\n\r\n"
                ))
            }
            false => Reply::Answer(reply.clone()),
        })
        .await;
        let options = match range.clone() {
            Some(range) => GetOptions::default().range(range),
            None => GetOptions::default(),
        };
        let object = bounded(store.get_opts(&key(), options)).await.unwrap();
        assert_eq!(
            (object.size(), object.metadata.etag.as_str()),
            (10, etag),
            "{head}"
        );
        let body = bounded(object.body.collect(100)).await.unwrap();
        assert_eq!(
            body,
            if range.is_some() { "234" } else { "0123456789" },
            "{head}"
        );
        assert_eq!(bounded(store.head(&key())).await.unwrap().size, 10);
    }
}

/// A HEAD without a size is asked in another way, and an empty object has no first byte.
#[tokio::test]
async fn a_head_without_a_size() {
    for (reply, size) in [
        (
            answer("206 Partial", "content-range: bytes 0-0/10\r\n", "0"),
            10,
        ),
        (answer("200 OK", "", "0123456789"), 10),
        (answer("416 Range", "content-range: bytes */0\r\n", ""), 0),
        (error("416 Range", "InvalidRange"), 0),
    ] {
        let (_server, store) = store(move |request| match request.is("HEAD", "/bucket/object") {
            true => Reply::Answer("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".into()),
            false => reply.clone(),
        })
        .await;
        assert_eq!(bounded(store.head(&key())).await.unwrap().size, size);
    }
}

#[tokio::test]
async fn a_body_in_another_coding_is_refused_by_name() {
    let (server, store) = store(|_| {
        answer(
            "200 OK",
            "etag: \"1\"\r\ncontent-encoding: gzip\r\n",
            "0123456789",
        )
    })
    .await;
    for error in [
        bounded(store.get(&key())).await.unwrap_err(),
        bounded(store.head(&key())).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("Content-Encoding") && text.contains("gzip"),
            "{text}"
        );
    }
    for request in server.take_requests() {
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        assert!(!request.head.contains("SignedHeaders=accept-encoding"));
    }
}

#[tokio::test]
async fn it_gives_more_than_it_said() {
    let (_server, store) = store(|_| {
        Reply::Answer("HTTP/1.1 206 Partial\r\netag: \"1\"\r\ncontent-range: bytes 2-4/10\r\ntransfer-encoding: chunked\r\n\r\n6\r\n234567\r\n0\r\n\r\n".into())
    })
    .await;
    let object = bounded(store.get_opts(&key(), GetOptions::default().range(2..5)))
        .await
        .unwrap();
    let error = bounded(object.body.collect(100)).await.unwrap_err();
    assert!(error.to_string().contains("more bytes"), "{error}");
}
