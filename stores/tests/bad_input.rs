//! What must be refused, with a sentence that says why; and what is read although it is not written
//! so.

mod common;
#[path = "common/decoders.rs"]
#[allow(dead_code)]
mod decoders;

use bytes::Bytes;
use common::records;
use decoders::{receipt_archive, ucan_archive};
use storehouse_formats::car::{Archive, dag_cbor_cid_of};
use storehouse_formats::dag_cbor::Writer;
use storehouse_objectstore::{Memory, ObjectStoreExt};
use storehouse_stores::{
    Acceptance, Allocation, AllocationStore, Cid, Consolidation, Delegation, Did, Ipld, Layout,
    Receipt,
};

/// An error with its causes.
fn story(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn fields(bytes: &[u8]) -> Vec<(String, Ipld)> {
    let mut reader = storehouse_formats::dag_cbor::Reader::new(bytes);
    let Ipld::Map(map) = reader.ipld().unwrap() else {
        panic!("not a map")
    };
    let mut fields: Vec<_> = map.into_iter().collect();
    fields.sort_by_key(|(name, _)| (name.len(), name.clone()));
    fields
}

/// A map with its fields in this order.
fn map(fields: &[(String, Ipld)]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.map(fields.len());
    for (name, value) in fields {
        writer.text(name);
        writer.ipld(value);
    }
    writer.into_bytes()
}

type Decode = fn(&Bytes) -> Result<Bytes, String>;

fn decoders() -> [(&'static str, Decode, bool); 3] {
    [
        (
            "allocation",
            |bytes| {
                Allocation::decode(bytes)
                    .map(|record| record.encode())
                    .map_err(|e| story(&e))
            },
            false,
        ),
        (
            "acceptance",
            |bytes| {
                Acceptance::decode(bytes)
                    .map(|record| record.encode())
                    .map_err(|e| story(&e))
            },
            true,
        ),
        (
            "consolidation",
            |bytes| {
                Consolidation::decode(bytes)
                    .map(|record| record.encode())
                    .map_err(|e| story(&e))
            },
            true,
        ),
    ]
}

#[test]
fn fields_unknown_missing_twice_or_of_another_type() {
    for (kind, decode, lenient) in decoders() {
        for (good, _) in records(kind) {
            let all = fields(&good);
            // In any order: it is written in the right one again.
            let reversed: Vec<_> = all.iter().rev().cloned().collect();
            assert_eq!(decode(&map(&reversed).into()).unwrap(), good);
            for n in 0..all.len() {
                let mut fields = all.clone();
                let (name, _) = fields.remove(n);
                if name != "pdpAccept" {
                    let refused = decode(&map(&fields).into()).unwrap_err();
                    assert!(
                        refused.contains(&format!("the field {name:?} is missing")),
                        "{refused}"
                    );
                }
                for wrong in [
                    Ipld::Null,
                    Ipld::Bool(true),
                    Ipld::Integer(-1),
                    Ipld::List(vec![]),
                    Ipld::String("x".into()),
                    Ipld::Float(1.0),
                ] {
                    let mut fields = all.clone();
                    fields[n].1 = wrong.clone();
                    decode(&map(&fields).into()).expect_err("a field of another type");
                }
                let mut twice = all.clone();
                twice.push(all[n].clone());
                let refused = decode(&map(&twice).into()).unwrap_err();
                assert!(refused.contains("occurs twice"), "{refused}");
            }
            let mut more = all.clone();
            more.push(("x".into(), Ipld::Integer(1)));
            match decode(&map(&more).into()) {
                Ok(again) => assert!(lenient && again == good),
                Err(refused) => assert!(
                    !lenient && refused.contains("there is no field \"x\""),
                    "{refused}"
                ),
            }
            let refused = decode(&[&good[..], &[0]].concat().into()).unwrap_err();
            assert!(refused.contains("1 bytes follow"), "{refused}");
        }
    }
}

/// The same for the blocks of UCANs and receipts, whose archives are made anew around them.
#[test]
fn fields_of_blocks_in_archives() {
    let ucan = |fields: &[(String, Ipld)], more: &[u8]| {
        let block = [&map(fields)[..], more].concat();
        Delegation::decode(ucan_archive(&block))
            .map(|delegation| delegation.issuer().clone())
            .map_err(|e| story(&e))
    };
    for (good, _) in records("delegation") {
        let good = Delegation::decode(good).unwrap();
        let block = good
            .blocks()
            .find(|block| block.cid == good.cid())
            .unwrap()
            .data;
        refuses(&fields(&block), &["fct", "nbf", "nnc", "prf"], ucan);
    }
    for (good, _) in records("receipt-store") {
        let good = Receipt::decode(good).unwrap();
        let block = good
            .blocks()
            .find(|block| block.cid == good.cid())
            .unwrap()
            .data;
        let outer = fields(&block);
        let [(_, ocm @ Ipld::Map(_)), (_, sig)] = &outer[..] else {
            panic!("{outer:?}")
        };
        let mut writer = Writer::default();
        writer.ipld(ocm);
        let receipt = |inner: &[(String, Ipld)], more: &[u8]| {
            let mut writer = Writer::default();
            writer.map(2);
            writer.text("ocm");
            writer.raw(&map(inner));
            writer.text("sig");
            writer.ipld(sig);
            let block = [&writer.into_bytes()[..], more].concat();
            Receipt::decode(receipt_archive(&block))
                .map(|receipt| receipt.ran())
                .map_err(|e| story(&e))
        };
        refuses(&fields(&writer.into_bytes()), &["iss"], receipt);
        let whole = |fields: &[(String, Ipld)], more: &[u8]| {
            let block = [&map(fields)[..], more].concat();
            Receipt::decode(receipt_archive(&block))
                .map(|receipt| receipt.ran())
                .map_err(|e| story(&e))
        };
        refuses(&outer, &[], whole);
    }
}

/// Unknown, missing and repeated fields are refused, those of another type, and what follows; any
/// order is read.
fn refuses<T: PartialEq + std::fmt::Debug>(
    all: &[(String, Ipld)],
    optional: &[&str],
    decode: impl Fn(&[(String, Ipld)], &[u8]) -> Result<T, String>,
) {
    let good = decode(all, &[]).unwrap();
    let reversed: Vec<_> = all.iter().rev().cloned().collect();
    assert_eq!(decode(&reversed, &[]).unwrap(), good);
    for (n, (name, value)) in all.iter().enumerate() {
        let mut fields = all.to_vec();
        fields.remove(n);
        match decode(&fields, &[]) {
            Ok(_) => assert!(optional.contains(&&name[..]), "{name:?} was not missed"),
            Err(refused) => assert!(
                refused.contains(&format!("the field {name:?} is missing")),
                "{refused}"
            ),
        }
        for wrong in [
            Ipld::Null,
            Ipld::Bool(true),
            Ipld::Integer(-1),
            Ipld::Float(1.0),
            Ipld::List(vec![Ipld::Null]),
        ] {
            let mut fields = all.to_vec();
            fields[n].1 = wrong.clone();
            let decoded = decode(&fields, &[]);
            assert!(
                decoded.is_err() || (name == "exp" && wrong == Ipld::Null),
                "{name:?} as {wrong:?} instead of {value:?}"
            );
        }
        let refused = decode(&[all, &all[n..=n]].concat(), &[]).unwrap_err();
        assert!(refused.contains("occurs twice"), "{refused}");
    }
    let unknown = ("x".to_owned(), Ipld::Integer(1));
    let refused = decode(&[all, &[unknown]].concat(), &[]).unwrap_err();
    assert!(refused.contains("there is no field \"x\""), "{refused}");
    let refused = decode(all, &[0]).unwrap_err();
    assert!(refused.contains("1 bytes follow"), "{refused}");
}

/// The example of the format's own page, changed at one place.
fn allocation(from: &str, to: &str) -> String {
    let hex = common::hex(&records("allocation")[0].0);
    assert!(hex.contains(from), "{hex}");
    let hex = hex.replacen(from, to, 1);
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    story(&Allocation::decode(&bytes).unwrap_err())
}

#[test]
fn numbers_and_lengths() {
    assert!(allocation("1a6553f100", "3a6553f100").contains("a negative integer"));
    assert!(allocation("1a6553f100", "1b000000006553f100").contains("longer than it needs to be"));
    assert!(allocation("6473697a6505", "6473697a651805").contains("longer than it needs to be"));
    assert!(allocation("6473697a6505", "6473697a65fb4014000000000000").contains("a simple value"));
    assert!(allocation("a464626c6f62", "bf64626c6f62").contains("an indefinite length"));
    assert!(
        allocation("a464626c6f62", "bbffffffffffffffff64626c6f62").contains("ends in the middle")
    );
    assert!(allocation("d82a5825", "d82b5825").contains("a tag other than 42"));
    assert!(allocation("582500017112", "582501017112").contains("a link is not a CID"));
    // The digest, one byte short.
    assert!(allocation("58221220", "58221221").contains("the field \"digest\" is not valid"));
    assert!(allocation("5822ed01", "5822ee01").contains("the field \"space\" is not valid"));
    // An acceptance's time is signed for Piri.
    let space: Did = "did:web:example.com".parse().unwrap();
    let good = Acceptance::decode(&records("acceptance")[0].0).unwrap();
    Acceptance::new(
        space.clone(),
        good.blob().clone(),
        good.cause().clone(),
        Acceptance::MAX,
    )
    .unwrap();
    let refused = Acceptance::new(
        space,
        good.blob().clone(),
        good.cause().clone(),
        Acceptance::MAX + 1,
    )
    .unwrap_err();
    assert!(
        refused.to_string().contains("more than 2^63 - 1"),
        "{refused}"
    );
    assert!(
        serde_json::from_str::<Acceptance>(
            &serde_json::to_string(&good)
                .unwrap()
                .replace("1700000000", "9223372036854775808")
        )
        .is_err()
    );
}

#[test]
fn dids_of_every_wrong_form() {
    let long = format!("did:web:{}", "x".repeat(600));
    for text in [
        "",
        "did",
        "did:",
        "did:web",
        "did:web:",
        "did::x",
        "did:WEB:x",
        "did:web:../../x",
        "did:web:..%2f/x",
        "did:web:a/b",
        "did:web:a b",
        "did:web:a\0",
        "did:web:%",
        "did:web:%4",
        "did:web:%zz",
        "did:web:x:",
        "did:web:é",
        "did:w-b:x",
        "DID:web:x",
        " did:web:x",
        "did:key:",
        "did:key:z",
        "did:key:x",
        "did:key:zzz0",
        "did:key:mgo1",
        "did:key:f9d1a7765623a78",
        "did:key:z6Mkk89bC3JrVqKie71YEcc5M1SMVxuCgNx6zLZ8SYJsxAL",
        "did:key:z6Mkk89bC3JrVqKie71YEcc5M1SMVxuCgNx6zLZ8SYJsxALi/..",
        "web:x",
        &long,
    ] {
        let refused = text.parse::<Did>().expect_err(text);
        assert!(
            refused.to_string().starts_with("invalid DID ") && refused.to_string().len() < 300,
            "{refused}"
        );
        assert!(serde_json::from_value::<Did>(text.into()).is_err());
    }
    for bytes in [
        &b""[..],
        b"\xed",
        b"\xed\x01",
        &[0xed, 0x01, 0],
        b"\x85\x24",
        b"\x9d\x1a",
        b"\x9d\x1aweb",
        b"\x9d\x1aweb:../../x",
        b"\x9d\x1akey:z6Mk",
        b"\x9d\x1aweb:\xff",
        b"\xec\x01abc",
        &[0x85; 600],
    ] {
        Did::from_bytes(bytes).expect_err("these bytes");
    }
    // The bytes of a did:web as a did:key would be a second text of it.
    let text = format!(
        "did:key:{}",
        multibase::encode(multibase::Base::Base58Btc, b"\x9d\x1aweb:x")
    );
    text.parse::<Did>().expect_err("two texts");
}

/// A record that names a space by a path out of its folder is never read, wherever it lies.
#[tokio::test]
async fn a_space_that_is_a_path() {
    let good = Allocation::decode(&records("allocation")[0].0).unwrap();
    let bytes = Bytes::from(common::hex(&good.encode()).into_bytes());
    assert!(!bytes.is_empty());
    let mut fields = fields(&good.encode());
    fields
        .iter_mut()
        .find(|(name, _)| name == "space")
        .unwrap()
        .1 = Ipld::Bytes(b"\x9d\x1aweb:../../x".to_vec());
    let memory = Memory::new();
    let store = AllocationStore::new(memory.clone(), &Layout::s3());
    let key = storehouse_objectstore::Key::new(format!("{}/x.cbor", good.blob.digest)).unwrap();
    memory.put(&key, map(&fields)).await.unwrap();
    let refused = store.get_any(&good.blob.digest).await.unwrap_err();
    assert!(
        refused.is_record() && story(&refused).contains("the field \"space\" is not valid"),
        "{}",
        story(&refused)
    );
}

/// Roots and blocks of a good archive.
fn parts(bytes: &Bytes) -> (Cid, Vec<(Cid, Bytes)>) {
    let archive = Archive::parse(bytes.clone(), Default::default()).unwrap();
    let blocks = archive.blocks().map(|block| (block.cid, block.data));
    (archive.root().unwrap().clone(), blocks.collect())
}

#[test]
fn archives() {
    type Open = fn(Bytes) -> Result<Bytes, String>;
    let delegation: Open = |bytes| {
        Delegation::decode(bytes)
            .map(|d| d.as_bytes().clone())
            .map_err(|e| story(&e))
    };
    let receipt: Open = |bytes| {
        Receipt::decode(bytes)
            .map(|r| r.as_bytes().clone())
            .map_err(|e| story(&e))
    };
    for (kind, open) in [
        ("delegation", delegation),
        ("receipt-store", receipt),
        ("receipt-archive", receipt),
    ] {
        for (good, _) in records(kind) {
            let (root, blocks) = parts(&good);
            let build =
                |roots: &[Cid], blocks: &[(Cid, Bytes)]| open(Archive::build(roots, blocks));
            assert_eq!(build(std::slice::from_ref(&root), &blocks).unwrap(), good);
            // Duplicates: the first wins, and they are kept.
            assert!(
                build(
                    std::slice::from_ref(&root),
                    &[&blocks[..], &blocks[..1]].concat()
                )
                .unwrap()
                .len()
                    > good.len()
            );
            for (refused, why) in [
                (build(&[], &blocks), "no root"),
                (
                    build(&[root.clone(), root.clone()], &blocks),
                    "more than one root",
                ),
                (
                    build(std::slice::from_ref(&root), &blocks[..blocks.len() - 1]),
                    "the root's block is not in",
                ),
                (
                    build(std::slice::from_ref(&root), &[]),
                    "the root's block is not in",
                ),
                (
                    open(good.slice(..good.len() - 1)),
                    "the data ends in the middle",
                ),
                (open(good.slice(1..)), "the container is wrong"),
                (open(Bytes::new()), "the data ends in the middle"),
                (
                    open([&good[..], &[0xff, 0xff, 0xff, 0xff, 0x7f]].concat().into()),
                    "a length of",
                ),
                (open([&good[..], &[0]].concat().into()), "a length of 0"),
                (
                    open([&good[..], &[0x80, 0x00]].concat().into()),
                    "not a minimal varint",
                ),
                (
                    open([&good[..], &[40], &[1; 10]].concat().into()),
                    "ends in the middle",
                ),
            ] {
                let refused = refused.expect_err(why);
                assert!(refused.contains(why), "{refused}, not {why}");
            }
            let mut wrong = blocks.clone();
            wrong[0].1 = Bytes::from_static(b"another");
            let refused = build(std::slice::from_ref(&root), &wrong).unwrap_err();
            assert!(refused.contains("hash is not that of its CID"), "{refused}");
            // A root that is dag-cbor, and something else.
            let other = Bytes::from_static(b"\xa1\x61x\x01");
            let cid = dag_cbor_cid_of(&other);
            build(&[cid.clone()], &[&blocks[..], &[(cid, other)]].concat())
                .expect_err("another root");
        }
    }
}

#[test]
fn what_lies_in_archives() {
    let (good, _) = &records("delegation")[0];
    let (root, blocks) = parts(good);
    // Its variant alone: what it links to is not there.
    let refused = Delegation::decode(Archive::build(&[root], &blocks[1..])).unwrap_err();
    assert!(story(&refused).contains("is not in it"), "{refused}");
    for text in [
        "",
        "x",
        "z123",
        "m",
        "mAA",
        "mAYIEAA",
        &format!(
            "{}AAAA",
            Delegation::decode(good.clone()).unwrap().to_text()
        ),
    ] {
        text.parse::<Delegation>().expect_err(text);
    }
    // A signature that is not the issuer's.
    let receipt = Receipt::decode(records("receipt-store")[0].0.clone()).unwrap();
    let other: Did = "did:key:z6Mkk89bC3JrVqKie71YEcc5M1SMVxuCgNx6zLZ8SYJsxALi"
        .parse()
        .unwrap();
    assert!(receipt.verify_signature(Some(&other)).is_err());
}

/// What is issued here is signed as what Go issued is; a did:web's key has to be given; a changed
/// byte is found.
#[test]
fn signatures() {
    use storehouse_formats::ucan::{Capability, DelegationBuilder, SignatureError, Signer};
    let web: Did = "did:web:example.com".parse().unwrap();
    let signer = Signer::from_seed(&[9; 32]).acting_for(web.clone());
    let capability = Capability::new("test/do", web.to_string()).nb(Ipld::Float(2.5));
    let issued = DelegationBuilder::new(web.clone(), vec![capability])
        .nonce("1")
        .not_before(5)
        .sign(&signer)
        .unwrap();
    assert_eq!(
        issued.verify_signature(None),
        Err(SignatureError::KeyNeeded { issuer: web })
    );
    issued.verify_signature(Some(&signer.key())).unwrap();
    let other = Signer::from_seed(&[8; 32]).key();
    assert_eq!(
        issued.verify_signature(Some(&other)),
        Err(SignatureError::Wrong { key: other })
    );
    assert!(!format!("{signer:?}").contains("9, 9"));
    // The proofs of an archive go into the next one.
    let next = DelegationBuilder::new(issued.issuer().clone(), vec![])
        .proof(&issued)
        .sign(&Signer::from_seed(&[8; 32]))
        .unwrap();
    assert_eq!(
        next.embedded(&issued.cid()).unwrap().unwrap().nonce(),
        Some("1")
    );
    next.verify_signature(None).unwrap();
}
