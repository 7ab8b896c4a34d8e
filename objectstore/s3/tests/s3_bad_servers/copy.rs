//! Copies on servers that make none, or not as they should.

use std::sync::atomic::{AtomicUsize, Ordering};

use storehouse_objectstore::CopyOptions;

use crate::*;

const COPIED: &str = "<CopyObjectResult><ETag>\"2\"</ETag></CopyObjectResult>";

fn is_copy(request: &Request) -> bool {
    request.header("x-amz-copy-source").is_some()
}

fn of_object(request: &Request) -> bool {
    is_copy(request) && request.is("PUT", "/bucket/copied")
}

/// A server with one object of this size, which answers to copies as `copies` says.
async fn copying(
    size: u64,
    copies: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scripted, S3) {
    let server = Scripted::start(move |request| match request.head.split(' ').next() {
        Some("HEAD") => Reply::Answer(format!(
            "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: {size}\r\n\r\n"
        )),
        Some("GET") if request.is("GET", "/bucket/object") => {
            answer("200 OK", "etag: \"1\"\r\n", "content")
        }
        Some("PUT") if is_copy(request) => copies(request),
        _ => willing(request),
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    (server, store)
}

async fn copy(store: &S3) -> Result<String, Error> {
    let (from, to) = (key(), Key::new("copied").unwrap());
    let copied = store.copy_opts(&from, &to, CopyOptions::default());
    Ok(bounded(copied).await?.etag.as_str().to_owned())
}

/// A server that does not know the header of a copy would empty the destination: whether it does is
/// tried elsewhere, once, and the bytes then pass through here.
#[tokio::test]
async fn a_server_that_does_not_copy_empties_nothing() {
    for reply in [
        // A put of nothing.
        answer("200 OK", "etag: \"1\"\r\n", ""),
        error("501 Not Implemented", "NotImplemented"),
        error("400 Bad Request", "InvalidRequest"),
        error("405 Method Not Allowed", "MethodNotAllowed"),
        error("403 Forbidden", "SignatureDoesNotMatch"),
    ] {
        let (server, store) = copying(7, move |_| reply.clone()).await;
        for tried in [1, 0] {
            assert_eq!(copy(&store).await.unwrap(), "\"1\"");
            let requests = server.take_requests();
            assert_eq!(requests.iter().filter(|r| is_copy(r)).count(), tried);
            assert!(!requests.iter().any(of_object));
            let mut puts = requests.iter().filter(|r| r.is("PUT", "/bucket/copied"));
            assert!(puts.all(|put| put.header("content-length") == Some("7")));
            // What was tried is removed.
            let probes = |method: &str| {
                let lines = requests.iter().map(|r| r.head.lines().next().unwrap());
                lines
                    .filter(|line| line.starts_with(method) && line.contains("-probe-"))
                    .count()
            };
            assert_eq!(probes("PUT"), probes("DELETE"));
        }
    }
}

/// It copies, but not this object: its bytes pass through here.
#[tokio::test]
async fn a_copy_that_is_refused_is_made_here() {
    for status in [
        "400 Bad Request",
        "405 Method Not Allowed",
        "501 Not Implemented",
    ] {
        let (_server, store) = copying(7, move |request| match of_object(request) {
            true => error(status, "InvalidRequest"),
            false => answer("200 OK", "", COPIED),
        })
        .await;
        assert_eq!(copy(&store).await.unwrap(), "\"1\"");
    }
}

/// A failure that passes is no word on whether the server copies.
#[tokio::test]
async fn a_passing_failure_of_a_copy_is_tried_again() {
    for (failures, succeeds) in [(2, true), (3, false)] {
        let count = AtomicUsize::new(0);
        let (server, store) = copying(7, move |_| {
            match count.fetch_add(1, Ordering::SeqCst) < failures {
                true => error("503 Slow Down", "SlowDown"),
                false => answer("200 OK", "", COPIED),
            }
        })
        .await;
        assert_eq!(copy(&store).await.is_ok(), succeeds);
        assert_eq!(copy(&store).await.unwrap(), "\"2\"");
        assert!(
            !server
                .take_requests()
                .iter()
                .any(|r| r.is("GET", "/bucket/object"))
        );
    }
}

/// A source that is replaced all the time: the options say how often the copy begins anew.
#[tokio::test]
async fn a_source_that_changes_is_copied_within_the_limits() {
    let (server, store) = copying(7, |request| match of_object(request) {
        true => error("412 Precondition Failed", "PreconditionFailed"),
        false => answer("200 OK", "", COPIED),
    })
    .await;
    let error = copy(&store).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let requests = server.take_requests();
    assert_eq!(requests.iter().filter(|r| of_object(r)).count(), 3);
}

/// Servers are silent while they copy: that is waited for as the size wants, and not begun anew.
#[tokio::test]
async fn a_large_copy_is_waited_for() {
    let (server, store) = copying(40 << 20, |request| match of_object(request) {
        true => Reply::Later(Duration::from_millis(1500), text("200 OK", "", COPIED)),
        false => answer("200 OK", "", COPIED),
    })
    .await;
    assert_eq!(copy(&store).await.unwrap(), "\"2\"");
    let requests = server.take_requests();
    assert_eq!(requests.iter().filter(|r| of_object(r)).count(), 1);
}
