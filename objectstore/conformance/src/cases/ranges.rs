//! Rule 8: ranges are exact, or clamped where the caller asks for it.

#![allow(clippy::reversed_empty_ranges)]

use std::ops::Range;

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{ByteRange, Error, GetOptions};

/// Every form of a range at every edge of an object of `size` bytes, and what it must give. Written
/// down apart from [`ByteRange::resolve`].
fn edges(size: u64) -> Vec<(ByteRange, Option<Range<u64>>)> {
    let some = |range: Range<u64>| {
        Some(range).filter(|range| range.start < range.end && range.end <= size)
    };
    let points = [
        0,
        1,
        size / 2,
        size.saturating_sub(1),
        size,
        size + 1,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let mut edges = vec![
        (ByteRange::from(..), Some(0..size)),
        (ByteRange::WHOLE, Some(0..size)),
    ];
    for start in points {
        edges.push((ByteRange::from(start..), some(start..size)));
        edges.push((ByteRange::inclusive(start, None), some(start..size)));
        edges.push((ByteRange::from(..start), some(0..start)));
        edges.push((
            ByteRange::from(..=start),
            start.checked_add(1).and_then(|end| some(0..end)),
        ));
        edges.push((
            ByteRange::suffix(start),
            size.checked_sub(start).and_then(|from| some(from..size)),
        ));
        for end in points {
            edges.push((ByteRange::from(start..end), some(start..end)));
            edges.push((
                ByteRange::inclusive(start, Some(end)),
                end.checked_add(1).and_then(|end| some(start..end)),
            ));
        }
    }
    let mut seen = std::collections::HashSet::new();
    edges.retain(|(range, _)| seen.insert(*range));
    edges
}

/// The same for clamped ranges. Written down apart from [`ByteRange::resolve`] too.
fn clamped_edges(size: u64) -> Vec<(ByteRange, Option<Range<u64>>)> {
    let some = |range: Range<u64>| {
        Some(range).filter(|range| range.start < range.end && range.start < size)
    };
    let points = [
        0,
        1,
        size / 2,
        size.saturating_sub(1),
        size,
        size + 1,
        5 << 40,
        i64::MAX as u64,
        1 << 63,
        u64::MAX - 1,
        u64::MAX,
    ];
    let mut edges = vec![(ByteRange::WHOLE, Some(0..size))];
    for start in points {
        edges.push((ByteRange::from(start..), some(start..size)));
        edges.push((ByteRange::from(..start), some(0..size.min(start))));
        edges.push((ByteRange::suffix(start), some(size - size.min(start)..size)));
        for end in points {
            edges.push((ByteRange::from(start..end), some(start..size.min(end))));
        }
        edges.push((
            ByteRange::inclusive(start, Some(u64::MAX)),
            some(start..size),
        ));
    }
    let mut seen = std::collections::HashSet::new();
    edges
        .iter_mut()
        .for_each(|(range, _)| *range = range.clamped());
    edges.retain(|(range, _)| seen.insert(*range));
    edges
}

/// Asks for every edge of an object of `size` bytes.
async fn assert_edges(fixture: &Fixture, size: usize, edges: Vec<(ByteRange, Option<Range<u64>>)>) {
    let key = fixture.key("ranges");
    let bytes = stamped(size as u64, size);
    fixture.put(8, &key, bytes.clone()).await;
    for (range, expected) in edges {
        let got = fixture
            .store()
            .get_opts(&key, GetOptions::default().range(range))
            .await;
        let Some(expected) = expected else {
            ensure_err!(8, got, Error::RangeNotSatisfiable { range: asked, size: said, .. } if asked == range && said == size as u64, "range {range} of {size} bytes");
            continue;
        };
        let object = got.or_fail(8, format_args!("range {range} of {size} bytes"));
        ensure_eq!(
            8,
            object.size(),
            size as u64,
            "the size of the whole object with range {range}"
        );
        ensure_eq!(
            8,
            object.range,
            expected,
            "what range {range} of {size} bytes became"
        );
        ensure_eq!(
            8,
            object.body.size(),
            Some(expected.end - expected.start),
            "the size of the body of range {range}"
        );
        let body = object
            .body
            .collect(size as u64)
            .await
            .or_fail(8, format_args!("reading range {range}"));
        ensure!(
            8,
            body == bytes[expected.start as usize..expected.end as usize],
            "range {range} of {size} bytes gives other bytes"
        );
    }
}

pub(in super::super) async fn every_form_at_every_edge(fixture: Fixture) {
    assert_edges(&fixture, 1000, edges(1000)).await;
}

pub(in super::super) async fn of_an_empty_object(fixture: Fixture) {
    assert_edges(&fixture, 0, edges(0)).await;
}

pub(in super::super) async fn of_one_byte(fixture: Fixture) {
    assert_edges(&fixture, 1, edges(1)).await;
}

pub(in super::super) async fn clamped_on_request(fixture: Fixture) {
    for size in [1000, 0, 1] {
        assert_edges(&fixture, size, clamped_edges(size as u64)).await;
    }
}

pub(in super::super) async fn across_pieces(fixture: Fixture) {
    // Boundaries of pieces, parts and blocks lie inside of the ranges, at their starts and at their
    // ends.
    let size = fixture.known().pace.largest.min(9 << 20);
    let key = fixture.key("ranges");
    let bytes = stamped(7, size as usize);
    fixture.put(8, &key, bytes.clone()).await;
    for boundary in [64 << 10, 256 << 10, 512 << 10, 1 << 20, 5 << 20, 8 << 20]
        .into_iter()
        .filter(|at| at + 100 < size)
    {
        for range in [
            boundary - 100..boundary + 100,
            boundary - 100..boundary,
            boundary..boundary + 100,
            boundary - 1..size,
            0..boundary + 1,
        ] {
            let got = fixture
                .store()
                .get_opts(&key, GetOptions::default().range(range.clone()))
                .await;
            let object = got.or_fail(8, format_args!("range {range:?}"));
            ensure_eq!(
                8,
                (object.size(), &object.range),
                (size, &range),
                "the object's size and the range given"
            );
            let body = object
                .body
                .collect(size)
                .await
                .or_fail(8, format_args!("reading {range:?}"));
            ensure!(
                8,
                body == bytes[range.start as usize..range.end as usize],
                "range {range:?} of {size} bytes gives other bytes"
            );
        }
    }
}

pub(in super::super) async fn of_what_is_missing(fixture: Fixture) {
    let key = fixture.key("missing");
    let got = fixture
        .store()
        .get_opts(&key, GetOptions::default().range(5..2))
        .await;
    ensure_err!(
        8,
        got,
        Error::NotFound { .. },
        "an unsatisfiable range of an object that is not there"
    );
}
