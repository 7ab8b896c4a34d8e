//! Records in and out, as JSON and as they are stored.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use storehouse::formats::ucan::{
    Capability, DelegationBuilder, ReceiptBuilder, ReceiptForm, Signer,
};
use storehouse::records::{
    Acceptance, Allocation, BlobRef, Cid, Delegation, Did, Ipld, Promise, Receipt,
};

use crate::support::{Answer, Node, assert_error, noise, sha};

const CBOR: &str = "application/cbor";
const CAR: &str = "application/vnd.ipld.car";
const JSON: &str = "application/json";

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

fn invocation(nonce: &str) -> Delegation {
    let nb = BTreeMap::from([
        ("bytes".to_owned(), Ipld::Bytes(vec![1, 2, 3])),
        ("none".to_owned(), Ipld::Null),
    ]);
    let capability = Capability::new("blob/accept", "did:web:example.com").nb(Ipld::Map(nb));
    DelegationBuilder::new(signer().did().clone(), vec![capability])
        .nonce(nonce)
        .attach(vec![0xa0].into())
        .sign(&signer())
        .unwrap()
}

fn allocation(space: &str, bytes: &[u8], expires: u64) -> Allocation {
    let blob = BlobRef {
        digest: sha(bytes),
        size: bytes.len() as u64,
    };
    Allocation {
        space: space.parse::<Did>().unwrap(),
        blob,
        expires,
        cause: invocation("cause").cid(),
    }
}

fn post(node: &Node, path: &str, kind: &str, body: &[u8]) -> Answer {
    node.send(
        &format!(
            "POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}",
            body.len()
        ),
        body,
    )
}

fn put(node: &Node, path: &str, kind: &str, body: &[u8]) -> Answer {
    node.send(
        &format!(
            "PUT {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {}",
            body.len()
        ),
        body,
    )
}

fn get(node: &Node, path: &str, accept: &str) -> Answer {
    node.send(&format!("GET {path} HTTP/1.1\r\nAccept: {accept}"), b"")
}

#[test]
fn allocations_and_acceptances() {
    let node = Node::start(&[]);
    let allocation = allocation("did:web:example.com%3A8080", b"hello", u64::MAX);
    let digest = &allocation.blob.digest;
    let as_json = serde_json::to_value(&allocation).unwrap();
    assert_error(
        &node.get(&format!("/allocations/{digest}")),
        404,
        "not_found",
    );
    let posted = post(
        &node,
        "/allocations",
        "application/json; charset=utf-8",
        as_json.to_string().as_bytes(),
    );
    assert_eq!((posted.status, posted.json()), (201, as_json.clone()));
    // Where it lies, it is found; and so it is in any space.
    for path in [
        posted.header("location").unwrap(),
        &format!("/allocations/{digest}"),
    ] {
        assert_eq!(get(&node, path, JSON).json(), as_json);
        assert_eq!(get(&node, path, "*/*").json(), as_json);
        let stored = get(&node, path, CBOR);
        assert_eq!(
            (stored.header("content-type"), &stored.body[..]),
            (Some(CBOR), &allocation.encode()[..])
        );
    }
    assert_error(
        &node.get(&format!(
            "/allocations/{digest}?space=did:web:other.example.com"
        )),
        404,
        "not_found",
    );

    let promise = Promise::of_ok(invocation("promise").cid());
    let acceptance = Acceptance::new(
        signer().did().clone(),
        allocation.blob.clone(),
        allocation.cause,
        1_700_000_000,
    )
    .unwrap()
    .with_pdp_accept(promise);
    let posted = post(&node, "/acceptances", CBOR, &acceptance.encode());
    assert_eq!(
        (posted.status, posted.json()),
        (201, serde_json::to_value(&acceptance).unwrap())
    );
    let path = posted.header("location").unwrap();
    assert_eq!(get(&node, path, CBOR).body, &acceptance.encode()[..]);
    assert_eq!(get(&node, path, JSON).json()["executed_at"], 1_700_000_000);
}

