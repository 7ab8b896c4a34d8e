//! Clients that take their time, and disks that fill.

use std::io::{BufReader, Read, Write};

use crate::support::{Answer, Node, assert_error, noise, send, sha};

#[test]
fn a_head_that_does_not_end() {
    let node = Node::start(&["--header-timeout", "1"]);
    let mut stream = node.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    // A header a moment, for ever: the whole head is what has a time.
    let ended = (0..600).any(|n| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        stream
            .write_all(format!("X-{n}: a\r\n").as_bytes())
            .is_err()
    });
    assert!(ended, "the connection stays open for ever");
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn a_body_that_stops_or_trickles() {
    let node = Node::start(&["--body-timeout", "1"]);
    let bytes = noise(100_000, 1);
    let head = format!(
        "PUT /blobs/{} HTTP/1.1\r\nContent-Length: 100000",
        sha(&bytes)
    );

    let mut stream = node.connect();
    send(&mut stream, &head, &bytes[..50_000]);
    let answer = Answer::read(&mut stream, false);
    assert_error(&answer, 408, "body_timeout");
    assert_eq!(answer.header("connection"), Some("close"));

    let mut stream = node.connect();
    send(&mut stream, &head, b"");
    for byte in &bytes {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        stream.set_nonblocking(true).unwrap();
        let answered = stream.peek(&mut [0]).is_ok();
        stream.set_nonblocking(false).unwrap();
        if answered {
            break;
        }
    }
    assert_error(&Answer::read(&mut stream, false), 408, "body_timeout");
    node.assert_empty();
}

#[test]
fn a_slow_reader_gets_its_bytes_and_one_that_stops_is_cut_off() {
    let node = Node::start(&["--write-timeout", "1"]);
    let bytes = noise(32 << 20, 1);
    let digest = node.store(&bytes);
    let mut stream = node.connect();
    send(&mut stream, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
    let mut reader = BufReader::new(&stream);
    assert_eq!(Answer::read_head(&mut reader).status, 200);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let mut got = Vec::new();
    // What was under way comes, and then an end, or a broken connection.
    let _ = reader.read_to_end(&mut got);
    assert!(
        got.len() < bytes.len() && bytes.starts_with(&got),
        "{} bytes",
        got.len()
    );

    let mut stream = node.connect();
    send(&mut stream, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
    let mut reader = BufReader::with_capacity(1 << 20, &stream);
    assert_eq!(Answer::read_head(&mut reader).status, 200);
    let mut got = vec![0; bytes.len()];
    for piece in got.chunks_mut(2 << 20) {
        reader.read_exact(piece).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(got, bytes);
}

#[test]
fn no_more_connections_than_allowed_at_once() {
    let node = Node::start(&[
        "--max-connections",
        "2",
        "--max-connections-per-client",
        "2",
        "--header-timeout",
        "2",
    ]);
    let (first, second) = (node.connect(), node.connect());
    // The third waits until one of the two is cut off for saying nothing.
    assert_eq!(node.get("/health").status, 200);
    drop((first, second));
}

#[test]
fn a_disk_that_fills() {
    let node = Node::start_with_small_files(1024, &[]);
    let small = noise(500_000, 1);
    let kept = node.store(&small);
    for size in [2 << 20, 20 << 20] {
        let large = noise(size, 2);
        assert_error(
            &node.put(&format!("/blobs/{}", sha(&large)), &large),
            507,
            "no_space",
        );
    }
    // Nothing of it is left, what was there is, and what fits goes in.
    node.assert_no_leftovers();
    assert_eq!(node.listed(), [kept.to_string()]);
    assert_eq!(node.get(&format!("/blobs/{kept}")).body, small);
    node.store(&noise(500_000, 3));
}

#[test]
fn uploads_wait_for_their_turn() {
    let node = Node::start(&["--max-uploads", "1"]);
    let (first, second) = (noise(100_000, 1), noise(100_000, 2));
    let mut slow = node.connect();
    send(
        &mut slow,
        &format!(
            "PUT /blobs/{} HTTP/1.1\r\nContent-Length: 100000",
            sha(&first)
        ),
        &first[..50_000],
    );
    node.wait_for_temporary(true);
    let mut waiting = node.connect();
    send(
        &mut waiting,
        &format!(
            "PUT /blobs/{} HTTP/1.1\r\nContent-Length: 100000",
            sha(&second)
        ),
        &second,
    );
    // Reading does not wait.
    assert_eq!(node.listed(), Vec::<String>::new());
    slow.write_all(&first[50_000..]).unwrap();
    assert_eq!(Answer::read(&mut slow, false).status, 201);
    assert_eq!(Answer::read(&mut waiting, false).status, 201);
    assert_eq!(node.listed().len(), 2);
}

#[test]
fn what_stays_free_of_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("node.toml");
    std::fs::write(&config, "[repo]\nmin_free = \"4 EiB\"\n").unwrap();
    let node = Node::start(&["--config", config.to_str().unwrap()]);
    let start = std::time::Instant::now();
    for seed in 0..50 {
        let bytes = noise(1000, seed);
        let put = node.put(&format!("/blobs/{}", sha(&bytes)), &bytes);
        assert_error(&put, 507, "no_space");
    }
    let seconds = start.elapsed().as_secs() as usize;
    // By the store or by the answer.
    let logged = node.log().matches("repo.min_free").count();
    assert!((1..=seconds + 1).contains(&logged), "{}", node.log());
    let health = node.get("/health");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["low_space"].as_array().unwrap().len(), 7);
    let free = health["free_bytes"]["blobs"].as_u64().unwrap();
    assert!(free > 0);
    let metrics = node.get("/metrics").text();
    assert!(
        metrics.contains("node_free_bytes{store=\"blobs\"}"),
        "{metrics}"
    );
    node.assert_empty();
}
