//! A receipt for every retrieval.

use std::io::{BufReader, Read};

use storehouse::Stores;
use storehouse::local::journal::{BatchReader, Journal};
use storehouse::records::{Ipld, Receipt};

use crate::support::{Answer, Node, noise, send};

/// What the directory of a node that has ended holds: the receipts of its store, and those of its
/// journal.
fn receipts(dir: &std::path::Path) -> (Vec<Receipt>, Vec<Receipt>) {
    use futures_util::TryStreamExt;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut config = storehouse::Config::default();
        config.repo.data_dir = Some(dir.to_owned());
        let stores = Stores::open(&config).await.unwrap();
        let stored: Vec<Receipt> = stores
            .records()
            .receipts
            .list()
            .try_collect()
            .await
            .unwrap();
        let journal = stores.local().journal();
        let mut journaled = Vec::new();
        journal.force_rotate().await.unwrap();
        for batch in journal.pending().await.unwrap() {
            let bytes = journal
                .get_batch(&batch.cid)
                .await
                .unwrap()
                .collect(u64::MAX)
                .await
                .unwrap();
            for frame in BatchReader::new(&bytes[..]).unwrap() {
                journaled.push(Receipt::decode(frame.unwrap().archive).unwrap());
            }
        }
        (stored, journaled)
    })
}

/// Which bytes of which blob a receipt is for.
fn retrieved(receipt: &Receipt) -> (Vec<u8>, Vec<i128>) {
    receipt.verify_signature(None).unwrap();
    assert!(receipt.is_ok());
    let invocation = receipt.invocation().unwrap().unwrap();
    invocation.verify_signature(None).unwrap();
    assert_eq!(
        (invocation.issuer(), receipt.issuer()),
        (invocation.audience(), Some(invocation.issuer()))
    );
    let capability = invocation.capabilities().next().unwrap();
    assert_eq!(capability.can, "space/content/retrieve");
    let Ipld::Map(nb) = capability.nb.as_ref().unwrap().to_ipld().unwrap() else {
        panic!("{capability:?}")
    };
    let (Ipld::Map(blob), Ipld::List(range)) = (&nb["blob"], &nb["range"]) else {
        panic!("{nb:?}")
    };
    let Ipld::Bytes(digest) = &blob["digest"] else {
        panic!("{blob:?}")
    };
    let ends = range.iter().map(|at| {
        if let Ipld::Integer(at) = at {
            *at
        } else {
            panic!("{at:?}")
        }
    });
    (digest.clone(), ends.collect())
}

#[test]
fn every_finished_retrieval_has_one_in_both_places() {
    let node = Node::start(&["--receipts"]);
    let (large, small, empty) = (noise(3 << 20, 1), noise(500, 2), Vec::new());
    let digests = [&large, &small, &empty].map(|bytes| node.store(bytes));
    let [l, s, e] = &digests;
    let mut expected = vec![
        (l.as_bytes().to_vec(), vec![0, (3 << 20) - 1]),
        (l.as_bytes().to_vec(), vec![100, 199]),
        (s.as_bytes().to_vec(), vec![490, 499]),
        (e.as_bytes().to_vec(), vec![]),
    ];
    assert_eq!(node.get(&format!("/blobs/{l}")).body, large);
    let range = |digest, range: &str| {
        node.send(
            &format!("GET /blobs/{digest} HTTP/1.1\r\nRange: bytes={range}"),
            b"",
        )
        .status
    };
    assert_eq!((range(l, "100-199"), range(s, "-10")), (206, 206));
    assert_eq!(node.get(&format!("/blobs/{e}")).status, 200);
    // These are no retrievals.
    assert_eq!(
        (
            range(s, "500-"),
            node.get("/blobs/zQm").status,
            node.send(&format!("HEAD /blobs/{l} HTTP/1.1"), b"").status
        ),
        (416, 400, 200)
    );
    assert_eq!(
        node.send(&format!("GET /blobs/{s} HTTP/1.1\r\nIf-None-Match: *"), b"")
            .status,
        304
    );
    // Nor is one that was given up.
    let larger = node.store(&noise(64 << 20, 3));
    let mut stream = node.connect();
    send(&mut stream, &format!("GET /blobs/{larger} HTTP/1.1"), b"");
    let mut some = [0; 100_000];
    BufReader::new(&stream).read_exact(&mut some).unwrap();
    drop(stream);
    // Many on one connection, to be drained when the node ends.
    let mut stream = node.connect();
    for _ in 0..200 {
        send(&mut stream, &format!("GET /blobs/{s} HTTP/1.1"), b"");
        assert_eq!(Answer::read(&mut stream, false).status, 200);
        expected.push((s.as_bytes().to_vec(), vec![0, 499]));
    }
    drop(stream);

    let dir = node.stop();
    let (stored, journaled) = receipts(&dir.path().join("data"));
    expected.sort();
    for receipts in [&stored, &journaled] {
        let mut found: Vec<_> = receipts.iter().map(retrieved).collect();
        found.sort();
        assert!(
            found == expected,
            "{} receipts for {} retrievals",
            found.len(),
            expected.len()
        );
    }
    let mut cids =
        [stored, journaled].map(|receipts| receipts.iter().map(Receipt::cid).collect::<Vec<_>>());
    cids.iter_mut().for_each(|cids| cids.sort());
    assert_eq!(cids[0], cids[1]);

    // The key stays.
    let node = Node::again(dir, &["--receipts"]);
    assert_eq!(node.get(&format!("/blobs/{s}")).body, small);
    let (stored, _) = receipts(&node.stop().path().join("data"));
    assert_eq!(
        stored
            .iter()
            .map(|receipt| receipt.issuer().unwrap().clone())
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        1
    );
    assert_eq!(stored.len(), expected.len() + 1);
}

#[test]
fn without_being_asked_for_there_are_none() {
    let node = Node::start(&[]);
    let digest = node.store(b"hello");
    assert_eq!(node.get(&format!("/blobs/{digest}")).status, 200);
    let (stored, journaled) = receipts(&node.stop().path().join("data"));
    assert_eq!((stored.len(), journaled.len()), (0, 0));
}

#[test]
fn a_full_disk_holds_no_retrieval_up_and_harms_no_receipt() {
    let mut node = Node::start_with_small_files(1024, &["--receipts", "--shutdown-timeout", "1"]);
    let digest = node.store(b"hello");
    let mut stream = node.connect();
    for _ in 0..2000 {
        send(&mut stream, &format!("GET /blobs/{digest} HTTP/1.1"), b"");
        assert_eq!(Answer::read(&mut stream, false).body, b"hello");
    }
    node.wait_for_log("could not be written; trying again");
    drop(stream);
    node.signal(rustix::process::Signal::TERM);
    assert!(node.wait().success());
    // It says so, and what there was room for is whole.
    node.wait_for_log("receipts are lost");
    let (stored, journaled) = receipts(&node.data_dir());
    for receipts in [stored, journaled] {
        assert!(
            !receipts.is_empty() && receipts.len() < 2000,
            "{}",
            receipts.len()
        );
        receipts
            .iter()
            .for_each(|receipt| assert_eq!(retrieved(receipt).0, digest.as_bytes()));
    }
}