#[test]
fn every_character_of_a_space_is_found_again() {
    let node = Node::start(&[]);
    let spaces = [
        "did:mailto:example.com:jane+tag",
        "did:mailto:example.com:a&space=did:web:other.example.com",
        "did:web:-._~@!$&'()*+,=:z%2B%26",
    ];
    for space in spaces {
        let allocation = allocation(space, b"hello", u64::MAX);
        let posted = post(&node, "/allocations", CBOR, &allocation.encode());
        assert_eq!(posted.status, 201, "{posted:?}");
        let found = get(&node, posted.header("location").unwrap(), CBOR);
        assert_eq!(
            (found.status, &found.body[..]),
            (200, &allocation.encode()[..]),
            "{space}"
        );
    }
}

#[test]
fn cids_that_hold_a_block_are_taken_in_every_form() {
    let node = Node::start(&[]);
    let holds = |len| Cid::v1(0x55, 0, &noise(len, 1));
    let mut allocation = allocation("did:web:example.com", b"hello", u64::MAX);
    let digest = &allocation.blob.digest.clone();
    for (kind, len) in [
        (JSON, 3_000),
        (CBOR, 40_000),
        (JSON, 40_000),
        (JSON, 60_000),
    ] {
        allocation.cause = holds(len);
        let as_json = serde_json::to_value(&allocation).unwrap();
        let body = match kind {
            JSON => as_json.to_string().into_bytes(),
            _ => allocation.encode().to_vec(),
        };
        let posted = post(&node, "/allocations", kind, &body);
        assert_eq!((posted.status, posted.json()), (201, as_json.clone()));
        let found = get(&node, &format!("/allocations/{digest}"), JSON);
        assert_eq!(found.json(), as_json);
    }
    let acceptance = Acceptance::new(
        signer().did().clone(),
        allocation.blob.clone(),
        holds(5_000),
        1_700_000_000,
    )
    .unwrap()
    .with_pdp_accept(Promise::of_ok(holds(50_000)));
    let as_json = serde_json::to_string(&acceptance).unwrap();
    let posted = post(&node, "/acceptances", JSON, as_json.as_bytes());
    assert_eq!(posted.status, 201);
    let found = get(&node, posted.header("location").unwrap(), CBOR);
    assert_eq!(found.body, &acceptance.encode()[..]);
    // Paths and queries are about keys: the text that a record is stored under counts, in whichever
    // base it came.
    for (len, status, code) in [
        (600, 404, "not_found"),
        (700, 400, "invalid_cid"),
        (30_000, 400, "invalid_cid"),
    ] {
        let cid = holds(len);
        let digits = cid.as_bytes().iter().map(|byte| format!("{byte:02x}"));
        let hex = format!("f{}", digits.collect::<String>());
        for cid in [cid.to_string(), hex] {
            for path in [format!("/claims/{cid}"), format!("/receipts?ran={cid}")] {
                assert_error(&node.get(&path), status, code);
            }
        }
    }
    // Longer than any CID is read.
    let long = format!("b{}", "a".repeat(Cid::MAX_TEXT));
    for field in ["cause", "expires", &long] {
        let mut json = serde_json::to_value(&allocation).unwrap();
        json[field] = json!(long);
        let refused = post(&node, "/allocations", JSON, json.to_string().as_bytes());
        assert_error(&refused, 400, "invalid_record");
        assert!(refused.body.len() < 1_000, "{}", refused.body.len());
    }
}

#[test]
fn archives_byte_for_byte() {
    let node = Node::start(&[]);
    let claim = invocation("claim");
    let path = format!("/claims/{}", claim.cid());
    assert_error(&get(&node, &path, "*/*"), 404, "not_found");
    // Without a type it is the archive.
    assert_eq!(
        (
            node.put(&path, claim.as_bytes()).status,
            node.put(&path, claim.as_bytes()).status
        ),
        (201, 200)
    );
    let got = get(&node, &path, "text/html, */*;q=0.1");
    assert_eq!(
        (got.header("content-type"), &got.body[..]),
        (Some(CAR), &claim.as_bytes()[..])
    );

    let receipt = ReceiptBuilder::for_invocation(&claim, Ok::<_, Ipld>(&claim.cid()))
        .meta("n", Ipld::Integer(-7))
        .sign(&signer())
        .unwrap();
    let path = format!("/receipts/{}", receipt.cid());
    // The form of the journal is stored in the store's.
    let journal_form = receipt.in_form(ReceiptForm::Archive);
    assert_eq!(put(&node, &path, CAR, &journal_form).status, 201);
    assert_eq!(get(&node, &path, CAR).body, &receipt.store_form()[..]);
    let by_ran = node.get(&format!("/receipts?ran={}", claim.cid()));
    assert_eq!(
        (by_ran.header("content-type"), &by_ran.body[..]),
        (Some(CAR), &receipt.store_form()[..])
    );
    Receipt::decode(by_ran.body.into())
        .unwrap()
        .verify_signature(None)
        .unwrap();
    assert_error(
        &node.get(&format!("/receipts?ran={}", receipt.cid())),
        404,
        "not_found",
    );
    assert_error(&node.get("/receipts"), 400, "invalid_query");
}

