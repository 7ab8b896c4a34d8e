//! Bodies that stream to servers that fail meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

const INITIATED: &str =
    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";

const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>";

fn is_probe(request: &Request) -> bool {
    request.head.contains("/bucket/.storehouse-probe-")
}

fn has_trailer(request: &Request) -> bool {
    request.header("x-amz-trailer").is_some()
}

/// A server that honours conditions and takes what streams, but for what `special` says.
async fn streaming(
    change: impl Fn(&mut S3Options),
    special: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> (Scripted, S3) {
    let probed = AtomicUsize::new(0);
    let server = Scripted::start(move |request| {
        if let Some(reply) = special(request) {
            return reply;
        }
        let conditional = request.header("if-none-match").is_some();
        match request.head.split(' ').next().unwrap() {
            "HEAD" => {
                let size = "written by a storehouse that was opened, and removed at once".len();
                Reply::Answer(format!(
                    "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: {size}\r\n\r\n"
                ))
            }
            "POST" if request.asks("uploads=") => answer("200 OK", "", INITIATED),
            "POST" => answer("200 OK", "", COMPLETED),
            "PUT" if is_probe(request) && conditional => {
                match probed.fetch_add(1, Ordering::SeqCst) {
                    0 => willing(request),
                    _ => error("412 Precondition Failed", "PreconditionFailed"),
                }
            }
            _ => willing(request),
        }
    })
    .await;
    let store = open(with(options(&server.endpoint), change)).await.unwrap();
    server.take_requests();
    (server, store)
}

async fn create_stream(store: &S3) -> Result<(), Error> {
    let size = 6 << 20;
    let put = PutOptions::default().mode(PutMode::Create).size(size);
    let body = streamed(&content(6 << 20), 100_000);
    bounded(store.put_opts(&key(), body, put)).await.map(drop)
}

/// Whether the server takes a checksum after a body is asked by the rule of all requests, and a
/// failure that passes is no answer to it.
#[tokio::test]
async fn a_passing_failure_is_no_word_on_trailers() {
    let early = |status: &str| Reply::Early(text(status, "", ""));
    for (failure, times, fails) in [
        (error("503 Slow Down", "SlowDown"), 1, false),
        (error("503 Slow Down", "SlowDown"), 3, true),
        (Reply::Cut(0, String::new()), 1, false),
        (early("503 Oops"), 1, false),
        (early("417 Expectation Failed"), 1, false),
        (early("307 Temporary Redirect"), 1, true),
        (error("400 Bad Request", "ExpiredToken"), 1, true),
    ] {
        let failures = AtomicUsize::new(0);
        let (server, store) = streaming(
            |_| {},
            move |request| {
                let fails = is_probe(request)
                    && has_trailer(request)
                    && failures.fetch_add(1, Ordering::SeqCst) < times;
                fails.then(|| failure.clone())
            },
        )
        .await;
        if fails {
            create_stream(&store).await.unwrap_err();
        }
        create_stream(&store).await.unwrap();
        let requests = server.take_requests();
        let put = requests.iter().rfind(|r| r.is("PUT", "/bucket/object"));
        assert!(has_trailer(put.unwrap()), "{put:?}");
    }
}

/// A server that does not know them gets none, and is asked once.
#[tokio::test]
async fn a_server_without_trailers_is_asked_once() {
    let (server, store) = streaming(
        |_| {},
        |request| {
            let unknown = is_probe(request) && has_trailer(request);
            unknown.then(|| error("501 Not Implemented", "NotImplemented"))
        },
    )
    .await;
    for asked in [1, 0] {
        create_stream(&store).await.unwrap();
        let requests = server.take_requests();
        assert_eq!(requests.iter().filter(|r| has_trailer(r)).count(), asked);
    }
}

/// A part that streams is sent again while nothing of it was asked for, and only then.
#[tokio::test]
async fn a_streamed_part_that_was_not_asked_for_is_sent_again() {
    let Reply::Answer(slow) = error("503 Slow Down", "SlowDown") else {
        unreachable!()
    };
    for (failure, recovers) in [
        (Reply::Early(slow.clone()), true),
        (Reply::Early(text("417 Expectation Failed", "", "")), true),
        (
            Reply::Early(text("307 Go", "location: /bucket/object?hop=1\r\n", "")),
            true,
        ),
        (Reply::Cut(1 << 20, slow), false),
    ] {
        let failures = Arc::new(AtomicUsize::new(0));
        let failed = Arc::clone(&failures);
        let streams = |o: &mut S3Options| o.part_memory = 1 << 20;
        let (server, store) = streaming(streams, move |request| {
            let fails = request.asks("partNumber=2") && failed.fetch_add(1, Ordering::SeqCst) < 1;
            fails.then(|| failure.clone())
        })
        .await;
        // In one piece: what belongs to the second part was taken from the source with the first.
        let source = stream::iter([Ok::<_, std::io::Error>(content(11 << 20))]);
        let put = PutOptions::default().size(11 << 20);
        let key = key();
        let put = store.put_opts(&key, Body::from_stream(source), put);
        assert_eq!(bounded(put).await.is_ok(), recovers);
        assert!(failures.load(Ordering::SeqCst) > 0);
        let parts = server.take_requests();
        let parts = parts.iter().filter(|r| r.is("PUT", "/bucket/object"));
        assert_eq!(parts.count(), if recovers { 4 } else { 2 });
    }
}
