//! Digests: what is one, what is none, and how they are written.

mod support;

use proptest::prelude::*;
use storehouse_blobstore::{Digest, Error, HashFunction};
use storehouse_objectstore::Body;
use support::{any_function, in_pieces, noise, vectors};

#[cfg(feature = "serde")]
const HELLO: &str = "zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5";

#[test]
fn every_vector_has_its_digest() {
    for vector in vectors() {
        let digest = vector.digest();
        assert_eq!(digest.to_string(), vector.digest);
        assert_eq!(vector.bytes().len() as u64, vector.size);
        assert_eq!(
            Digest::of(digest.function().unwrap(), &vector.bytes()),
            digest
        );
    }
}

#[test]
fn known_answers() {
    // The two from FIPS 180 for "abc", the one from BLAKE3's own test vectors for no input.
    for (function, input, multihash) in [
        (
            HashFunction::Sha2_256,
            "abc",
            "1220ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            HashFunction::Sha2_512,
            "abc",
            "1340ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            HashFunction::Blake3,
            "",
            "1e20af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        ),
    ] {
        let digest = Digest::of(function, input.as_bytes());
        assert_eq!(digest, format!("f{multihash}").parse().unwrap());
        assert_eq!(digest.code(), function.code());
        assert_eq!(digest.hash().len(), function.hash_len());
        assert_eq!(Digest::new(function, digest.hash()).unwrap(), digest);
        assert!(Digest::new(function, &digest.hash()[1..]).is_err());
    }
}

#[test]
fn what_is_no_digest_is_refused_with_the_reason() {
    let long = "z".repeat(10_000);
    let binary = format!("0{}", "1".repeat(8 * 139));
    for (text, why) in [
        ("", "base"),
        ("lorem", "prefix"),
        ("🗝🗝", "prefix"),
        ("z0OIl", "not of the base"),
        ("f1", "not of the base"),
        ("f", "ends within a varint"),
        ("f12", "ends within a varint"),
        ("f80", "ends within a varint"),
        ("f1220", "shorter than its length says"),
        ("f1202aabbcc", "bytes follow the hash"),
        ("f920002aabb", "longer than it need be"),
        ("f128200aabb", "longer than it need be"),
        ("fffffffffffffffffff0102aabb", "9 bytes"),
        ("f808080808080808080020200", "9 bytes"),
        ("fffffffffffffffffffffffffffffffffff", "9 bytes"),
        ("f12ffffffffffffffff7f", "128"),
        ("f128101", "128"),
        (&long, "too long"),
        (&binary, "9 bytes"),
    ] {
        let error = text.parse::<Digest>().unwrap_err();
        assert!(matches!(error, Error::InvalidDigest { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(why), "{text:?}: {message}");
        assert!(message.len() < 200, "{message}");
    }
}

/// What people paste where a digest belongs.
#[test]
fn cids_and_bare_hashes() {
    let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    assert_eq!(
        "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"
            .parse::<Digest>()
            .unwrap(),
        digest
    );
    for (text, why) in [
        // A dag-pb block and a dag-cbor block, whose digests are not those of a file's bytes.
        ("QmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5", "a CIDv0"),
        (
            "bafybeibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq",
            "not raw bytes",
        ),
        (
            "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
            "not raw bytes",
        ),
    ] {
        let message = text.parse::<Digest>().unwrap_err().to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[test]
fn as_the_types_of_other_crates() {
    let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    let multihash = multihash::Multihash::<64>::try_from(&digest).unwrap();
    assert_eq!(multihash.to_bytes(), digest.as_bytes());
    assert_eq!(Digest::try_from(&multihash).unwrap(), digest);
    let cid = cid::Cid::try_from(&digest).unwrap();
    assert_eq!(cid.to_string().parse::<Digest>().unwrap(), digest);
    assert_eq!(Digest::try_from(&cid).unwrap(), digest);
    let block = cid::Cid::new_v1(0x71, multihash);
    assert!(Digest::try_from(&block).is_err());
    // What has no room there is an error.
    let long = Digest::from_bytes([&[0x16, 100][..], &[7; 100]].concat()).unwrap();
    assert!(multihash::Multihash::<64>::try_from(&long).is_err());
    assert!(multihash::Multihash::<128>::try_from(&long).is_ok());
}

/// The bound of the one parser, and one byte more: refused before it is decoded.
#[test]
fn the_longest_text() {
    for prefix in ['z', 'k', '9', 'f'] {
        let text = |len: usize| format!("{prefix}{}", "2".repeat(len - 1));
        let too_long = text(Digest::MAX_TEXT + 1).parse::<Digest>().unwrap_err();
        assert!(too_long.to_string().contains("too long"), "{too_long}");
        let longest = text(Digest::MAX_TEXT).parse::<Digest>().unwrap_err();
        assert!(!longest.to_string().contains("too long"), "{longest}");
    }
}

#[test]
fn an_unknown_function_is_a_digest_that_says_so_when_asked() {
    let digest: Digest = "f1114aabbccddeeff00112233445566778899aabbccdd"
        .parse()
        .unwrap();
    assert_eq!(digest.code(), 0x11);
    assert!(matches!(
        digest.function(),
        Err(Error::UnknownHash { code: 0x11, .. })
    ));
    let truncated: Digest = "f1202aabb".parse().unwrap();
    assert!(matches!(
        truncated.function(),
        Err(Error::HashLength {
            function: HashFunction::Sha2_256,
            len: 2,
            ..
        })
    ));
}

#[tokio::test]
async fn a_body_has_the_digest_of_its_bytes() {
    // Around what is hashed on the spot, handed over at once, and held up for; and pieces from
    // single bytes to all at once.
    for len in [0, 1, 4096, 4097, 65_536, 65_537, 262_143, 262_144, 5 << 20] {
        let bytes = noise(len, len as u64);
        for function in HashFunction::ALL {
            let expected = Digest::of(function, &bytes);
            assert_eq!(
                Digest::of_body(function, bytes.clone()).await.unwrap(),
                expected
            );
            for piece in [1, 4096, 10_000, 300_000, 3 << 20]
                .into_iter()
                .filter(|piece| len / piece < 100_000)
            {
                assert_eq!(
                    Digest::of_body(function, in_pieces(&bytes, piece))
                        .await
                        .unwrap(),
                    expected,
                    "{function} {len} {piece}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_file_has_the_digest_of_its_bytes_and_a_missing_one_none() {
    let body = Body::from_path(env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml")
        .await
        .unwrap();
    let digest = Digest::of_body(HashFunction::Sha2_256, body).await.unwrap();
    assert_eq!(
        digest,
        Digest::of(HashFunction::Sha2_256, include_bytes!("../Cargo.toml"))
    );
    assert!(Body::from_path("/nowhere/at/all").await.is_err());
}

#[test]
fn without_a_runtime_hashing_happens_on_the_spot() {
    let bytes = noise(1 << 20, 1);
    let digest =
        futures_util::FutureExt::now_or_never(Digest::of_body(HashFunction::Blake3, bytes.clone()))
            .unwrap()
            .unwrap();
    assert_eq!(digest, Digest::of(HashFunction::Blake3, &bytes));
}

#[cfg(feature = "serde")]
#[test]
fn serde_writes_text_and_refuses_what_is_none() {
    let digest: Digest = HELLO.parse().unwrap();
    assert_eq!(
        serde_json::to_string(&digest).unwrap(),
        format!("\"{HELLO}\"")
    );
    assert_eq!(
        serde_json::from_str::<Digest>(&format!("\"{HELLO}\"")).unwrap(),
        digest
    );
    assert!(serde_json::from_str::<Digest>("\"zQm\"").is_err());
}

proptest! {
    #[test]
    fn bytes_and_text_round_trip(code in any::<u64>().prop_map(|code| code >> 1), hash in prop::collection::vec(any::<u8>(), 0..=128)) {
        let mut bytes = leb128(code);
        bytes.extend(leb128(hash.len() as u64));
        bytes.extend(&hash);
        let digest = Digest::from_bytes(&bytes).unwrap();
        prop_assert_eq!(digest.as_bytes(), &bytes);
        prop_assert_eq!(digest.code(), code);
        prop_assert_eq!(digest.hash(), &hash);
        prop_assert!(digest.to_string().starts_with('z'));
        for base in [multibase::Base::Base2, multibase::Base::Base16Upper, multibase::Base::Base32Lower, multibase::Base::Base36Lower,
            multibase::Base::Base58Btc, multibase::Base::Base64UrlPad] {
            prop_assert_eq!(&multibase::encode(base, &bytes).parse::<Digest>().unwrap(), &digest);
        }
        bytes.push(0);
        prop_assert!(Digest::from_bytes(&bytes).is_err());
        prop_assert!(Digest::from_bytes(&bytes[..bytes.len() - 2]).is_err());
    }

    #[test]
    fn no_text_and_no_bytes_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = text.parse::<Digest>();
        if let Ok(digest) = Digest::from_bytes(&bytes) {
            prop_assert_eq!(digest.as_bytes(), &bytes);
        }
    }

    #[test]
    fn different_bytes_have_different_digests(function in any_function(), a in prop::collection::vec(any::<u8>(), 0..50), b in prop::collection::vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(Digest::of(function, &a) == Digest::of(function, &b), a == b);
    }
}

fn leb128(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
