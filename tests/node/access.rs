//! Which requests are let in: hosts, and writes from pages.

use std::io::Write;

use crate::support::{Answer, Node, assert_error, noise, sha};

/// Sends a head as it stands here, with `{address}` for the node's.
fn raw(node: &Node, head: &str) -> Answer {
    let mut stream = node.connect();
    let head = head.replace("{address}", &node.address.to_string());
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .unwrap();
    Answer::read(&mut stream, head.starts_with("HEAD"))
}

#[test]
fn hosts() {
    let node = Node::start(&["--host", "Node.example.com", "--host", "2001:db8::2"]);
    for (host, status) in [
        ("Host: {address}", 200),
        ("Host: 127.0.0.1", 200),
        ("Host: localhost:1", 200),
        ("Host: [::1]", 200),
        ("Host: node.example.com", 200),
        ("Host: NODE.EXAMPLE.COM.:8080", 200),
        ("Host: [2001:db8::2]:80", 200),
        ("Host: evil.example", 421),
        ("Host: evil.example:7450", 421),
        ("Host: 127.0.0.1.evil.example", 421),
        ("Host: 192.0.2.1", 421),
        ("Host: 0.0.0.0", 421),
        ("X: y", 400),
        ("Host:", 400),
        ("Host: a b", 400),
        ("Host: user@localhost", 400),
        ("Host: localhost\r\nHost: localhost", 400),
        ("Host: localhost\r\nHost: evil.example", 400),
    ] {
        for method in [
            "GET /health",
            "GET /blobs",
            "GET /nothing",
            "DELETE /blobs/zz",
        ] {
            let answer = raw(&node, &format!("{method} HTTP/1.1\r\n{host}"));
            if status == 200 {
                let refused = matches!(answer.status, 400 | 421)
                    && ["invalid_host", "misdirected"].contains(&answer.error().1.as_str());
                assert!(!refused, "{method} {host}: {answer:?}");
            } else {
                let code = ["invalid_host", "misdirected"][usize::from(status == 421)];
                assert_error(&answer, status, code);
            }
        }
    }
    // The target's own host is what counts, and it needs a Host beside it.
    let target = |target: &str| {
        raw(
            &node,
            &format!("GET {target} HTTP/1.1\r\nHost: {{address}}"),
        )
    };
    assert_eq!(target("http://localhost/health").status, 200);
    assert_error(&target("http://evil.example/health"), 421, "misdirected");
    // HTTP/1.0 has no exception.
    assert_error(&raw(&node, "GET /health HTTP/1.0"), 400, "invalid_host");
    let any = Node::start(&["--host", "*"]);
    assert_eq!(
        raw(&any, "GET /health HTTP/1.1\r\nHost: evil.example").status,
        200
    );
}

#[test]
fn writes_from_pages_of_other_sites() {
    let node = Node::start(&["--origin", "https://app.example"]);
    let bytes = noise(1000, 1);
    let path = format!("/blobs/{}", sha(&bytes));
    for (headers, allowed) in [
        ("", true),
        ("\r\nOrigin: http://{address}", true),
        (
            "\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin",
            true,
        ),
        ("\r\nSec-Fetch-Site: none", true),
        (
            "\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site",
            true,
        ),
        ("\r\nOrigin: http://evil.example", false),
        ("\r\nOrigin: http://localhost:1", false),
        ("\r\nOrigin: null", false),
        ("\r\nOrigin: https://app.example.evil.example", false),
        (
            "\r\nOrigin: https://app.example\r\nOrigin: http://evil.example",
            false,
        ),
        ("\r\nSec-Fetch-Site: cross-site", false),
        ("\r\nSec-Fetch-Site: same-site", false),
    ] {
        let headers = headers.replace("{address}", &node.address.to_string());
        let put = node.send(
            &format!("PUT {path} HTTP/1.1\r\nContent-Length: 1000{headers}"),
            &bytes,
        );
        let delete = node.send(&format!("DELETE {path} HTTP/1.1{headers}"), b"");
        if allowed {
            assert_eq!((put.status, delete.status), (201, 204), "{headers}");
        } else {
            assert_error(&put, 403, "cross_site");
            assert_error(&delete, 403, "cross_site");
            node.assert_empty();
        }
        // Reading is not writing.
        let get = node.send(&format!("GET /blobs HTTP/1.1{headers}"), b"");
        assert_eq!(get.status, 200, "{headers}");
    }
    // What a page can send without asking first: no content type, or one of a form.
    let post = |headers: &str| {
        node.send(
            &format!("POST /allocations HTTP/1.1\r\nContent-Length: 2{headers}"),
            b"{}",
        )
    };
    assert_error(&post(""), 403, "cross_site");
    assert_error(
        &post("\r\nContent-Type: text/plain"),
        415,
        "unsupported_media_type",
    );
    assert_error(
        &post("\r\nContent-Type: application/json"),
        400,
        "invalid_record",
    );
}

#[test]
fn pages_of_an_allowed_origin() {
    let node = Node::start(&["--origin", "https://app.example"]);
    let preflight = |origin: &str| {
        node.send(
            &format!(
                "OPTIONS /blobs/x HTTP/1.1\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: \
                 PUT\r\nAccess-Control-Request-Headers: content-type"
            ),
            b"",
        )
    };
    let asked = preflight("https://app.example");
    assert_eq!(asked.status, 200);
    assert_eq!(
        asked.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    assert!(
        asked
            .header("access-control-allow-methods")
            .unwrap()
            .contains("PUT")
    );
    let other = preflight("https://evil.example");
    assert_eq!(other.header("access-control-allow-origin"), None);
    let read = node.send("GET /blobs HTTP/1.1\r\nOrigin: https://app.example", b"");
    assert_eq!(
        read.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    let plain = Node::start(&[]);
    let read = plain.send("GET /blobs HTTP/1.1\r\nOrigin: https://app.example", b"");
    assert_eq!(read.header("access-control-allow-origin"), None);
    for origin in ["app.example", "https://", "https://a/b", "https://u@a", ""] {
        let output = std::process::Command::new(crate::support::program())
            .args(["--origin", origin])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{origin}");
    }
}
