//! CIDs and DIDs of every kind that is used, and blocks of every hash function.

use blake2::{Blake2b256, Digest as _};
use bytes::Bytes;
use proptest::prelude::*;
use storehouse_formats::car::{Archive, CarLimits, CarProblem, dag_cbor_cid_of};
use storehouse_formats::dag_cbor::{Problem, RawValue, Writer};
use storehouse_formats::dag_json::{JsonLimits, to_string};
use storehouse_formats::ucan::{Capability, Delegation, DelegationBuilder, Signer};
use storehouse_formats::{Cid, Did, Error, Ipld};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cids_round_trip(codec in 0..=u64::MAX >> 1, code in 0..=u64::MAX >> 1, hash in prop::collection::vec(any::<u8>(), 0..2000)) {
        let cid = Cid::v1(codec, code, &hash);
        prop_assert_eq!((cid.version(), cid.codec(), cid.hash_code(), cid.hash()), (1, codec, code, &hash[..]));
        prop_assert_eq!(&Cid::from_bytes(cid.as_bytes()).unwrap(), &cid);
        prop_assert_eq!(&cid.to_string().parse::<Cid>().unwrap(), &cid);
        let json = serde_json::to_string(&cid).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Cid>(&json).unwrap(), &cid);
        // The same as the crate `cid` has it, as far as that has room.
        match cid::Cid::try_from(&cid) {
            Ok(theirs) => {
                prop_assert_eq!(theirs.to_string(), cid.to_string());
                prop_assert_eq!(Cid::from(&theirs), cid);
            }
            Err(_) => prop_assert!(hash.len() > 64),
        }
    }

    #[test]
    fn any_bytes_and_any_text(bytes in prop::collection::vec(any::<u8>(), 0..100), text in ".{0,80}") {
        if let Ok(cid) = Cid::from_bytes(&bytes) {
            prop_assert_eq!(cid.as_bytes(), &bytes[..]);
        }
        if let Ok(cid) = text.parse::<Cid>() {
            prop_assert_eq!(cid.to_string().parse::<Cid>().unwrap(), cid);
        }
    }

    #[test]
    fn dids_of_methods_that_escape_less(id in "[a-zA-Z0-9:._~!$&'()*+,=@-]{1,60}[a-zA-Z0-9!~*'()]") {
        let did: Did = format!("did:mailto:{id}").parse().unwrap();
        prop_assert_eq!(did.to_string(), format!("did:mailto:{id}"));
        prop_assert_eq!(Did::from_bytes(did.as_bytes()).unwrap(), did);
    }
}

#[test]
fn dids() {
    for good in [
        "did:mailto:example.com:o'brien",
        "did:mailto:example.com:a!~*'()z",
        "did:web:localhost%3A3000",
    ] {
        assert_eq!(good.parse::<Did>().unwrap().to_string(), good);
    }
    for bad in [
        "did:web:a/b",
        "did:web:../x",
        "did:web:a b",
        "did:web:a#b",
        "did:web:a?b",
        "did:web:a;b",
        "did:web:a\\b",
        "did:web:a%4",
        "did:web:é",
    ] {
        bad.parse::<Did>().expect_err(bad);
    }
}

#[test]
fn texts_that_are_no_cid_say_why() {
    let v0 = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN";
    assert_eq!(v0.parse::<Cid>().unwrap().to_string(), v0);
    let cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";
    for (text, why) in [
        (String::new(), "empty"),
        (format!("/ipfs/{cid}"), "path"),
        (format!("https://example.com/ipfs/{cid}"), "path"),
        (format!("z{v0}"), "multibase prefix"),
        (v0[..45].to_owned(), "46 characters"),
        (format!("{cid}aa"), "bytes follow"),
        (format!("?{cid}"), "prefix of a multibase"),
        ("b".to_owned() + &"a".repeat(Cid::MAX_TEXT), "131,072"),
    ] {
        let Err(Error::InvalidCid { cid: shown, reason }) = text.parse::<Cid>() else {
            panic!("{text:.80}")
        };
        assert!(reason.contains(why), "{text:.80}: {reason}");
        assert!(shown.len() < 200);
    }
}

