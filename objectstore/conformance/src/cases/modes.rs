//! Rule 5: put modes, and the conditions of get.

use futures_util::future::join_all;

use bytes::Bytes;

use super::super::Fixture;
use super::super::bodies::{halting, script};
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use super::super::content::{stamped, version_of};
use storehouse_objectstore::{
    ETag, Error, GetOptions, Key, PutMode, PutOptions, PutResult, Result,
};

/// How many writers race.
const RACERS: u64 = 8;

fn mode(mode: PutMode) -> PutOptions {
    PutOptions::default().mode(mode)
}

pub(in super::super) async fn create(fixture: Fixture) {
    let (key, first) = (fixture.key("create"), Bytes::from("first"));
    let put = fixture
        .try_put(&key, first.clone(), mode(PutMode::Create))
        .await;
    if !fixture.store().capabilities().create {
        ensure_err!(
            5,
            put,
            Error::Unsupported { .. },
            "put in mode create, which the capabilities do not have"
        );
        fixture
            .assert_holds(5, &key, None, "after a mode that is not supported")
            .await;
        fixture.put(5, &key, first.clone()).await;
        let again = fixture.try_put(&key, "second", mode(PutMode::Create)).await;
        ensure_err!(
            5,
            again,
            Error::Unsupported { .. },
            "put in mode create over an object, which the capabilities do not have"
        );
        return fixture
            .assert_holds(5, &key, Some(&first), "after a mode that is not supported")
            .await;
    }
    put.or_fail(5, "create of what is not there");
    let again = fixture.try_put(&key, "second", mode(PutMode::Create)).await;
    ensure_err!(5, again, Error::AlreadyExists { key: said } if said == key, "create of what is there");
    let streamed = fixture
        .try_put(
            &key,
            script(halting(&first, 2)).0,
            mode(PutMode::Create).size(5),
        )
        .await;
    ensure_err!(
        5,
        streamed,
        Error::AlreadyExists { .. },
        "create of what is there, from a stream"
    );
    fixture
        .assert_holds(5, &key, Some(&first), "after a create that found it there")
        .await;
    fixture.delete(5, &key).await;
    fixture
        .try_put(&key, "third", mode(PutMode::Create))
        .await
        .or_fail(5, "create of what was deleted");
    fixture.assert_nothing_left(5, "refused creates").await;
}

pub(in super::super) async fn replace(fixture: Fixture) {
    let (key, first) = (fixture.key("replace"), Bytes::from("first"));
    let etag = fixture.put(5, &key, first.clone()).await.etag;
    let put = fixture
        .try_put(&key, "second", mode(PutMode::Replace(etag.clone())))
        .await;
    if !fixture.store().capabilities().replace {
        ensure_err!(
            5,
            put,
            Error::Unsupported { .. },
            "put in mode replace, which the capabilities do not have"
        );
        return fixture
            .assert_holds(5, &key, Some(&first), "after a mode that is not supported")
            .await;
    }
    let second = put.or_fail(5, "replace with the right ETag").etag;
    ensure!(5, second != etag, "two versions share the ETag {etag:?}");
    for (wrong, what) in [
        (etag, "the ETag before"),
        (
            ETag::new("\"0123456789abcdef0123456789abcdef\""),
            "an ETag of nothing",
        ),
    ] {
        let put = fixture
            .try_put(&key, "third", mode(PutMode::Replace(wrong.clone())))
            .await;
        ensure_err!(5, put, Error::Precondition { .. }, "replace with {what}");
        let streamed = fixture
            .try_put(
                &key,
                script(halting(&first, 2)).0,
                mode(PutMode::Replace(wrong)).size(5),
            )
            .await;
        ensure_err!(
            5,
            streamed,
            Error::Precondition { .. },
            "replace with {what}, from a stream"
        );
    }
    fixture
        .assert_holds(
            5,
            &key,
            Some(&Bytes::from("second")),
            "after replaces with wrong ETags",
        )
        .await;
    fixture.delete(5, &key).await;
    let put = fixture
        .try_put(&key, "fourth", mode(PutMode::Replace(second)))
        .await;
    ensure_err!(
        5,
        put,
        Error::Precondition { .. },
        "replace of what was deleted"
    );
    fixture
        .assert_holds(5, &key, None, "after a replace of what was deleted")
        .await;
    fixture.assert_nothing_left(5, "refused replaces").await;
}

/// Puts a version by each racer at once.
async fn race(fixture: &Fixture, key: &Key, options: &PutOptions) -> Vec<Result<PutResult>> {
    let racers = (0..RACERS).map(|racer| {
        let (store, key, options) = (fixture.handle(), key.clone(), options.clone());
        tokio::spawn(async move {
            store
                .put_opts(&key, stamped(racer, 3000).into(), options)
                .await
        })
    });
    join_all(racers)
        .await
        .into_iter()
        .map(|put| put.expect("a racing put panicked"))
        .collect()
}

