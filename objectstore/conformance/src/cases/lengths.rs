//! Rules 2 and 4: bodies that are too long, too short, endless or failing leave what was there, and
//! nothing else.

use bytes::Bytes;

use super::super::Fixture;
use super::super::bodies::{Step, halting, pieces, script};
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{Body, Error, Key, PutOptions};

/// Sizes of a body that goes wrong: within one piece, over several, and where a store sends it in
/// parts.
fn sizes(fixture: &Fixture) -> impl Iterator<Item = usize> {
    let largest = fixture.known().pace.largest as usize;
    [1, 100, 300_000, (5 << 20) + 7, (9 << 20) + 7]
        .into_iter()
        .filter(move |size| *size <= largest)
}

/// A store with an object at one key and none at the other.
async fn before(fixture: &Fixture) -> (Bytes, [(Key, Option<Bytes>); 2]) {
    let old = stamped(1, 5000);
    let (there, missing) = (fixture.key("there"), fixture.key("missing"));
    fixture.put(2, &there, old.clone()).await;
    (old.clone(), [(there, Some(old)), (missing, None)])
}

pub(in super::super) async fn one_byte_more(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    for size in sizes(&fixture) {
        for (key, was) in &keys {
            let bytes = stamped(2, size);
            let steps = halting(&bytes, 90_000).chain([
                Step::Piece(Bytes::from("x")),
                Step::Endless(Bytes::from("never to be asked for")),
            ]);
            let (body, taken) = script(steps);
            let put = fixture
                .try_put(key, body, PutOptions::default().size(size as u64))
                .await;
            ensure_err!(4, put, Error::TooLarge { limit, .. } if limit == size as u64, "put of one byte more than {size}");
            ensure_eq!(
                4,
                taken.bytes(),
                size as u64 + 1,
                "bytes taken from a body of one more than {size}: it was read on"
            );
            fixture
                .assert_holds(4, key, was.as_ref(), "after a body of one byte too many")
                .await;
        }
    }
    fixture
        .assert_nothing_left(4, "a body of one byte too many")
        .await;
}

pub(in super::super) async fn one_byte_less(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    for size in sizes(&fixture) {
        for (key, was) in &keys {
            let (body, _) = script(halting(&stamped(2, size - 1), 90_000));
            let put = fixture
                .try_put(key, body, PutOptions::default().size(size as u64))
                .await;
            ensure_err!(4, put, Error::TooSmall { declared, received, .. } if declared == size as u64 && received + 1 == declared, "put of one byte less than {size}");
            fixture
                .assert_holds(4, key, was.as_ref(), "after a body of one byte too few")
                .await;
        }
    }
    fixture
        .assert_nothing_left(4, "a body of one byte too few")
        .await;
}

pub(in super::super) async fn known_beforehand(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    for (key, was) in &keys {
        let put = fixture
            .try_put(
                key,
                Bytes::from_static(&[0; 10]),
                PutOptions::default().size(9),
            )
            .await;
        ensure_err!(4, put, Error::TooLarge { .. }, "10 bytes declared as 9");
        let put = fixture
            .try_put(
                key,
                Bytes::from_static(&[0; 10]),
                PutOptions::default().size(11),
            )
            .await;
        ensure_err!(4, put, Error::TooSmall { .. }, "10 bytes declared as 11");
        let put = fixture
            .try_put(
                key,
                script(pieces(&stamped(1, 10), 3)).0,
                PutOptions::default(),
            )
            .await;
        ensure_err!(
            4,
            put,
            Error::InvalidRequest { .. },
            "a stream without a size"
        );
        fixture
            .assert_holds(4, key, was.as_ref(), "after wrong sizes known beforehand")
            .await;
    }
}

pub(in super::super) async fn endless(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    let piece = stamped(3, 1000);
    for (key, was) in &keys {
        let (body, taken) = script([Step::Endless(piece.clone())]);
        let put = fixture
            .try_put(key, body, PutOptions::default().size(2500))
            .await;
        ensure_err!(
            4,
            put,
            Error::TooLarge { .. },
            "put of an endless body declared as 2,500 bytes"
        );
        ensure_eq!(
            4,
            taken.bytes(),
            3000,
            "bytes taken from an endless body declared as 2,500, in pieces of 1,000"
        );
        fixture
            .assert_holds(4, key, was.as_ref(), "after an endless body")
            .await;
    }
    fixture.assert_nothing_left(4, "an endless body").await;
}

