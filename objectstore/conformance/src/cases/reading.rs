//! Rules 7 and 9: an open object is one version to its end, whatever happens to its key; and the
//! ways to read it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{Body, Error, Key, ObjectStoreExt, Result};

/// Larger than any buffer between a store and its reader.
fn large(fixture: &Fixture) -> usize {
    fixture.known().pace.largest.min(12 << 20) as usize
}

async fn opened(fixture: &Fixture, key: &Key) -> Body {
    fixture.store().get(key).await.or_fail(7, "get").body
}

/// Reads the rest of `body` to its end; its first `at` bytes were read.
async fn assert_undisturbed(mut body: Body, at: usize, bytes: &Bytes, by: &str) {
    let mut rest = BytesMut::new();
    while let Some(piece) = body.next().await {
        rest.extend_from_slice(&piece.or_fail(
            7,
            format_args!("reading on after {} bytes, {by}", at + rest.len()),
        ));
    }
    ensure!(
        7,
        rest == bytes[at..],
        "an open object gives other bytes, {by}"
    );
}

pub(in super::super) async fn is_undisturbed(fixture: Fixture) {
    let key = fixture.key("open");
    // Where it matters whether a reader is done, more than the two ends of a connection can hold
    // for it.
    let large = if fixture.known().writers_wait {
        4 * large(&fixture)
    } else {
        large(&fixture)
    };
    for (version, size) in [(1, 100), (2, 300_000), (3, large)] {
        let bytes = stamped(version, size);
        for by in ["deleted", "replaced", "deleted and put again"] {
            fixture.put(7, &key, bytes.clone()).await;
            let unread = opened(&fixture, &key).await;
            let mut begun = opened(&fixture, &key).await;
            let first = begun
                .next()
                .await
                .unwrap_or_else(|| panic!("rule 9: an object of {size} bytes has no piece"))
                .or_fail(7, "the first piece");
            let change = async {
                if by != "replaced" {
                    fixture.delete(7, &key).await;
                }
                if by != "deleted" {
                    fixture.put(7, &key, stamped(4, size)).await;
                }
            };
            let mut change = std::pin::pin!(futures_util::future::maybe_done(change));
            let waits = fixture.known().writers_wait;
            if waits {
                let early = tokio::time::timeout(Duration::from_millis(300), change.as_mut()).await;
                let buffered = size < large;
                ensure!(
                    7,
                    buffered || early.is_err(),
                    "writers wait for readers, says the profile, but an open object is {by} at once"
                );
            } else {
                change.as_mut().await;
            }
            let read = async {
                assert_undisturbed(begun, first.len(), &bytes, by).await;
                assert_undisturbed(unread, 0, &bytes, by).await;
            };
            if waits {
                futures_util::future::join(change, read).await;
            } else {
                read.await;
            }
        }
    }
}

pub(in super::super) async fn slow_reader(fixture: Fixture) {
    let (key, bytes) = (fixture.key("slow"), stamped(5, large(&fixture)));
    fixture.put(9, &key, bytes.clone()).await;
    let mut body = opened(&fixture, &key).await;
    let mut read = BytesMut::new();
    let mut pauses = 0;
    while let Some(piece) = body.next().await {
        read.extend_from_slice(&piece.or_fail(9, "reading slowly"));
        if pauses < 5 {
            pauses += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    ensure!(
        9,
        read == bytes,
        "a slow reader got {} bytes that are not the {} put",
        read.len(),
        bytes.len()
    );
}

pub(in super::super) async fn as_async_read(fixture: Fixture) {
    let (key, bytes) = (fixture.key("reader"), stamped(6, 700_001));
    fixture.put(9, &key, bytes.clone()).await;
    let mut all = Vec::new();
    let read = opened(&fixture, &key)
        .await
        .into_reader()
        .read_to_end(&mut all)
        .await;
    ensure!(
        9,
        read.is_ok() && all == bytes,
        "an `AsyncRead` of {} bytes gives {read:?}",
        bytes.len()
    );
    let mut part = vec![0; 1000];
    let object = fixture
        .store()
        .get_range(&key, 999..1999)
        .await
        .or_fail(8, "range");
    let read = object.body.into_reader().read_exact(&mut part).await;
    ensure!(
        9,
        read.is_ok() && part == bytes[999..1999],
        "an `AsyncRead` of a range gives {read:?}"
    );
}

pub(in super::super) async fn collected_up_to_a_limit(fixture: Fixture) {
    let key = fixture.key("collect");
    for size in [0, 1, 1000, 700_001] {
        let bytes = stamped(size, size as usize);
        fixture.put(9, &key, bytes.clone()).await;
        for limit in [size, size + 1, u64::MAX] {
            let all = fixture.store().get_bytes(&key, limit).await.or_fail(
                9,
                format_args!("collecting {size} bytes with limit {limit}"),
            );
            ensure_eq!(9, all.len() as u64, size, "bytes collected");
            ensure!(9, all == bytes, "collecting {size} bytes gives others");
        }
        for limit in size
            .checked_sub(1)
            .into_iter()
            .chain((size > 0).then_some(0))
        {
            let all: Result<Bytes> = fixture.store().get_bytes(&key, limit).await;
            ensure_err!(9, all, Error::CollectLimit { limit: said } if said == limit, "collecting {size} bytes with limit {limit}");
        }
    }
}

pub(in super::super) async fn abandoned(fixture: Fixture) {
    let (key, bytes) = (fixture.key("abandoned"), stamped(7, large(&fixture)));
    fixture.put(12, &key, bytes.clone()).await;
    for pieces in 0..8 {
        let mut body = opened(&fixture, &key).await;
        for _ in 0..pieces {
            if let Some(piece) = body.next().await {
                piece.or_fail(9, "reading");
            }
        }
    }
    fixture
        .assert_holds(12, &key, Some(&bytes), "after reads that were abandoned")
        .await;
}
