//! How it ends, and how it starts again.

use std::io::{BufReader, Read, Write};

use rustix::process::Signal;

use crate::support::{Answer, Node, noise, send, sha};

#[test]
fn transfers_in_flight_are_finished() {
    let mut node = Node::start(&[]);
    let bytes = noise(64 << 20, 1);
    let digest = node.store(&bytes);
    let up = noise(1 << 20, 2);

    let mut download = node.connect();
    send(&mut download, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
    let mut reader = BufReader::new(&download);
    assert_eq!(Answer::read_head(&mut reader).status, 200);
    let mut upload = node.connect();
    send(
        &mut upload,
        &format!(
            "PUT /blobs/{} HTTP/1.1\r\nContent-Length: {}\r\nExpect: 100-continue",
            sha(&up),
            up.len()
        ),
        b"",
    );
    assert_eq!(Answer::read(&mut upload, false).status, 100);

    node.signal(Signal::TERM);
    // No new connection is accepted.
    while std::net::TcpStream::connect(node.address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert!(got == bytes);
    upload.write_all(&up).unwrap();
    assert_eq!(Answer::read(&mut upload, false).status, 201);
    drop(upload);
    assert!(node.wait().success());

    let node = Node::again(node.dir(), &[]);
    assert_eq!(node.get(&format!("/blobs/{}", sha(&up))).body, up);
}

#[test]
fn a_transfer_that_takes_too_long_is_cut_off() {
    let mut node = Node::start(&["--shutdown-timeout", "1"]);
    let up = noise(1 << 20, 2);
    let mut upload = node.connect();
    send(
        &mut upload,
        &format!(
            "PUT /blobs/{} HTTP/1.1\r\nContent-Length: {}",
            sha(&up),
            up.len()
        ),
        &up[..1000],
    );
    node.signal(Signal::INT);
    assert!(node.wait().success(), "{}", node.log());
    let node = Node::again(node.dir(), &[]);
    node.assert_empty();
}

#[test]
fn a_second_node_over_the_same_directory_is_refused() {
    let node = Node::start(&[]);
    let output = std::process::Command::new(crate::support::program())
        .arg("--data-dir")
        .arg(node.data_dir())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("in use"),
        "{output:?}"
    );
    node.stop();
}

#[test]
fn command_lines_that_are_wrong() {
    for (arguments, says) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--listen"], "--listen"),
        (&["--max-blob-size", "many"], "many"),
        (
            &["--config", "/nowhere/at/all.toml"],
            "/nowhere/at/all.toml",
        ),
        (&["file"], "file"),
    ] {
        let output = std::process::Command::new(crate::support::program())
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(says),
            "{output:?}"
        );
    }
}
