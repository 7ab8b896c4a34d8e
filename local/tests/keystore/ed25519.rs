//! Ed25519 keys: RFC 8032's vectors, Go's forms, OpenSSL's PEM.

use storehouse_local::keystore::{Ed25519Key, Ed25519Public};
use storehouse_local::{Error, Secret};

use crate::support::{key, show};

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// RFC 8032, section 7.1, tests 1 to 3.
#[test]
fn signatures_are_those_of_the_rfc() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let key = Ed25519Key::from_secret(&unhex(seed).into()).unwrap();
        assert_eq!(key.public().to_bytes().as_slice(), unhex(public));
        let (message, expected) = (unhex(message), unhex(signature));
        assert_eq!(key.sign(&message).as_slice(), expected);
        let signature: [u8; 64] = expected.try_into().unwrap();
        assert!(key.public().verify(&message, &signature));
        let mut wrong = signature;
        wrong[3] ^= 1;
        assert!(
            !key.public().verify(&message, &wrong) && !key.public().verify(b"another", &signature)
        );
        let public = Ed25519Public::from_bytes(&key.public().to_bytes()).unwrap();
        assert_eq!(public, key.public());
    }
}

/// The DID of RFC 8032's first key, as `did:key` has it.
#[test]
fn dids() {
    let key = Ed25519Key::from_secret(
        &unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").into(),
    )
    .unwrap();
    assert!(
        key.did().starts_with("did:key:z6Mk") && key.did().len() == 56,
        "{}",
        key.did()
    );
    assert_eq!(
        format!("{key:?}"),
        format!("Ed25519Key({}, [redacted])", key.did())
    );
    assert_eq!(key.public().to_string(), key.did());
}

#[test]
fn seeds_and_seeds_with_their_public_key() {
    let short = key(1);
    let loaded = Ed25519Key::from_secret(&short).unwrap();
    assert_eq!(loaded.to_secret().expose(), short.expose());
    let long = [short.expose(), &loaded.public().to_bytes()].concat();
    assert_eq!(
        Ed25519Key::from_secret(&long.clone().into()).unwrap().did(),
        loaded.did()
    );
    let mut wrong = long.clone();
    wrong[40] ^= 1;
    for bad in [
        wrong,
        long[..63].to_vec(),
        long[..31].to_vec(),
        Vec::new(),
        [&long[..], &[0]].concat(),
    ] {
        let error = Ed25519Key::from_secret(&bad.into()).unwrap_err();
        assert!(matches!(error, Error::InvalidKey { .. }), "{error:?}");
        show(&error);
    }
    assert_ne!(
        Ed25519Key::generate().unwrap().did(),
        Ed25519Key::generate().unwrap().did()
    );
}

/// RFC 8410, section 10.3: OpenSSL's form of a private key, without and with its public one.
#[test]
fn pem() {
    let plain = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let key = Ed25519Key::from_pem(&plain.into()).unwrap();
    assert_eq!(
        key.public().to_bytes().as_slice(),
        unhex("19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1")
    );
    assert_eq!(key.to_pem().unwrap().expose(), plain.as_bytes());
    let with_spaces: Secret = format!("\n  {plain}\n\n").into();
    assert_eq!(Ed25519Key::from_pem(&with_spaces).unwrap().did(), key.did());

    let new = Ed25519Key::generate().unwrap();
    assert_eq!(
        Ed25519Key::from_pem(&new.to_pem().unwrap()).unwrap().did(),
        new.did()
    );
    for at in (0..plain.len()).step_by(3) {
        for bad in [
            plain[..at].to_owned(),
            plain.replace("PRIVATE", "PUBLIC"),
            format!("{}\u{e4}{}", &plain[..at], &plain[at..]),
        ] {
            if let Err(error) = Ed25519Key::from_pem(&bad.into()) {
                assert!(matches!(error, Error::InvalidKey { .. }), "{error:?}");
                show(&error);
            } else {
                assert!(at > plain.len() - 3, "cut at {at}");
            }
        }
    }
}
