//! Files of blobs that are not the blob any more, as a power cut may leave them.

use serde_json::json;

use crate::support::{Answer, Node, assert_error, noise, sha};

fn allocate(node: &Node, bytes: &[u8], size: usize, space: &str) {
    let allocation = json!({
        "space": space,
        "blob": { "digest": sha(bytes).to_string(), "size": size },
        "expires": 1,
        "cause": "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
    })
    .to_string();
    let head = format!(
        "POST /allocations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}",
        allocation.len()
    );
    assert_eq!(node.send(&head, allocation.as_bytes()).status, 201);
}

/// Cuts the files of all blobs.
fn cut(node: &Node, len: u64) {
    let mut files = 0;
    for shard in std::fs::read_dir(node.data_dir().join("pdp/datastore")).unwrap() {
        let Ok(shard) = std::fs::read_dir(shard.unwrap().path()) else {
            continue;
        };
        for file in shard.map(|file| file.unwrap().path()) {
            if file.extension().is_some_and(|ext| ext == "data") {
                let file = std::fs::File::options().write(true).open(file).unwrap();
                file.set_len(len).unwrap();
                files += 1;
            }
        }
    }
    assert_eq!(files, 1);
}

fn assert_damaged(node: &Node, path: &str) {
    for header in [
        "",
        "\r\nRange: bytes=0-9",
        "\r\nRange: bytes=-1",
        "\r\nRange: bytes=2999-",
    ] {
        let got = node.send(&format!("GET {path} HTTP/1.1{header}"), b"");
        assert_error(&got, 500, "damaged");
        assert_eq!(got.header("etag"), None);
    }
    assert_eq!(node.send(&format!("HEAD {path} HTTP/1.1"), b"").status, 500);
    let not_modified = node.send(&format!("GET {path} HTTP/1.1\r\nIf-None-Match: *"), b"");
    assert_error(&not_modified, 500, "damaged");
}

#[test]
fn a_file_cut_short_is_found_by_its_allocation() {
    let node = Node::start(&[]);
    let bytes = noise(3_000, 5);
    let digest = node.store(&bytes);
    let path = format!("/blobs/{digest}");
    let whole = |got: Answer| (got.status, got.body == bytes) == (200, true);
    assert!(whole(node.get(&path)));
    allocate(&node, &bytes, 3_000, "did:web:a.example.com");
    assert!(whole(node.get(&path)));
    for len in [1_700, 1] {
        cut(&node, len);
        assert_damaged(&node, &path);
        let line = format!("{{\"digest\":\"{digest}\",\"size\":{len},\"damaged\":true}}\n");
        assert_eq!(node.get("/blobs").text(), line);
        assert_eq!(node.get(&format!("/blobs?after={digest}")).status, 200);
        // Those bytes are no blob of that digest, and a put of the blob heals it.
        let put = node.put(&path, &bytes[..len as usize]);
        assert_error(&put, 422, "hash_mismatch");
        assert_eq!(node.put(&path, &bytes).status, 201);
        assert!(whole(node.get(&path)));
        let line = format!("{{\"digest\":\"{digest}\",\"size\":3000}}\n");
        assert_eq!(node.get("/blobs").text(), line);
    }
    // Longer than it was.
    cut(&node, 5_000);
    assert_damaged(&node, &path);
    assert_eq!(node.put(&path, &bytes).status, 201);
    assert!(whole(node.get(&path)));
}

#[test]
fn an_allocation_of_another_size_damages_no_blob() {
    let node = Node::start(&[]);
    let bytes = noise(3_000, 6);
    allocate(&node, &bytes, 2_000, "did:web:a.example.com");
    let digest = node.store(&bytes);
    allocate(&node, &bytes, 4_000, "did:web:b.example.com");
    let path = format!("/blobs/{digest}");
    let got = node.get(&path);
    assert_eq!((got.status, got.body == bytes), (200, true));
    let line = format!("{{\"digest\":\"{digest}\",\"size\":3000}}\n");
    assert_eq!(node.get("/blobs").text(), line);
    cut(&node, 2_999);
    assert_damaged(&node, &path);
}