/// Asserts that one racer won and that the object is its version.
async fn assert_one_won(
    fixture: &Fixture,
    key: &Key,
    puts: &[Result<PutResult>],
    lost: fn(&Error) -> bool,
    what: &str,
) {
    let winners: Vec<_> = puts
        .iter()
        .enumerate()
        .filter(|(_, put)| put.is_ok())
        .map(|(racer, _)| racer as u64)
        .collect();
    for put in puts {
        ensure!(
            5,
            put.as_ref().err().is_none_or(lost),
            "a racing {what} that lost fails with {put:?}"
        );
    }
    if fixture.known().atomic_conditions {
        ensure_eq!(
            5,
            winners.len(),
            1,
            "how many of {RACERS} racing {what}s won"
        );
    } else {
        ensure!(
            5,
            !winners.is_empty(),
            "none of {RACERS} racing {what}s won"
        );
    }
    let there = fixture
        .read(5, key)
        .await
        .unwrap_or_else(|| panic!("rule 5: nothing is there after a race of {what}s"));
    let version = version_of(&there)
        .unwrap_or_else(|e| panic!("rule 2: after a race of {what}s there are {e}"));
    ensure!(
        5,
        winners.contains(&version),
        "writer {version} lost a race of {what}s, but its object is there"
    );
}

pub(in super::super) async fn racing_creates(fixture: Fixture) {
    if !fixture.store().capabilities().create {
        let puts = race(&fixture, &fixture.key("race"), &mode(PutMode::Create)).await;
        return ensure!(
            5,
            puts.iter()
                .all(|put| matches!(put, Err(Error::Unsupported { .. }))),
            "racing creates give {puts:?}"
        );
    }
    for round in 0..fixture.known().pace.rounds {
        let key = fixture.key(&format!("race-{round}"));
        let puts = race(&fixture, &key, &mode(PutMode::Create)).await;
        assert_one_won(&fixture, &key, &puts, Error::is_already_exists, "create").await;
    }
    fixture.assert_nothing_left(5, "racing creates").await;
}

pub(in super::super) async fn racing_replaces(fixture: Fixture) {
    let key = fixture.key("race");
    if !fixture.store().capabilities().replace {
        let puts = race(&fixture, &key, &mode(PutMode::Replace(ETag::new("any")))).await;
        return ensure!(
            5,
            puts.iter()
                .all(|put| matches!(put, Err(Error::Unsupported { .. }))),
            "racing replaces give {puts:?}"
        );
    }
    for round in 0..fixture.known().pace.rounds {
        let etag = fixture
            .put(5, &key, stamped(1000 + round as u64, 3000))
            .await
            .etag;
        let puts = race(&fixture, &key, &mode(PutMode::Replace(etag))).await;
        assert_one_won(&fixture, &key, &puts, Error::is_precondition, "replace").await;
    }
    fixture.assert_nothing_left(5, "racing replaces").await;
}

pub(in super::super) async fn etags(fixture: Fixture) {
    let key = fixture.key("etags");
    let mut seen = Vec::new();
    for version in 0..10 {
        let etag = fixture.put(5, &key, stamped(version, 100)).await.etag;
        ensure!(
            5,
            !seen.contains(&etag),
            "version {version} has the ETag {etag:?} of an earlier one"
        );
        let head = fixture.store().head(&key).await.or_fail(7, "head");
        let got = fixture
            .store()
            .get_opts(&key, GetOptions::default())
            .await
            .or_fail(7, "get");
        ensure_eq!(
            7,
            head.etag,
            etag,
            "the ETag by head, against the one that put gave"
        );
        ensure_eq!(7, got.metadata, head, "what get says, against head");
        seen.push(etag);
    }
}

pub(in super::super) async fn conditional_gets(fixture: Fixture) {
    let key = fixture.key("conditions");
    let get = |options: GetOptions| fixture.store().get_opts(&key, options);
    let old = fixture.put(5, &key, stamped(1, 100)).await.etag;
    let now = fixture.put(5, &key, stamped(2, 100)).await.etag;
    let plain = GetOptions::default;
    get(plain().if_match(now.clone()))
        .await
        .or_fail(5, "get if the ETag matches, and it does");
    get(plain().if_none_match(old.clone()))
        .await
        .or_fail(5, "get unless the ETag matches, and it does not");
    ensure_err!(
        5,
        get(plain().if_match(old.clone())).await,
        Error::Precondition { .. },
        "get if an older ETag matches"
    );
    ensure_err!(
        5,
        get(plain().if_none_match(now.clone())).await,
        Error::NotModified { .. },
        "get unless the ETag matches, and it does"
    );
    let part = get(plain().if_match(now.clone()).range(3..7))
        .await
        .or_fail(5, "get of a range if the ETag matches");
    ensure_eq!(8, part.range, 3..7, "the range of a conditional get");
    let part = get(plain().if_match(old).range(300..400)).await;
    ensure_err!(
        5,
        part,
        Error::Precondition { .. },
        "get of an unsatisfiable range with an older ETag: conditions are judged first"
    );
    let part = get(plain().if_none_match(now).range(300..400)).await;
    ensure_err!(
        5,
        part,
        Error::NotModified { .. },
        "get of an unsatisfiable range that is not modified: conditions are judged first"
    );
    fixture.delete(5, &key).await;
    ensure_err!(
        5,
        get(plain().if_match(ETag::new("any"))).await,
        Error::NotFound { .. },
        "conditional get of what is not there"
    );
}
