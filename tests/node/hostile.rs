//! Requests that are made to cost much.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use storehouse::formats::ucan::{Capability, DelegationBuilder, ReceiptBuilder, Signer};
use storehouse::records::{Delegation, Ipld, Receipt};

use crate::support::{Answer, Node, assert_error, sha};

const CAR: &str = "application/vnd.ipld.car";
/// One head may have 64 KiB: as much of it as a path or a query can take.
const LONG_PATH: usize = 60_000;
const LONG_BODY: usize = 1_000_000;

fn body(node: &Node, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    node.send(
        &format!(
            "{method} {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}",
            body.len()
        ),
        body,
    )
}

/// That a text costs no more than its length, whatever is said of it.
#[track_caller]
fn cheap(what: &str, ask: impl FnOnce() -> Answer) -> Answer {
    let start = Instant::now();
    let answer = ask();
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{what}: {:?}",
        start.elapsed()
    );
    assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    answer
}

#[test]
fn long_texts_in_every_place() {
    let node = Node::start(&["--max-record-size", "8000000"]);
    let hello = sha(b"hello");
    // Base58 and base36, and some that take time in proportion.
    for base in ["z", "Z", "k", "K", "m", "b", "f", "7", "0", "9", ""] {
        let digit = if ["0", "7", "9"].contains(&base) {
            "1"
        } else {
            "2"
        };
        let text = format!("{base}{}", digit.repeat(LONG_PATH));
        for path in [
            format!("GET /blobs/{text}"),
            format!("DELETE /blobs/{text}"),
            format!("GET /blobs?after={text}"),
            format!("GET /allocations/{text}"),
            format!("GET /acceptances/{text}"),
            format!("GET /allocations/{hello}?space={text}"),
            format!("GET /allocations/{hello}?space=did:key:{text}"),
            format!("GET /acceptances/{hello}?space=did:web:{text}"),
            format!("GET /claims/{text}"),
            format!("GET /receipts/{text}"),
            format!("GET /receipts?ran={text}"),
        ] {
            let what = path[..path.len().min(60)].to_owned();
            cheap(&what, || node.send(&format!("{path} HTTP/1.1"), b""));
        }
        for path in [
            format!("/blobs/{text}"),
            format!("/claims/{text}"),
            format!("/receipts/{text}"),
        ] {
            cheap(&path[..20], || node.put(&path, b"hello"));
        }
        let text = format!("{base}{}", digit.repeat(LONG_BODY));
        let cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";
        let record = json!({
            "space": "did:web:example.com",
            "blob": { "digest": hello.to_string(), "size": 5 },
            "expires": 1,
            "cause": cid,
        });
        for (pointer, text) in [
            ("/space", text.clone()),
            ("/space", format!("did:key:{text}")),
            ("/space", format!("did:web:{text}")),
            ("/blob/digest", text.clone()),
            ("/cause", text.clone()),
        ] {
            let mut record = record.clone();
            *record.pointer_mut(pointer).unwrap() = text.into();
            let record = record.to_string();
            cheap(&format!("{base} {pointer}"), || {
                body(
                    &node,
                    "POST",
                    "/allocations",
                    "application/json",
                    record.as_bytes(),
                )
            });
        }
        let acceptance = json!({
            "space": "did:web:example.com",
            "blob": { "digest": hello.to_string(), "size": 5 },
            "cause": text,
            "executed_at": 1,
            "pdp_accept": text,
        });
        cheap(&format!("{base} acceptance"), || {
            let acceptance = acceptance.to_string();
            body(
                &node,
                "POST",
                "/acceptances",
                "application/json",
                acceptance.as_bytes(),
            )
        });
        let archive = json!({ "archive": text }).to_string();
        cheap(&format!("{base} archive"), || {
            let path = format!("/claims/{cid}");
            body(&node, "PUT", &path, "application/json", archive.as_bytes())
        });
    }
}

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

/// A claim of about `bytes` bytes, all of them values of one byte: the most work for its size.
fn heavy_claim(bytes: usize, nonce: &str) -> Delegation {
    let capability = small_capability().nb(Ipld::List(vec![Ipld::Integer(1); bytes]));
    DelegationBuilder::new(signer().did().clone(), vec![capability])
        .nonce(nonce)
        .sign(&signer())
        .unwrap()
}