pub(in super::super) async fn absurd_size_declared(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    let max = fixture.store().capabilities().max_size;
    for (key, was) in &keys {
        for declared in [u64::MAX, u64::MAX - 1, 1 << 63]
            .into_iter()
            .chain(max.checked_add(1))
        {
            let (body, taken) = script([Step::Piece(stamped(4, 100)), Step::Hang]);
            let put = fixture
                .try_put(key, body, PutOptions::default().size(declared))
                .await;
            ensure_err!(4, put, Error::TooLarge { limit, .. } if limit == max, "put of {declared} bytes declared, where at most {max} are possible");
            ensure_eq!(
                4,
                taken.bytes(),
                0,
                "bytes taken from a body of {declared} bytes"
            );
        }
        // Possible by the capabilities, but no allocation, reservation or part may follow from the
        // promise alone.
        let (body, _) = script([Step::Piece(stamped(4, 100))]);
        let put = fixture
            .try_put(key, body, PutOptions::default().size(max))
            .await;
        ensure!(
            4,
            put.is_err(),
            "100 bytes are stored as the {max} declared"
        );
        fixture
            .assert_holds(4, key, was.as_ref(), "after an absurd declared size")
            .await;
    }
    fixture
        .assert_nothing_left(4, "an absurd declared size")
        .await;
}

pub(in super::super) async fn failing_source(fixture: Fixture) {
    let (_, keys) = before(&fixture).await;
    for size in sizes(&fixture) {
        let bytes = stamped(2, size);
        for given in [0, size / 2, size] {
            for (key, was) in &keys {
                // After the last byte too: a source that verifies what it streams gives its verdict
                // there.
                let (body, _) = script(halting(&bytes.slice(..given), 90_000).chain([Step::Fail]));
                let put = fixture
                    .try_put(key, body, PutOptions::default().size(size as u64))
                    .await;
                ensure_err!(2, put, Error::Body { key: Some(ref said), .. } if said == key, "put of {size} bytes whose source fails after {given}");
                fixture
                    .assert_holds(2, key, was.as_ref(), "after a source that failed")
                    .await;
            }
        }
    }
    fixture.assert_nothing_left(2, "a source that failed").await;
}

pub(in super::super) async fn failing_then_well(fixture: Fixture) {
    let key = fixture.key("again");
    let bytes = stamped(5, 300_000);
    for round in 0..3 {
        let (body, _) = script(pieces(&bytes.slice(..200_000), 90_000).chain([Step::Fail]));
        let put = fixture
            .try_put(&key, body, PutOptions::default().size(300_000))
            .await;
        ensure!(2, put.is_err(), "a put whose source failed succeeds");
        let (body, _) = script(pieces(&bytes, 90_000));
        fixture
            .try_put(&key, body, PutOptions::default().size(300_000))
            .await
            .or_fail(2, format_args!("put after a failed one, round {round}"));
        fixture
            .assert_holds(2, &key, Some(&bytes), "after a failed and a good put")
            .await;
    }
}

pub(in super::super) async fn promised_sha256(fixture: Fixture) {
    // Of zeros; the sizes are those of a body in one piece, in several, and in parts.
    let known: [(usize, &str); 3] = [
        (
            0,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ),
        (
            300_000,
            "886715e4051e827f4fe215df3053af3f85ad0d352db2c829c7487af6d78efe30",
        ),
        (
            (9 << 20) + 7,
            "4ddac880311cf483b14e32ecf5a5de37c1004ee992bc3e00e6a35dfebe26af25",
        ),
    ];
    let key = fixture.key("hashed");
    let old = stamped(1, 5000);
    for (size, hex) in known {
        let right: [u8; 32] = std::array::from_fn(|n| {
            u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap_or_default()
        });
        let mut wrong = right;
        wrong[31] ^= 1;
        let bytes = Bytes::from(vec![0; size]);
        let bodies = || [Body::from(bytes.clone()), script(halting(&bytes, 90_000)).0];
        let options = |sha256| PutOptions::default().size(size as u64).sha256(sha256);
        for body in bodies() {
            fixture
                .try_put(&key, body, options(right))
                .await
                .or_fail(4, format_args!("put of {size} bytes with their SHA-256"));
            fixture
                .assert_holds(4, &key, Some(&bytes), "after a put with the right SHA-256")
                .await;
        }
        for body in bodies() {
            fixture.put(4, &key, old.clone()).await;
            let put = fixture.try_put(&key, body, options(wrong)).await;
            if fixture.store().capabilities().verifies_sha256 {
                ensure_err!(4, put, Error::ChecksumMismatch { key: ref said } if *said == key, "put of {size} bytes with another SHA-256");
                fixture
                    .assert_holds(2, &key, Some(&old), "after a put with a wrong SHA-256")
                    .await;
            } else {
                // The store does not promise to check it; a server may check it all the same.
                let expected = if put.is_ok() { &bytes } else { &old };
                fixture
                    .assert_holds(
                        2,
                        &key,
                        Some(expected),
                        "after a put with a wrong SHA-256 that nobody promised to check",
                    )
                    .await;
            }
        }
    }
    fixture.assert_nothing_left(4, "puts with a SHA-256").await;
}