/// A delegation with an argument that links to a block within its own CID, and such a block and
/// others attached: kept byte for byte, and verified as far as that can be.
#[test]
fn long_identity_cids_and_other_hash_functions() {
    let data = vec![7; 500];
    let identity = Cid::v1(0x55, 0, &data);
    let blake2b = Cid::v1(0x55, 0xb220, &Blake2b256::digest(b"two"));
    let blake3 = Cid::v1(0x55, 0x1e, blake3::hash(b"three").as_bytes());
    let sha3 = Cid::v1(0x55, 0x16, &[1; 32]);

    let signer = Signer::from_seed(&[3; 32]);
    let capability = Capability::new("test/do", signer.did().to_string()).nb(&identity);
    let plain = DelegationBuilder::new(signer.did().clone(), vec![capability])
        .linked_proof(sha3.clone())
        .linked_proof(identity.clone())
        .sign(&signer)
        .unwrap();
    let mut blocks = vec![
        (identity.clone(), Bytes::from(data)),
        (blake2b.clone(), Bytes::from_static(b"two")),
        (blake3.clone(), Bytes::from_static(b"three")),
        (sha3.clone(), Bytes::from_static(b"unknown")),
    ];
    blocks.extend(plain.blocks().map(|block| (block.cid, block.data)));
    let root = blocks.last().unwrap().0.clone();
    let archive = Archive::build(&[root.clone()], &blocks);

    let delegation = Delegation::decode(archive.clone()).unwrap();
    assert_eq!(delegation.as_bytes(), &archive);
    delegation.verify_signature(None).unwrap();
    let verified: Vec<_> = delegation
        .blocks()
        .map(|block| (block.cid, block.verified))
        .collect();
    assert_eq!(
        verified[..4],
        [
            (identity.clone(), true),
            (blake2b.clone(), true),
            (blake3.clone(), true),
            (sha3.clone(), false)
        ]
    );
    assert_eq!(delegation.proofs(), [sha3.clone(), identity.clone()]);
    // The link is carried, and shown; only in memory there is no room for it.
    let nb = delegation.capabilities().next().unwrap().nb.unwrap();
    assert_eq!(nb, RawValue::from(&identity));
    assert_eq!(
        to_string(&nb, JsonLimits::default()).unwrap(),
        format!(r#"{{"/":"{identity}"}}"#)
    );
    assert_eq!(nb.to_ipld().unwrap_err().problem, Problem::LinkLength);

    // Not verified is refused where something depends on it.
    let refused = delegation.embedded(&sha3).unwrap_err();
    let Error::Car { source, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(
        source.problem,
        CarProblem::Unverified { code: 0x16, .. }
    ));
    let mut writer = Writer::default();
    writer.map(1);
    writer.text("ucan@0.9.1");
    writer.link(&sha3);
    let variant = Bytes::from(writer.into_bytes());
    let root = dag_cbor_cid_of(&variant);
    let block = plain.blocks().next().unwrap().data;
    let archive = Archive::build(&[root.clone()], &[(sha3, block), (root, variant)]);
    Delegation::decode(archive).expect_err("its UCAN cannot be verified");

    // What is not what its CID says is refused, whether or not something depends on it.
    for cid in [identity, blake2b, blake3] {
        let archive = Archive::build(&[], &[(cid, Bytes::from_static(b"another"))]);
        let refused = Archive::parse(archive, CarLimits::default()).unwrap_err();
        assert!(
            matches!(refused.problem, CarProblem::Hash { .. }),
            "{refused:?}"
        );
    }
}

/// The text is what a tree of values gave: sorted by key, whatever the order in the bytes.
#[test]
fn dag_json_of_any_value() {
    fn text(value: &Ipld) -> String {
        match value {
            Ipld::Null => "null".into(),
            Ipld::Integer(value) => value.to_string(),
            Ipld::String(text) => serde_json::to_string(text).unwrap(),
            Ipld::List(items) => {
                format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(","))
            }
            Ipld::Map(map) => {
                let entries: Vec<_> = map
                    .iter()
                    .map(|(key, value)| {
                        format!("{}:{}", serde_json::to_string(key).unwrap(), text(value))
                    })
                    .collect();
                format!("{{{}}}", entries.join(","))
            }
            other => panic!("{other:?}"),
        }
    }
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<i64>().prop_map(|number| Ipld::Integer(number.into())),
        "[a-z\"\\\\\n\u{1}é]{0,6}".prop_map(Ipld::String),
    ];
    let values = leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
            prop::collection::btree_map("[a-z\"]{0,3}", inner, 0..6).prop_map(Ipld::Map),
        ]
    });
    proptest!(|(value in values)| {
        let raw = RawValue::from(&value);
        prop_assert_eq!(to_string(&raw, JsonLimits::default()).unwrap(), text(&value));
        prop_assert_eq!(raw.to_ipld().unwrap(), value);
    });
}

/// Records of users have CIDs in them, and are written with whatever serde format they like.
#[test]
fn a_cid_is_a_link_in_dag_cbor_as_it_is_for_others() {
    use ipld_core::cid;

    for text in [
        "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
        "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
    ] {
        let ours: Cid = text.parse().unwrap();
        let theirs: cid::Cid = text.parse().unwrap();
        let bytes = serde_ipld_dagcbor::to_vec(&[&ours]).unwrap();
        assert_eq!(bytes, serde_ipld_dagcbor::to_vec(&[theirs]).unwrap());
        let read: [Cid; 1] = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
        assert_eq!(read, [ours.clone()]);
        let ipld: [Ipld; 1] = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
        assert_eq!(ipld, [Ipld::Link(theirs)]);
        // Bytes are no link.
        let plain = serde_ipld_dagcbor::to_vec(&[serde_bytes::Bytes::new(ours.as_bytes())]);
        assert!(serde_ipld_dagcbor::from_slice::<[Cid; 1]>(&plain.unwrap()).is_err());
    }
}
