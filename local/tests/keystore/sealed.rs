//! Keys sealed under a passphrase.

use std::fs;

use storehouse_local::Error;
use storehouse_local::keystore::{FileKeyStore, KeyStore, PutKey, SealCost};

use crate::support::{MARK, cheap, key, name, passphrase, sealing, show, store};

#[tokio::test]
async fn a_sealed_key_opens_with_its_passphrase_alone() {
    let (_dir, plain) = store().await;
    let sealed = FileKeyStore::open(plain.path(), sealing(passphrase(1)))
        .await
        .unwrap();
    sealed
        .put(&name("a"), &key(1), PutKey::Create)
        .await
        .unwrap();
    let file = fs::read(plain.path().join("a.key")).unwrap();
    assert!(
        !file
            .windows(MARK.len())
            .any(|window| window == MARK.as_bytes())
    );

    assert_eq!(
        sealed.get(&name("a")).await.unwrap().expose(),
        key(1).expose()
    );
    let error = plain.get(&name("a")).await.unwrap_err();
    assert!(matches!(error, Error::PassphraseNeeded { .. }), "{error:?}");
    show(&error);
    let wrong = FileKeyStore::open(plain.path(), sealing(passphrase(2)))
        .await
        .unwrap();
    let error = wrong.get(&name("a")).await.unwrap_err();
    assert!(matches!(error, Error::WrongPassphrase { .. }), "{error:?}");
    show(&error);

    // Parameters are the file's, so another default opens it too.
    plain
        .put(&name("p"), &key(2), PutKey::Create)
        .await
        .unwrap();
    let dearer = sealing(passphrase(1))
        .cost(SealCost::default().memory(128).passes(2).lanes(2))
        .allow_unsealed(true);
    let dearer = FileKeyStore::open(plain.path(), dearer).await.unwrap();
    assert_eq!(
        dearer.get(&name("a")).await.unwrap().expose(),
        key(1).expose()
    );
    assert_eq!(
        dearer.get(&name("p")).await.unwrap().expose(),
        key(2).expose()
    );
    dearer
        .put(&name("a"), &key(3), PutKey::Replace)
        .await
        .unwrap();
    assert_eq!(
        sealed.get(&name("a")).await.unwrap().expose(),
        key(3).expose()
    );

    // Two sealings of one key have nothing in common but what is public.
    sealed
        .put(&name("c"), &key(1), PutKey::Create)
        .await
        .unwrap();
    sealed
        .put(&name("d"), &key(1), PutKey::Create)
        .await
        .unwrap();
    let [c, d] = ["c", "d"].map(|name| fs::read(plain.path().join(format!("{name}.key"))).unwrap());
    assert_eq!(c[..30], d[..30]);
    assert!(
        c[30..]
            .windows(8)
            .all(|window| !d[30..].windows(8).any(|other| other == window))
    );
}

/// A changed byte anywhere is damage, whatever the passphrase. A file whose checksum was made to
/// fit is told by what it is.
#[tokio::test]
async fn damage_is_not_taken_for_a_wrong_passphrase() {
    let (_dir, plain) = store().await;
    let right = FileKeyStore::open(plain.path(), sealing(passphrase(1)))
        .await
        .unwrap();
    let wrong = FileKeyStore::open(plain.path(), sealing(passphrase(2)))
        .await
        .unwrap();
    right
        .put(&name("a"), &key(1), PutKey::Create)
        .await
        .unwrap();
    let path = plain.path().join("a.key");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 0x20;
        fs::write(&path, &file).unwrap();
        for keys in [&right, &wrong] {
            let error = keys.get(&name("a")).await.unwrap_err();
            assert!(
                matches!(error, Error::Damaged { .. }),
                "byte {at}: {error:?}"
            );
        }
        fs::write(&path, &whole[..at]).unwrap();
        assert!(
            matches!(right.get(&name("a")).await, Err(Error::Damaged { .. })),
            "cut at {at}"
        );
    }

    let with_sum = |mut file: Vec<u8>| {
        use sha2::Digest;
        let body = file.len() - 32;
        let sum = sha2::Sha256::digest(&file[..body]);
        file[body..].copy_from_slice(&sum);
        file
    };
    let ciphertext = 18 + 12 + 16 + 16 + 24;
    for at in 18..whole.len() - 32 {
        let mut file = whole.clone();
        file[at] ^= 0x20;
        fs::write(&path, with_sum(file)).unwrap();
        let error = right.get(&name("a")).await.unwrap_err();
        match at {
            // Cost (unless it is out of bounds), salt and check: another key is derived, or another
            // one expected.
            18..62 => assert!(
                matches!(error, Error::WrongPassphrase { .. } | Error::Damaged { .. }),
                "byte {at}: {error:?}"
            ),
            // The nonce, the ciphertext and the tag: the passphrase is known to be right.
            _ => assert!(
                matches!(error, Error::Damaged { .. }),
                "byte {at}: {error:?}"
            ),
        }
        show(&error);
    }
    assert!(ciphertext < whole.len() - 32 - 16);

    // One key's file cannot stand in for another's.
    fs::write(&path, &whole).unwrap();
    fs::copy(&path, plain.path().join("b.key")).unwrap();
    assert!(matches!(
        right.get(&name("b")).await,
        Err(Error::Damaged { .. })
    ));
}

