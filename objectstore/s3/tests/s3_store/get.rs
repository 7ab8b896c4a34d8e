//! Gets: ranges, conditions, bodies that are not read.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_exact_and_conditions_come_first() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(100_000);
    let etag = store.put(&key("object"), bytes.clone()).await.unwrap().etag;
    store.put(&key("empty"), Body::empty()).await.unwrap();
    let size = bytes.len() as u64;
    #[allow(clippy::reversed_empty_ranges)]
    let ranges: Vec<ByteRange> = vec![
        (..).into(),
        (0..).into(),
        (0..1).into(),
        (5..size).into(),
        (5..size + 1).into(),
        (size - 1..).into(),
        (size..).into(),
        (size + 1..size + 2).into(),
        (0..=u64::MAX).into(),
        (1 << 63..).into(),
        (u64::MAX..).into(),
        (3..3).into(),
        (5..2).into(),
        ByteRange::suffix(0),
        ByteRange::suffix(1),
        ByteRange::suffix(size),
        ByteRange::suffix(size + 1),
        ByteRange::suffix(u64::MAX),
    ];
    for (name, bytes) in [(key("object"), bytes.clone()), (key("empty"), Bytes::new())] {
        for &range in &ranges {
            match (
                range.resolve(bytes.len() as u64),
                store.get_range(&name, range).await,
            ) {
                (Some(expected), Ok(object)) => {
                    assert_eq!(object.range, expected, "{range}");
                    assert_eq!(object.size(), bytes.len() as u64, "{range}");
                    assert_eq!(
                        object.body.size(),
                        Some(expected.end - expected.start),
                        "{range}"
                    );
                    let body = object.body.collect(u64::MAX).await.unwrap();
                    assert!(
                        body == bytes.slice(expected.start as usize..expected.end as usize),
                        "{range}"
                    );
                }
                (None, Err(Error::RangeNotSatisfiable { size, .. })) => {
                    assert_eq!(size, bytes.len() as u64, "{range}")
                }
                (expected, got) => panic!("{name} {range}: {expected:?}, {got:?}"),
            }
        }
    }
    let other = ETag::new("\"00000000000000000000000000000000\"");
    for range in [
        None,
        Some(ByteRange::from(0..5)),
        Some(ByteRange::from(size..)),
        Some(ByteRange::suffix(0)),
    ] {
        let get = |options: GetOptions| {
            let (store, options) = (store.clone(), {
                let mut conditional = options;
                conditional.range = range;
                conditional
            });
            async move { store.get_opts(&key("object"), options).await }
        };
        let wanted = get(GetOptions::default().if_match(other.clone()))
            .await
            .unwrap_err();
        assert!(wanted.is_precondition(), "{range:?}: {wanted}");
        let same = get(GetOptions::default().if_none_match(etag.clone()))
            .await
            .unwrap_err();
        assert!(same.is_not_modified(), "{range:?}: {same}");
        let fine = get(GetOptions::default()
            .if_match(etag.clone())
            .if_none_match(other.clone()))
        .await;
        assert_eq!(
            fine.is_ok(),
            range.is_none_or(|range| range.resolve(size).is_some()),
            "{range:?}"
        );
    }
    for range in [(0..5).into(), ByteRange::suffix(0)] {
        assert!(
            store
                .get_range(&key("missing"), range)
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_read_or_not_whole_does_no_harm() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(3 * MIB);
    store.put(&key("object"), bytes.clone()).await.unwrap();
    for _ in 0..50 {
        let mut body = store.get(&key("object")).await.unwrap().body;
        let piece = body.next().await.unwrap().unwrap();
        assert!(
            piece.len() >= 64 * 1024 && piece.len() <= MIB,
            "{}",
            piece.len()
        );
    }
    assert!(read(&store, &key("object")).await == bytes);
    assert!(store.exists(&key("object")).await.unwrap());
    remove(&store).await;
}
