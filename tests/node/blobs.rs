//! Blobs in and out, as it should be.

use std::io::{BufReader, Read, Write};

use storehouse::local::journal::{FsJournal, Journal};

use crate::support::{Answer, Node, assert_error, noise, send, sha};

/// A node that did not sync before a power cut leaves empty files under the names of blobs.
#[test]
fn an_empty_file_under_a_blobs_name_is_damage_until_a_put_heals_it() {
    let node = Node::start(&[]);
    let bytes = noise(3_000, 5);
    let digest = node.store(&bytes);
    let path = format!("/blobs/{digest}");
    let mut emptied = 0;
    for shard in std::fs::read_dir(node.data_dir().join("pdp/datastore")).unwrap() {
        for file in std::fs::read_dir(shard.unwrap().path())
            .into_iter()
            .flatten()
        {
            let file = file.unwrap().path();
            if file
                .extension()
                .is_some_and(|extension| extension == "data")
            {
                std::fs::write(file, b"").unwrap();
                emptied += 1;
            }
        }
    }
    assert_eq!(emptied, 1);

    for header in ["", "\r\nRange: bytes=0-9", "\r\nRange: bytes=-1"] {
        let got = node.send(&format!("GET {path} HTTP/1.1{header}"), b"");
        assert_error(&got, 500, "damaged");
        assert_eq!(got.header("etag"), None);
    }
    assert_eq!(node.send(&format!("HEAD {path} HTTP/1.1"), b"").status, 500);
    let line = format!("{{\"digest\":\"{digest}\",\"size\":0,\"damaged\":true}}\n");
    assert_eq!(node.get("/blobs").text(), line);
    assert_eq!(node.get(&format!("/blobs?after={digest}")).status, 200);

    assert_eq!(node.put(&path, &bytes).status, 201);
    let got = node.get(&path);
    assert_eq!((got.status, got.body == bytes), (200, true));
}

#[test]
fn a_blobs_life() {
    let node = Node::start(&[]);
    let bytes = noise(300_000, 1);
    let digest = sha(&bytes);
    let path = format!("/blobs/{digest}");

    assert_error(&node.get(&path), 404, "not_found");
    let put = node.put(&path, &bytes);
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.header("location"), Some(path.as_str()));
    assert_eq!(
        put.json(),
        serde_json::json!({ "digest": digest.to_string(), "size": 300_000 })
    );
    assert_eq!(node.put(&path, &bytes).status, 200);

    let got = node.get(&path);
    assert_eq!((got.status, got.body == bytes), (200, true));
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    assert_eq!(got.header("etag"), Some(format!("\"{digest}\"").as_str()));
    assert_eq!(got.header("accept-ranges"), Some("bytes"));
    assert_eq!(
        got.header("cache-control"),
        Some("public, max-age=29030400, immutable")
    );
    assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
    let head = node.send(&format!("HEAD {path} HTTP/1.1"), b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("300000"))
    );

    let range =
        |range: &str| node.send(&format!("GET {path} HTTP/1.1\r\nRange: bytes={range}"), b"");
    for (asked, start, end) in [
        ("0-0", 0, 1),
        ("5-9", 5, 10),
        ("299990-", 299_990, 300_000),
        ("-10", 299_990, 300_000),
        ("299999-900000", 299_999, 300_000),
    ] {
        let part = range(asked);
        assert_eq!(
            (part.status, part.body == bytes[start..end]),
            (206, true),
            "{asked}"
        );
        assert_eq!(
            part.header("content-range"),
            Some(format!("bytes {start}-{}/300000", end - 1).as_str())
        );
    }
    let unsatisfiable = range("300000-");
    assert_eq!(
        (unsatisfiable.status, unsatisfiable.header("content-range")),
        (416, Some("bytes */300000"))
    );
    let cached = node.send(
        &format!("GET {path} HTTP/1.1\r\nIf-None-Match: \"{digest}\""),
        b"",
    );
    assert_eq!((cached.status, cached.body.len()), (304, 0));

    let delete = || node.send(&format!("DELETE {path} HTTP/1.1"), b"").status;
    assert_eq!((delete(), delete()), (204, 204));
    assert_error(&node.get(&path), 404, "not_found");
    node.assert_empty();
}

#[test]
fn digests_in_every_form_that_is_one() {
    let node = Node::start(&[]);
    let bytes = b"hello";
    let hex = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(
        node.put(&format!("/blobs/sha2-256:{hex}"), bytes).status,
        201
    );
    for digest in [
        sha(bytes).to_string(),
        "bciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja".to_owned(),
        format!("f1220{hex}"),
        format!("sha2-256:{}", hex.to_uppercase()),
        format!("sha2-256%3A{hex}"),
        sha(bytes).to_string().replace('z', "%7A"),
    ] {
        assert_eq!(
            node.get(&format!("/blobs/{digest}")).body,
            bytes,
            "{digest}"
        );
    }
    // Other functions, and no bytes at all.
    for function in storehouse::blobstore::HashFunction::ALL {
        let digest = storehouse::blobstore::Digest::of(function, b"");
        assert_eq!(node.put(&format!("/blobs/{digest}"), b"").status, 201);
        let empty = node.get(&format!("/blobs/{digest}"));
        assert_eq!(
            (empty.status, empty.header("content-length")),
            (200, Some("0"))
        );
    }
}