#[test]
fn archives_shown_as_json_and_put_back() {
    let node = Node::start(&[]);
    let claim = invocation("claim");
    let receipt = ReceiptBuilder::for_invocation(&claim, Err::<Ipld, _>(Ipld::String("no".into())))
        .sign(&signer())
        .unwrap();
    for (path, archive) in [
        (format!("/claims/{}", claim.cid()), claim.as_bytes()),
        (format!("/receipts/{}", receipt.cid()), receipt.as_bytes()),
    ] {
        assert_eq!(put(&node, &path, CAR, archive).status, 201);
        let shown = get(&node, &path, JSON);
        assert_eq!(shown.header("content-type"), Some(JSON));
        // What was shown can be put, and is the same archive.
        assert_eq!(put(&node, &path, JSON, &shown.body).status, 200);
        assert_eq!(get(&node, &path, CAR).body, &archive[..]);
    }
    let did = signer().did().to_string();
    let shown = get(&node, &format!("/claims/{}", claim.cid()), JSON).json();
    let capability = json!({ "can": "blob/accept", "with": "did:web:example.com", "nb": { "bytes": { "/": { "bytes": "AQID" } }, "none": null } });
    assert_eq!(
        (&shown["issuer"], &shown["audience"], &shown["nonce"]),
        (&json!(did), &json!(did), &json!("claim"))
    );
    assert_eq!(
        (
            &shown["capabilities"],
            &shown["expiration"],
            &shown["proofs"]
        ),
        (&json!([capability]), &Value::Null, &json!([]))
    );
    let shown = get(&node, &format!("/receipts/{}", receipt.cid()), JSON).json();
    assert_eq!(
        (&shown["ran"], &shown["outcome"]),
        (&json!(claim.cid().to_string()), &json!({ "error": "no" }))
    );
    assert_eq!(
        (&shown["effects"], &shown["meta"]),
        (&json!({ "fork": [], "join": null }), &json!({}))
    );
}