#[test]
fn health_answers_while_large_records_come_and_go() {
    let node = Node::start(&[]);
    let claims: Vec<_> = (0..4)
        .map(|n| heavy_claim(900_000, &n.to_string()))
        .collect();
    let done = AtomicBool::new(false);
    let slowest = std::thread::scope(|scope| {
        let node = &node;
        let work: Vec<_> = claims
            .iter()
            .map(|claim| {
                scope.spawn(move || {
                    let path = format!("/claims/{}", claim.cid());
                    let put = body(node, "PUT", &path, CAR, claim.as_bytes());
                    assert_eq!(put.status, 201, "{put:?}");
                    for accept in [CAR, "application/json"] {
                        let head = format!("GET {path} HTTP/1.1\r\nAccept: {accept}");
                        assert!([200, 406].contains(&node.send(&head, b"").status));
                    }
                })
            })
            .collect();
        let done = &done;
        let asking = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while !done.load(Ordering::Relaxed) {
                let start = Instant::now();
                assert_eq!(node.get("/health").status, 200);
                slowest = slowest.max(start.elapsed());
            }
            slowest
        });
        for work in work {
            work.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn an_archive_is_not_replaced_by_a_poorer_one() {
    let node = Node::start(&[]);
    let build = |attached: bool| {
        let builder =
            DelegationBuilder::new(signer().did().clone(), vec![small_capability()]).nonce("same");
        let builder = if attached {
            builder.attach(vec![0xa0].into())
        } else {
            builder
        };
        builder.sign(&signer()).unwrap()
    };
    let (whole, poor) = (build(true), build(false));
    assert_eq!(whole.cid(), poor.cid());
    assert_ne!(whole.as_bytes(), poor.as_bytes());
    let path = format!("/claims/{}", whole.cid());
    assert_eq!(body(&node, "PUT", &path, CAR, whole.as_bytes()).status, 201);
    assert_eq!(body(&node, "PUT", &path, CAR, poor.as_bytes()).status, 200);
    let stored = node.send(&format!("GET {path} HTTP/1.1\r\nAccept: {CAR}"), b"");
    assert_eq!(stored.body, &whole.as_bytes()[..]);
}

fn small_capability() -> Capability {
    Capability::new("blob/accept", "did:web:example.com")
}

fn signed_by(signer: &Signer, nonce: &str) -> Delegation {
    DelegationBuilder::new(signer.did().clone(), vec![small_capability()])
        .nonce(nonce)
        .sign(signer)
        .unwrap()
}

#[test]
fn signatures_are_checked() {
    let web = "did:web:up.example.com";
    let other = Signer::from_seed(&[8; 32]);
    let honest = signer();
    let forger = signer().acting_for(other.did().clone());
    let service = signer().acting_for(web.parse().unwrap());
    let key = |signer: &Signer| format!("{web}={}", signer.key());
    for (options, valid) in [
        (vec![], [true, false, false]),
        (
            vec!["--signer-key".to_owned(), key(&signer())],
            [true, false, true],
        ),
        (
            vec!["--signer-key".to_owned(), key(&other)],
            [true, false, false],
        ),
        (vec!["--accept-unsigned".to_owned()], [true, true, true]),
    ] {
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let node = Node::start(&options);
        for (signer, valid) in [&honest, &forger, &service].into_iter().zip(valid) {
            let claim = signed_by(signer, "claim");
            let receipt = ReceiptBuilder::for_invocation(&claim, Ok::<_, Ipld>(Ipld::Null))
                .sign(signer)
                .unwrap();
            for (path, archive) in [
                (format!("/claims/{}", claim.cid()), claim.as_bytes()),
                (format!("/receipts/{}", receipt.cid()), receipt.as_bytes()),
            ] {
                let put = body(&node, "PUT", &path, CAR, archive);
                let there = node.get(&path).status;
                if valid {
                    assert_eq!((put.status, there), (201, 200), "{options:?} {put:?}");
                } else {
                    assert_error(&put, 422, "invalid_signature");
                    assert_eq!(there, 404);
                }
            }
        }
    }
    for value in ["did:web:a", "did:web:a=b", "a=did:key:z6Mk", "="] {
        let output = std::process::Command::new(crate::support::program())
            .args(["--signer-key", value])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{value}");
    }
}

#[test]
fn the_first_valid_receipt_is_found_by_its_invocation() {
    let claim = signed_by(&signer(), "claim");
    let receipt = |signer: &Signer, number| {
        ReceiptBuilder::for_invocation(&claim, Ok::<_, Ipld>(Ipld::Integer(number)))
            .sign(signer)
            .unwrap()
    };
    let forger = signer().acting_for(Signer::from_seed(&[8; 32]).did().clone());
    let (forged, first, second) = (
        receipt(&forger, 1),
        receipt(&signer(), 2),
        receipt(&signer(), 3),
    );
    // One that lies in the store, where nothing checked its signature.
    let dir = Node::start(&[]).stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = storehouse::Config::default();
        config.repo.data_dir = Some(dir.path().join("data"));
        let stores = storehouse::Stores::open(&config).await.unwrap();
        stores.records().receipts.put(&forged).await.unwrap();
        stores.close().await.unwrap();
    });
    let node = Node::again(dir, &[]);
    let ask = format!(
        "GET /receipts?ran={} HTTP/1.1\r\nAccept: {CAR}",
        claim.cid()
    );
    assert_error(&node.send(&ask, b""), 404, "not_found");
    for receipt in [&first, &second] {
        let path = format!("/receipts/{}", receipt.cid());
        let put = body(&node, "PUT", &path, CAR, receipt.as_bytes());
        assert_eq!(put.status, 201, "{put:?}");
        let found = node.send(&ask, b"");
        assert_eq!(
            (found.status, &found.body[..]),
            (200, &first.as_bytes()[..])
        );
    }
}