#[test]
fn a_list_in_pages() {
    let node = Node::start(&[]);
    let stored: Vec<_> = (0..40).map(|n| node.store(&noise(n, n as u64))).collect();
    let all = node.listed();
    let mut sorted = (
        all.clone(),
        stored.iter().map(ToString::to_string).collect::<Vec<_>>(),
    );
    sorted.0.sort();
    sorted.1.sort();
    assert_eq!(sorted.0, sorted.1);

    let page = |query: &str| {
        let answer = node.get(&format!("/blobs?{query}"));
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/x-ndjson")),
            "{}",
            answer.text()
        );
        answer
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<serde_json::Value>>()
    };
    let mut paged: Vec<String> = Vec::new();
    loop {
        let after = paged
            .last()
            .map(|last| format!("&after={last}"))
            .unwrap_or_default();
        let lines = page(&format!("limit=7{after}"));
        if lines.is_empty() {
            break;
        }
        for line in lines {
            let digest = line["digest"].as_str().unwrap();
            let size = stored
                .iter()
                .position(|stored| stored.to_string() == digest)
                .unwrap();
            assert_eq!(line["size"], size);
            paged.push(digest.to_owned());
        }
    }
    assert_eq!(paged, all);
    // After one that was never there, or is no more.
    node.send(&format!("DELETE /blobs/{} HTTP/1.1", all[9]), b"");
    assert_eq!(
        page(&format!("after={}&limit=1", all[9]))[0]["digest"],
        all[10].as_str()
    );
    assert_eq!(page("limit=0"), Vec::<serde_json::Value>::new());
    // Keys of this store are in base32, and a sha2-256 begins with the same four characters there.
    assert_eq!(page("prefix=ciq").len(), 39);
    assert_eq!(page("prefix=cir").len(), 0);

    for query in [
        "limit=-1",
        "limit=many",
        "limit=99999999999999999999",
        "order=size",
    ] {
        assert_error(&node.get(&format!("/blobs?{query}")), 400, "invalid_query");
    }
    assert_error(&node.get("/blobs?after=nonsense"), 400, "invalid_digest");
    assert_error(&node.get("/blobs?after=%FF"), 400, "invalid_digest");
}

#[test]
fn one_connection_for_many_requests() {
    let node = Node::start(&[]);
    let mut stream = node.connect();
    for n in 0..20 {
        let bytes = noise(n * 1000, n as u64);
        let digest = sha(&bytes);
        send(
            &mut stream,
            &format!(
                "PUT /blobs/{digest} HTTP/1.1\r\nContent-Length: {}",
                bytes.len()
            ),
            &bytes,
        );
        assert_eq!(Answer::read(&mut stream, false).status, 201);
        send(&mut stream, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
        assert_eq!(Answer::read(&mut stream, false).body, bytes);
        send(&mut stream, "GET /blobs/none HTTP/1.1", b"");
        assert_error(&Answer::read(&mut stream, false), 400, "invalid_digest");
    }
}

#[test]
fn the_body_is_asked_for_only_if_it_is_wanted() {
    let node = Node::start(&["--max-blob-size", "1000000"]);
    let bytes = noise(500_000, 1);
    let digest = sha(&bytes);
    let expecting = |path: &str, length: usize| {
        let mut stream = node.connect();
        send(
            &mut stream,
            &format!("PUT {path} HTTP/1.1\r\nContent-Length: {length}\r\nExpect: 100-continue"),
            b"",
        );
        let answer = Answer::read(&mut stream, false);
        (stream, answer)
    };
    let (mut stream, answer) = expecting(&format!("/blobs/{digest}"), bytes.len());
    assert_eq!(answer.status, 100);
    stream.write_all(&bytes).unwrap();
    assert_eq!(Answer::read(&mut stream, false).status, 201);

    let (_, again) = expecting(&format!("/blobs/{digest}"), bytes.len());
    assert_eq!(
        (again.status, again.header("connection")),
        (200, Some("close"))
    );
    for (path, length, status, code) in [
        (format!("/blobs/{digest}"), 1_000_001, 413, "too_large"),
        ("/blobs/zzz".to_owned(), 1000, 400, "invalid_digest"),
    ] {
        let (mut stream, refused) = expecting(&path, length);
        assert_error(&refused, status, code);
        // The connection ends, and nothing but the answer came.
        assert_eq!(refused.header("connection"), Some("close"));
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    }
}

#[test]
fn other_bytes_under_a_digest_that_is_there() {
    let node = Node::start(&[]);
    let bytes = noise(500_000, 1);
    let (digest, path) = (sha(&bytes), format!("/blobs/{}", sha(&bytes)));
    assert_eq!(node.put(&path, &bytes).status, 201);
    for size in [500_000, 499_999, 500_001, 1, 0] {
        assert_error(&node.put(&path, &noise(size, 2)), 422, "hash_mismatch");
    }
    let mut last = bytes.clone();
    last[499_999] ^= 1;
    assert_error(&node.put(&path, &last), 422, "hash_mismatch");
    assert_eq!(node.put(&path, &bytes).status, 200);
    assert_eq!(node.get(&path).body, bytes);
    // The connection goes on behind a body that was verified.
    let mut stream = node.connect();
    for _ in 0..2 {
        let head = format!("PUT /blobs/{digest} HTTP/1.1\r\nContent-Length: 500000");
        send(&mut stream, &head, &bytes);
        assert_eq!(Answer::read(&mut stream, false).status, 200);
    }
}

#[test]
fn its_health_and_its_greeting() {
    let node = Node::start(&[]);
    let health = node.get("/health");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (200, &"ok".into())
    );
    for store in [
        "blobs",
        "allocations",
        "acceptances",
        "claims",
        "receipts",
        "consolidations",
        "keystore",
        "journal",
    ] {
        assert_eq!(health.json()["stores"][store], "ok", "{store}");
    }
    assert!(
        node.greeting.contains(&format!(
            "curl -T README.md \"http://{}/blobs/sha2-256:",
            node.address
        )),
        "{}",
        node.greeting
    );

    // A store whose directory is gone is down; the others are not.
    std::fs::rename(
        node.data_dir().join("pdp/datastore"),
        node.data_dir().join("pdp/elsewhere"),
    )
    .unwrap();
    let health = node.get("/health");
    assert_eq!(
        (health.status, &health.json()["status"]),
        (503, &"down".into())
    );
    assert_eq!(
        (
            &health.json()["stores"]["blobs"],
            &health.json()["stores"]["receipts"]
        ),
        (&"down".into(), &"ok".into())
    );
    assert!(
        !health.text().contains("datastore"),
        "no paths: {}",
        health.text()
    );
    node.wait_for_log("a store is down");
}

