//! Key encoders: the bytes that Piri wrote, and exact inverses.

mod support;

use proptest::prelude::*;
use storehouse_blobstore::{Digest, FlatfsKeys, KeyEncoder, PlainKeys, S3Keys};
use storehouse_objectstore::Key;
use support::vectors;

fn encoders() -> [Box<dyn KeyEncoder>; 3] {
    [Box::new(FlatfsKeys), Box::new(S3Keys), Box::new(PlainKeys)]
}

#[test]
fn vectors_encode_to_what_piri_wrote_and_back() {
    for vector in vectors() {
        let digest = vector.digest();
        for (keys, text) in
            encoders()
                .iter()
                .zip([&vector.flatfs_key, &vector.s3_key, &vector.digest])
        {
            let key = keys.encode(&digest).unwrap();
            assert_eq!(key.as_str(), text);
            assert_eq!(keys.decode(&key).unwrap(), digest);
        }
        let legacy = S3Keys.encode_legacy(&digest).unwrap().unwrap();
        assert_eq!(legacy.as_str(), vector.flatfs_key);
        assert_eq!(S3Keys.decode(&legacy).unwrap(), digest);
    }
}

#[test]
fn what_is_no_key_of_a_blob_is_not_decoded() {
    let b32 = "ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja";
    for text in [
        "a",
        "hello/world.data",
        &b32[1..],
        &b32[..54],
        &b32.to_uppercase(),
        // The last character holds two bits that must be zero.
        &format!("{}b", &b32[..54]),
        &format!("{b32}.data"),
        &format!("qk/{b32}.data"),
        &format!("qj/{b32}"),
        &format!("qj/qj/{b32}.data"),
        &format!("QJ/{b32}.data"),
        &format!("b{b32}"),
        "uEiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJA",
    ] {
        let key = Key::new(text).unwrap();
        for keys in encoders() {
            assert_eq!(keys.decode(&key), None, "{keys:?} {text}");
        }
    }
}

fn any_digest() -> impl Strategy<Value = Digest> {
    (
        prop_oneof![
            Just(0x12u64),
            Just(0u64),
            any::<u64>().prop_map(|code| code >> 1)
        ],
        prop::collection::vec(any::<u8>(), 0..=128),
    )
        .prop_map(|(mut code, hash)| {
            let mut bytes = Vec::new();
            while code >= 0x80 {
                bytes.push(code as u8 | 0x80);
                code >>= 7;
            }
            bytes.push(code as u8);
            if hash.len() == 128 {
                bytes.extend([0x80, 1]);
            } else {
                bytes.push(hash.len() as u8);
            }
            bytes.extend(hash);
            Digest::from_bytes(bytes).unwrap()
        })
}

proptest! {
    #[test]
    fn every_digest_has_keys_that_decode_to_it_and_fit_into_a_file_name(digest in any_digest()) {
        for keys in encoders() {
            let key = keys.encode(&digest).unwrap();
            prop_assert_eq!(keys.decode(&key), Some(digest.clone()));
            if let Some(legacy) = keys.encode_legacy(&digest).unwrap() {
                prop_assert_eq!(keys.decode(&legacy), Some(digest.clone()));
                prop_assert_ne!(legacy, key);
            }
        }
        let flatfs = FlatfsKeys.encode(&digest).unwrap();
        prop_assert!(flatfs.as_str().bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')));
        prop_assert!(flatfs.as_str().len() + ".data".len() <= 255);
    }

    #[test]
    fn what_decodes_is_the_key_or_the_legacy_key(text in "([a-z2-7]{2}/)?[a-z2-7]{4,60}(\\.data)?|z[1-9A-HJ-NP-Za-km-z]{4,60}") {
        let key = Key::new(&text).unwrap();
        for keys in encoders() {
            if let Some(digest) = keys.decode(&key) {
                prop_assert!(keys.encode(&digest).unwrap() == key || keys.encode_legacy(&digest).unwrap() == Some(key.clone()));
            }
        }
    }
}