#[test]
fn records_that_are_none() {
    let node = Node::start(&["--max-record-size", "100000"]);
    let allocation = allocation("did:web:example.com", b"hello", 1);
    let good = serde_json::to_value(&allocation).unwrap();
    let without = |name: &str| {
        let mut json = good.clone();
        json.as_object_mut().unwrap().remove(name);
        json.to_string()
    };
    let with = |name: &str, value: Value| {
        let mut json = good.clone();
        json[name] = value;
        json.to_string()
    };
    for (body, code) in [
        (String::new(), "invalid_json"),
        ("{".into(), "invalid_json"),
        ("nonsense".into(), "invalid_json"),
        ("\u{0}".into(), "invalid_json"),
        ("[".repeat(50_000), "invalid_record"),
        ("{}".into(), "invalid_record"),
        ("null".into(), "invalid_record"),
        (without("cause"), "invalid_record"),
        (with("color", json!("red")), "invalid_record"),
        (with("expires", json!(-1)), "invalid_record"),
        (with("expires", json!("soon")), "invalid_record"),
        (with("space", json!("did:web:../../etc")), "invalid_record"),
        (with("cause", json!("cid")), "invalid_record"),
        (
            with("blob", json!({ "digest": "zzz", "size": 5 })),
            "invalid_record",
        ),
    ] {
        assert_error(
            &post(&node, "/allocations", JSON, body.as_bytes()),
            400,
            code,
        );
    }
    assert_error(
        &post(&node, "/allocations", CBOR, b"\xa0"),
        400,
        "invalid_record",
    );
    assert_error(
        &post(&node, "/acceptances", CBOR, &allocation.encode()),
        400,
        "invalid_record",
    );
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        CAR,
        "",
        "\u{ff}",
    ] {
        assert_error(
            &post(&node, "/allocations", kind, good.to_string().as_bytes()),
            415,
            "unsupported_media_type",
        );
    }
    assert_error(
        &node.send(
            "POST /allocations HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked",
            b"0\r\n\r\n",
        ),
        411,
        "length_required",
    );
    assert_error(
        &post(&node, "/allocations", JSON, &[b' '; 100_001]),
        413,
        "too_large",
    );
    assert_error(
        &node.get(&format!("/allocations/{}", allocation.blob.digest)),
        404,
        "not_found",
    );
    assert_error(&node.get("/allocations/nonsense"), 400, "invalid_digest");
    assert_error(
        &node.get(&format!(
            "/allocations/{}?space=nobody",
            allocation.blob.digest
        )),
        400,
        "invalid_did",
    );
    assert_error(
        &node.get(&format!("/allocations/{}?spcae=x", allocation.blob.digest)),
        400,
        "invalid_query",
    );

    let (claim, other) = (invocation("claim"), invocation("other"));
    let path = format!("/claims/{}", claim.cid());
    assert_error(
        &put(&node, &path, CAR, other.as_bytes()),
        422,
        "cid_mismatch",
    );
    let mut damaged = claim.as_bytes().to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    for bytes in [
        &b""[..],
        b"nonsense",
        &claim.as_bytes()[..last],
        &damaged,
        &noise(50_000, 1),
    ] {
        assert_error(&put(&node, &path, CAR, bytes), 400, "invalid_record");
        assert_error(
            &put(&node, &path.replace("claims", "receipts"), CAR, bytes),
            400,
            "invalid_record",
        );
    }
    assert_error(
        &put(&node, &path, JSON, br#"{"archive":"m!"}"#),
        400,
        "invalid_record",
    );
    assert_error(
        &put(&node, &path, JSON, br#"{"archive":"zQm"}"#),
        400,
        "invalid_record",
    );
    assert_error(
        &put(&node, &path, CBOR, claim.as_bytes()),
        415,
        "unsupported_media_type",
    );
    assert_error(&get(&node, &path, CAR), 404, "not_found");
    for cid in ["cid", "zQm", &"b".repeat(10_000), "%FF"] {
        assert_error(
            &put(&node, &format!("/claims/{cid}"), CAR, claim.as_bytes()),
            400,
            "invalid_cid",
        );
        assert_error(
            &node.get(&format!("/receipts?ran={cid}")),
            400,
            "invalid_cid",
        );
    }
    assert_eq!(put(&node, &path, CAR, claim.as_bytes()).status, 201);
    for accept in [
        "text/html",
        "application/cbor",
        "image/*",
        "*/*;q=0",
        "application/json;q=0, application/*;q=0",
    ] {
        assert_error(&get(&node, &path, accept), 406, "not_acceptable");
    }
    for (accept, kind) in [
        ("application/*", CAR),
        ("application/json, application/*;q=0.5", JSON),
        (
            "application/vnd.ipld.car;q=0.1, application/json;q=0.2",
            JSON,
        ),
    ] {
        assert_eq!(
            get(&node, &path, accept).header("content-type"),
            Some(kind),
            "{accept}"
        );
    }
}

#[test]
fn only_what_was_allocated() {
    let node = Node::start(&["--require-allocation"]);
    let bytes = noise(100_000, 1);
    let path = format!("/blobs/{}", sha(&bytes));
    let allow = |space: &str, bytes: &[u8], expires| {
        assert_eq!(
            post(
                &node,
                "/allocations",
                CBOR,
                &allocation(space, bytes, expires).encode()
            )
            .status,
            201
        )
    };
    assert_error(&node.put(&path, &bytes), 403, "no_allocation");
    // Expired; of another size; of another blob.
    allow("did:web:a.example.com", &bytes, 1);
    let mut small = allocation("did:web:b.example.com", &bytes, u64::MAX);
    small.blob.size -= 1;
    assert_eq!(
        post(&node, "/allocations", CBOR, &small.encode()).status,
        201
    );
    allow("did:web:c.example.com", b"other", u64::MAX);
    assert_error(&node.put(&path, &bytes), 403, "no_allocation");
    assert_error(&node.put(&path, &bytes[1..]), 422, "hash_mismatch");
    node.assert_empty();
    allow("did:web:d.example.com", &bytes, u64::MAX);
    assert_eq!(node.put(&path, &bytes).status, 201);
    assert_eq!(node.get(&path).body, bytes);
}