/// A journal with a flipped bit: the node says what it kept of it, in its log and in its health.
#[test]
fn a_damaged_journal_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("data/egress_tracker/journal");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let journal = FsJournal::open(&journal, Default::default()).await.unwrap();
        for n in 0..3 {
            journal.append(noise(1000, n).into()).await.unwrap();
        }
        journal.close().await.unwrap();
    });
    let open = journal.join("egress.car.wip");
    let mut batch = std::fs::read(&open).unwrap();
    let last = batch.len() - 1;
    batch[last] ^= 1;
    std::fs::write(&open, &batch).unwrap();

    let node = Node::again(dir.into(), &[]);
    let health = node.get("/health");
    let aside = &health.json()["journal_recovery"]["set_aside"];
    assert_eq!(
        aside["file"],
        "egress.car.wip.damaged-1",
        "{}",
        health.text()
    );
    assert_eq!(aside["kept_frames"], 2, "{}", health.text());
    assert!(
        !health.text().contains("egress_tracker"),
        "no paths: {}",
        health.text()
    );
    node.wait_for_log("its 2 whole frames were kept");
}

#[test]
fn what_it_counts() {
    let node = Node::start(&[]);
    let digest = node.store(&noise(100_000, 1));
    node.get(&format!("/blobs/{digest}"));
    node.get("/blobs/nonsense");
    node.send("BREW /blobs/nonsense HTTP/1.1", b"");
    let metrics = node.get("/metrics");
    assert_eq!(
        (metrics.status, metrics.header("content-type")),
        (200, Some("text/plain; version=0.0.4; charset=utf-8"))
    );
    let text = metrics.text();
    for line in [
        r#"node_http_requests_total{method="PUT",status="201"} 1"#,
        r#"node_http_requests_total{method="GET",status="200"} 1"#,
        r#"node_http_requests_total{method="GET",status="400"} 1"#,
        r#"node_http_requests_total{method="other",status="405"} 1"#,
        r#"storehouse_bytes_total{store="blobs",backend="flatfs",operation="get",direction="out"} 100000"#,
        r#"storehouse_operations_total{store="blobs",backend="flatfs",operation="put",outcome="ok"} 1"#,
        r#"storehouse_operation_seconds_bucket{store="blobs",backend="flatfs",operation="get",le="60"} 1"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_takes_nothing_along() {
    let node = Node::start(&[]);
    let bytes = noise(8 << 20, 1);
    let digest = node.store(&bytes);
    for _ in 0..20 {
        let mut stream = node.connect();
        send(&mut stream, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
        let mut some = vec![0; 100_000];
        BufReader::new(&stream).read_exact(&mut some).unwrap();
    }
    assert_eq!(node.get(&format!("/blobs/{digest}")).body, bytes);
}