#[test]
fn a_valid_receipt_is_found_though_a_forged_one_came_first() {
    let claim = signed_by(&signer(), "claim");
    let receipt = |signer: &Signer, number| {
        ReceiptBuilder::for_invocation(&claim, Ok::<_, Ipld>(Ipld::Integer(number)))
            .sign(signer)
            .unwrap()
    };
    let forger = signer().acting_for(Signer::from_seed(&[8; 32]).did().clone());
    let (forged, valid) = (receipt(&forger, 1), receipt(&signer(), 2));
    let put = |node: &Node, receipt: &Receipt| {
        let path = format!("/receipts/{}", receipt.cid());
        body(node, "PUT", &path, CAR, receipt.as_bytes()).status
    };
    let find = |node: &Node| {
        let path = format!("/receipts?ran={}", claim.cid());
        let found = node.send(&format!("GET {path} HTTP/1.1\r\nAccept: {CAR}"), b"");
        (found.status == 200).then(|| Receipt::decode(found.body.into()).unwrap().cid())
    };
    // Both came unchecked.
    let node = Node::start(&["--accept-unsigned"]);
    assert_eq!(put(&node, &forged), 201);
    assert_eq!(find(&node), Some(forged.cid()));
    assert_eq!(put(&node, &valid), 201);
    let another = receipt(&forger, 3);
    assert_eq!((put(&node, &another), put(&node, &forged)), (201, 200));
    assert_eq!(find(&node), Some(valid.cid()));
    let node = Node::again(node.stop(), &[]);
    assert_eq!(find(&node), Some(valid.cid()));
    // Both lie in a store that leads to the forged one; the valid one is put again.
    let dir = Node::start(&[]).stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut config = storehouse::Config::default();
        config.repo.data_dir = Some(dir.path().join("data"));
        let stores = storehouse::Stores::open(&config).await.unwrap();
        for receipt in [&forged, &valid] {
            assert!(stores.records().receipts.put(receipt).await.unwrap());
        }
        stores.close().await.unwrap();
    });
    let node = Node::again(dir, &[]);
    assert_eq!(find(&node), None);
    assert_eq!(put(&node, &valid), 200);
    assert_eq!(find(&node), Some(valid.cid()));
    let node = Node::again(node.stop(), &[]);
    assert_eq!(find(&node), Some(valid.cid()));
}
