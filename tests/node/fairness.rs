//! One client that takes all it can, and another one.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::support::{Answer, Node, assert_error, noise, send, sha};

const OTHER: [u8; 4] = [127, 0, 0, 2];

/// This process's limit of open files, raised as far as it goes.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Sends a request from another address; the answer must come within a second.
#[track_caller]
fn at_once(node: &Node, head: &str, body: &[u8]) -> Answer {
    let start = Instant::now();
    let mut stream = node.connect_from(OTHER);
    send(&mut stream, head, body);
    let answer = Answer::read(&mut stream, false);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    answer
}

fn slow_upload(node: &Node, seed: u64) -> TcpStream {
    let bytes = noise(100_000, seed);
    let mut stream = node.connect();
    send(
        &mut stream,
        &format!(
            "PUT /blobs/{} HTTP/1.1\r\nContent-Length: 100000",
            sha(&bytes)
        ),
        &bytes[..1000],
    );
    stream
}

#[test]
fn thousands_of_idle_connections_and_slow_uploads_of_one_client() {
    raise_file_limit();
    let node = Node::start(&[]);
    let uploads: Vec<_> = (0..64).map(|seed| slow_upload(&node, seed)).collect();
    let idle: Vec<_> = (0..4096).map(|_| node.connect()).collect();
    let bytes = noise(1000, 1000);
    let path = format!("/blobs/{}", sha(&bytes));
    assert_eq!(at_once(&node, "GET /health HTTP/1.1", b"").status, 200);
    let put = format!("PUT {path} HTTP/1.1\r\nContent-Length: 1000");
    assert_eq!(at_once(&node, &put, &bytes).status, 201);
    assert_eq!(
        at_once(&node, &format!("GET {path} HTTP/1.1"), b"").body,
        bytes
    );
    drop((uploads, idle));
}

#[test]
fn more_connections_than_a_client_may_have() {
    let node = Node::start(&["--max-connections-per-client", "2"]);
    let held = [node.connect(), node.connect()];
    let refused = node.get("/health");
    assert_error(&refused, 503, "busy");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(at_once(&node, "GET /health HTTP/1.1", b"").status, 200);
    drop(held);
    // They come free when the node has seen that they are gone.
    let until = Instant::now() + Duration::from_secs(30);
    while node.get("/health").status != 200 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn one_client_has_its_share_of_record_requests() {
    let node = Node::start(&["--max-record-requests", "8"]);
    let head = "POST /allocations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9";
    let mut slow = node.connect();
    send(&mut slow, head, b"");
    // The next one of the same client waits behind it, and one of another does not.
    std::thread::sleep(Duration::from_millis(200));
    let mut waiting = node.connect();
    send(&mut waiting, head, b"[1, 2, 3]");
    waiting
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(waiting.peek(&mut [0]).is_err());
    assert_error(&at_once(&node, head, b"[1, 2, 3]"), 400, "invalid_record");
    // Reading counts as well.
    let cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";
    let paths = [format!("/claims/{cid}"), format!("/receipts?ran={cid}")];
    let reading = paths.map(|path| {
        let head = format!("GET {path} HTTP/1.1");
        let mut reading = node.connect();
        send(&mut reading, &head, b"");
        reading
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        assert!(reading.peek(&mut [0]).is_err());
        assert_error(&at_once(&node, &head, b""), 404, "not_found");
        reading
    });
    slow.write_all(b"[1, 2, 3]").unwrap();
    assert_error(&Answer::read(&mut slow, false), 400, "invalid_record");
    waiting.set_read_timeout(None).unwrap();
    assert_error(&Answer::read(&mut waiting, false), 400, "invalid_record");
    for mut reading in reading {
        reading.set_read_timeout(None).unwrap();
        assert_error(&Answer::read(&mut reading, false), 404, "not_found");
    }
}

#[test]
fn an_upload_that_never_stops_but_is_slow() {
    let node = Node::start(&["--body-timeout", "1", "--min-upload-rate", "1000000"]);
    let bytes = noise(4_000_000, 1);
    let mut stream = node.connect();
    let head = format!(
        "PUT /blobs/{} HTTP/1.1\r\nContent-Length: 4000000",
        sha(&bytes)
    );
    send(&mut stream, &head, b"");
    // 160 kB a second: enough for each moment, and not over the whole.
    for piece in bytes.chunks(16 << 10) {
        if stream.write_all(piece).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
    }
    let answer = Answer::read(&mut stream, false);
    assert_error(&answer, 408, "body_timeout");
    assert!(answer.text().contains("1000000"), "{}", answer.text());
    node.assert_empty();
    // The same bytes at their own speed are taken.
    assert_eq!(
        node.put(&format!("/blobs/{}", sha(&bytes)), &bytes).status,
        201
    );
}

#[test]
fn descriptors_stay_for_the_stores() {
    raise_file_limit();
    let node = Node::start_with_few_files(300, &["--max-connections-per-client", "4096"]);
    node.wait_for_log("the limit of open files is 300");
    let idle: Vec<_> = (0..400).map(|_| node.connect()).collect();
    std::thread::sleep(Duration::from_millis(500));
    drop(idle);
    // What waited is served, and stores have files: nothing failed for want of one.
    let digest = node.store(&noise(100_000, 1));
    assert_eq!(node.get(&format!("/blobs/{digest}")).status, 200);
    assert!(!node.log().contains("oo many open files"), "{}", node.log());
}