/// What a file asks for is bounded before any memory is taken.
#[tokio::test]
async fn absurd_costs_are_refused() {
    let (dir, plain) = store().await;
    let keys = FileKeyStore::open(plain.path(), sealing(passphrase(1)))
        .await
        .unwrap();
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let path = plain.path().join("a.key");
    let whole = fs::read(&path).unwrap();
    for (at, value) in [
        (18, u32::MAX),
        (18, 7),
        (18, (1 << 20) + 1),
        (22, 65),
        (22, 0),
        (26, 65),
        (26, 0),
        (22, u32::MAX),
        (26, u32::MAX),
        // 1 GiB in 5 passes: each field is in its bounds, and together they are too much.
        (0, 0),
    ] {
        let mut file = whole.clone();
        if at == 0 {
            file[18..22].copy_from_slice(&(1_u32 << 20).to_le_bytes());
            file[22..26].copy_from_slice(&5_u32.to_le_bytes());
        } else {
            file[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        use sha2::Digest;
        let body = file.len() - 32;
        let sum = sha2::Sha256::digest(&file[..body]);
        file[body..].copy_from_slice(&sum);
        fs::write(&path, file).unwrap();
        let error = keys.get(&name("a")).await.unwrap_err();
        assert!(
            matches!(error, Error::Damaged { .. }),
            "{at} {value}: {error:?}"
        );
    }
    let bad = sealing(passphrase(1)).cost(cheap().memory(7));
    assert!(matches!(
        FileKeyStore::open(dir.path().join("x"), bad).await,
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        FileKeyStore::open(dir.path().join("x"), sealing(Vec::new().into())).await,
        Err(Error::Invalid { .. })
    ));
}

/// With a passphrase, keys that are stored as they are can be named and sealed, and are not read
/// before: a file put in the place of a sealed one is noticed.
#[tokio::test]
async fn unsealed_keys_in_a_sealed_store() {
    let (_dir, plain) = store().await;
    for n in 1..=2 {
        let name = name(&format!("open-{n}"));
        plain.put(&name, &key(n), PutKey::Create).await.unwrap();
    }
    let sealed = FileKeyStore::open(plain.path(), sealing(passphrase(1)))
        .await
        .unwrap();
    let one = name("sealed");
    sealed.put(&one, &key(3), PutKey::Create).await.unwrap();
    // What is damaged is no key that could be sealed.
    fs::write(plain.path().join("damaged.key"), b"storehouse key 1\n\0key").unwrap();
    crate::support::set_mode(&plain.path().join("damaged.key"), 0o600);

    let open = [name("open-1"), name("open-2")];
    assert_eq!(sealed.unsealed().await.unwrap(), open);
    for name in &open {
        let error = sealed.get(name).await.unwrap_err();
        assert!(matches!(error, Error::Unsealed { .. }), "{error:?}");
        show(&error);
    }
    let error = plain.seal_unsealed().await.unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error:?}");

    assert_eq!(sealed.seal_unsealed().await.unwrap(), open);
    assert!(sealed.unsealed().await.unwrap().is_empty());
    assert!(sealed.seal_unsealed().await.unwrap().is_empty());
    for (n, name) in (1..).zip(&open) {
        let file = fs::read(plain.path().join(format!("{name}.key"))).unwrap();
        assert!(
            !file
                .windows(MARK.len())
                .any(|window| window == MARK.as_bytes())
        );
        assert_eq!(sealed.get(name).await.unwrap().expose(), key(n).expose());
    }

    // Another key, as it is, in the place of the sealed one.
    let other = plain.path().join("open-1.key");
    plain.put(&open[0], &key(9), PutKey::Replace).await.unwrap();
    fs::rename(&other, plain.path().join("sealed.key")).unwrap();
    let error = sealed.get(&one).await.unwrap_err();
    assert!(matches!(error, Error::Unsealed { .. }), "{error:?}");
    let allowing = sealing(passphrase(1)).allow_unsealed(true);
    let allowing = FileKeyStore::open(plain.path(), allowing).await.unwrap();
    assert_eq!(allowing.get(&one).await.unwrap().expose(), key(9).expose());
}
