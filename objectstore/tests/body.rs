//! `Body` and `SizedBody`: what goes in comes out, in any pieces, and no more than may.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use tokio::io::AsyncReadExt;

use storehouse_objectstore::{Body, Error, Key, PutOptions, SizedBody};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12)
}

fn of(pieces: &[Vec<u8>]) -> Body {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
        .collect();
    Body::from_stream(stream::iter(pieces))
}

/// What a put reads: its bytes, or the error that ended it.
async fn sized(body: Body, options: PutOptions, max: u64) -> Result<Vec<u8>, Error> {
    let mut body = SizedBody::new(&Key::new("k")?, body, &options, max)?;
    let mut all = Vec::new();
    while let Some(piece) = body.next().await.transpose()? {
        assert!(!piece.is_empty());
        all.extend_from_slice(&piece);
        assert_eq!(body.received(), all.len() as u64);
    }
    Ok(all)
}

proptest! {
    #[test]
    fn collect_gives_everything_up_to_its_limit(pieces in pieces(), limit in 0u64..300) {
        let whole = pieces.concat();
        match run(of(&pieces).collect(limit)) {
            Ok(all) => prop_assert!(all == whole && whole.len() as u64 <= limit),
            Err(Error::CollectLimit { limit: said }) => prop_assert!(said == limit && whole.len() as u64 > limit),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn a_reader_of_a_body_of_a_reader_gives_the_same(pieces in pieces()) {
        let whole = pieces.concat();
        let mut all = Vec::new();
        run(Body::from_reader(of(&pieces).into_reader()).into_reader().read_to_end(&mut all)).unwrap();
        prop_assert_eq!(all, whole);
    }

    #[test]
    fn a_sized_body_is_exact(pieces in pieces(), declared in 0u64..300, known in any::<bool>(), max in 100u64..400) {
        let whole = pieces.concat();
        let len = whole.len() as u64;
        let body = if known { Bytes::from(whole.clone()).into() } else { of(&pieces) };
        match run(sized(body, PutOptions::default().size(declared), max)) {
            Ok(all) => prop_assert!(all == whole && declared == len && declared <= max),
            Err(Error::TooLarge { limit, .. }) => prop_assert!((limit == declared && len > declared) || (limit == max && declared > max)),
            Err(Error::TooSmall { declared: said, received, .. }) => prop_assert!(said == declared && received == len && len < declared),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        }
    }

    #[test]
    fn the_size_left_counts_down(pieces in pieces()) {
        let whole = pieces.concat();
        let mut body = of(&pieces).with_size(whole.len() as u64);
        let mut left = whole.len() as u64;
        while let Some(piece) = run(body.next()) {
            left -= piece.unwrap().len() as u64;
            prop_assert_eq!(body.size(), Some(left));
        }
        prop_assert_eq!(left, 0);
    }
}

#[test]
fn a_failed_body_ends() {
    let mut body = Body::from_stream(stream::iter([
        Ok(Bytes::from("a")),
        Err(std::io::Error::other("broken")),
        Ok(Bytes::from("b")),
    ]));
    assert_eq!(run(body.next()).unwrap().unwrap(), "a");
    assert!(matches!(
        run(body.next()),
        Some(Err(Error::Body { key: None, .. }))
    ));
    assert!(run(body.next()).is_none());
}

#[test]
fn errors_of_a_store_pass_through_a_body_and_a_reader_keeps_the_cause() {
    let truncated = || Error::Truncated {
        source: None,
        key: Key::new("k").unwrap(),
        expected: 2,
        received: 1,
    };
    let body = Body::from_stream(stream::iter([Err::<Bytes, _>(truncated())]));
    assert!(matches!(run(body.collect(9)), Err(Error::Truncated { .. })));
    let body = Body::from_stream(stream::iter([Err::<Bytes, _>(truncated())]));
    let error = run(body.into_reader().read_to_end(&mut Vec::new())).unwrap_err();
    assert!(
        error
            .get_ref()
            .unwrap()
            .downcast_ref::<Error>()
            .is_some_and(|e| matches!(e, Error::Truncated { .. }))
    );
}

#[test]
fn a_known_size_over_the_limit_is_refused_before_reading() {
    let body = Body::from_stream(stream::pending::<Result<Bytes, Error>>()).with_size(11);
    assert!(matches!(
        run(body.collect(10)),
        Err(Error::CollectLimit { limit: 10 })
    ));
}

#[test]
fn a_file_is_read_from_where_it_stands() {
    run(async {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..1_500_000u32).map(|n| n as u8).collect();
        file.write_all(&content).unwrap();
        file.seek(SeekFrom::Start(7)).unwrap();
        let body = Body::from_file(file).unwrap();
        assert_eq!(body.size(), Some(content.len() as u64 - 7));
        assert_eq!(body.collect(u64::MAX).await.unwrap(), content[7..]);
    });
}

#[test]
fn a_file_that_shrinks_or_grows_is_no_body_of_its_size() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (len, is) in [(999_999u64, "smaller"), (1_000_001, "larger")] {
            std::fs::write(&path, vec![7; 1_000_000]).unwrap();
            let body = Body::from_path(&path).await.unwrap();
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(len)
                .unwrap();
            match sized(body, PutOptions::default(), u64::MAX).await {
                Err(Error::TooSmall {
                    declared: 1_000_000,
                    received: 999_999,
                    ..
                }) => assert_eq!(is, "smaller"),
                Err(Error::TooLarge {
                    limit: 1_000_000, ..
                }) => assert_eq!(is, "larger"),
                other => panic!(
                    "a file that became {is} gives {:?}",
                    other.map(|all| all.len())
                ),
            }
        }
    });
}

#[test]
fn what_is_no_file_is_refused() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            matches!(Body::from_path(dir.path()).await, Err(Error::Body { .. })),
            "a directory"
        );
        assert!(
            matches!(
                Body::from_path(dir.path().join("missing")).await,
                Err(Error::Body { .. })
            ),
            "nothing"
        );
    });
}
