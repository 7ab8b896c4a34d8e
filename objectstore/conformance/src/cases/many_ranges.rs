//! Rule 18: several ranges of one version.

use futures_util::future;

use bytes::Bytes;

use super::super::Fixture;
use super::super::check::{OrFail, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{ByteRange, ETag, Error, GetOptions};

const SIZE: usize = 300_000;

pub(in super::super) async fn are_exact(fixture: Fixture) {
    let (key, content) = (fixture.key("ranges"), stamped(1, SIZE));
    let tag = fixture.put(18, &key, content.clone()).await.etag;
    let size = SIZE as u64;
    let sets: Vec<Vec<ByteRange>> = vec![
        vec![],
        vec![ByteRange::WHOLE],
        vec![(0..1).into()],
        vec![(size - 1..size).into(), (0..1).into()],
        vec![
            (10..20).into(),
            (15..30).into(),
            (0..100).into(),
            (10..20).into(),
        ],
        vec![
            ByteRange::suffix(7),
            (100..).into(),
            ByteRange::inclusive(5, Some(5)),
        ],
        vec![(size - 5..size + 5).into(), ByteRange::suffix(size + 1)]
            .into_iter()
            .map(ByteRange::clamped)
            .collect(),
        // Far apart and many.
        (0..40)
            .rev()
            .map(|n| (n * 7_000..n * 7_000 + 9).into())
            .collect(),
    ];
    for ranges in sets {
        let got = fixture
            .store()
            .get_ranges_opts(&key, &ranges, GetOptions::default().if_match(tag.clone()))
            .await
            .or_fail(18, format_args!("the ranges {ranges:?}"));
        let part = |range: &ByteRange| {
            let range = range.resolve(size).unwrap_or_else(|| panic!("{range:?}"));
            content.slice(range.start as usize..range.end as usize)
        };
        let expected: Vec<Bytes> = ranges.iter().map(part).collect();
        ensure_eq!(18, got.parts, expected, "the ranges {ranges:?}");
        ensure_eq!(
            18,
            (got.metadata.size, &got.metadata.etag),
            (size, &tag),
            "what is known of the object"
        );
    }
    let empty = fixture.key("empty");
    fixture.put(18, &empty, "").await;
    let whole = fixture
        .store()
        .get_ranges_opts(&empty, &[ByteRange::WHOLE], GetOptions::default())
        .await
        .or_fail(18, "the whole of an empty object");
    ensure_eq!(18, whole.parts, [Bytes::new()], "an empty object");
}

pub(in super::super) async fn are_refused(fixture: Fixture) {
    let (key, missing) = (fixture.key("there"), fixture.key("missing"));
    let tag = fixture.put(18, &key, "0123456789").await.etag;
    let store = fixture.store();
    let (two, none) = ([(0..2).into(), (9..11).into()], GetOptions::default);
    let past = store.get_ranges_opts(&key, &two, none()).await;
    ensure_err!(
        18,
        past,
        Error::RangeNotSatisfiable { size: 10, .. },
        "ranges of which one ends past the object"
    );
    for ranges in [&two[..1], &[]] {
        let gone = store.get_ranges_opts(&missing, ranges, none()).await;
        ensure_err!(18, gone, Error::NotFound { key: said, .. } if said == missing, "ranges of what is missing");
        let other = none().if_match(ETag::new("\"another\""));
        let other = store.get_ranges_opts(&key, ranges, other).await;
        ensure_err!(
            18,
            other,
            Error::Precondition { .. },
            "ranges of another version than asked for"
        );
        let same = none().if_none_match(tag.clone());
        let same = store.get_ranges_opts(&key, ranges, same).await;
        ensure_err!(
            18,
            same,
            Error::NotModified { .. },
            "ranges of another version than the known one"
        );
    }
    let twice = none().range(0..1);
    let twice = store.get_ranges_opts(&key, &two[..1], twice).await;
    ensure_err!(
        18,
        twice,
        Error::InvalidRequest { .. },
        "ranges with a range in the options"
    );
}

pub(in super::super) async fn are_of_one_version(fixture: Fixture) {
    if !fixture.known().linearizable {
        return;
    }
    let key = fixture.key("versions");
    fixture.put(18, &key, stamped(0, SIZE)).await;
    let rounds = fixture.known().pace.rounds as u64;
    let writing = async {
        for version in 1..rounds {
            fixture.put(18, &key, stamped(version, SIZE)).await;
        }
    };
    let ranges = [
        (0..8).into(),
        (SIZE as u64 / 256 * 256 - 256..SIZE as u64 / 256 * 256 - 248).into(),
    ];
    let reading = async {
        for _ in 0..rounds {
            let got = fixture
                .store()
                .get_ranges_opts(&key, &ranges, GetOptions::default())
                .await;
            match got {
                Ok(got) => ensure_eq!(18, got.parts[0], got.parts[1], "the versions of two ranges"),
                Err(error) if error.is_transient() => {}
                failed => drop(failed.or_fail(18, "ranges while the object is replaced")),
            }
        }
    };
    future::join(writing, reading).await;
}
