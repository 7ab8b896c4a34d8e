//! Errors tell the operation and the caller's key, and what the caller can do.

use std::error::Error as _;

use super::super::Fixture;
use super::super::bodies::{Step, halting, script};
use super::super::check::{ensure, ensure_eq};
use super::super::content::stamped;
use storehouse_objectstore::{
    ETag, Error, ErrorClass, GetOptions, Key, PutMode, PutOptions, Result,
};

/// Asserts that the error is about this operation on this key, and of the class that its kind has.
fn assert_tells<T>(rule: u8, result: Result<T>, operation: &str, key: &Key) {
    let Err(error) = result else {
        panic!("rule {rule}: an operation that cannot succeed does: {operation} {key:?}")
    };
    let text = error.to_string();
    ensure!(
        rule,
        text.starts_with(&format!("{operation} {key:?}")),
        "an error of {operation} {key:?} says: {text}"
    );
    let class = match &error {
        Error::NotFound { .. } => ErrorClass::NotFound,
        Error::NotModified { .. } => ErrorClass::NotModified,
        Error::AlreadyExists { .. } | Error::Precondition { .. } => ErrorClass::Conflict,
        _ => ErrorClass::InvalidInput,
    };
    ensure_eq!(
        rule,
        error.class(),
        class,
        "the class of an error that says: {text}"
    );
    if let Some(cause) = error.source() {
        ensure!(
            rule,
            !text.contains(&cause.to_string()),
            "an error repeats its cause: {text}"
        );
    }
}

pub(in super::super) async fn tell_operation_and_key(fixture: Fixture) {
    let (key, missing) = (fixture.key("there"), fixture.key("missing"));
    let store = fixture.store();
    fixture.put(5, &key, stamped(1, 100)).await;
    let size = |size| PutOptions::default().size(size);
    let stale = || ETag::new("\"0123456789abcdef0123456789abcdef\"");
    assert_tells(
        1,
        store.get_opts(&missing, GetOptions::default()).await,
        "get",
        &missing,
    );
    assert_tells(1, store.head(&missing).await, "head", &missing);
    assert_tells(
        4,
        store
            .put_opts(&key, script(halting(&stamped(2, 11), 4)).0, size(10))
            .await,
        "put",
        &key,
    );
    assert_tells(
        4,
        store
            .put_opts(&key, script(halting(&stamped(2, 9), 4)).0, size(10))
            .await,
        "put",
        &key,
    );
    assert_tells(
        4,
        store
            .put_opts(
                &key,
                script(halting(&stamped(2, 9), 4)).0,
                PutOptions::default(),
            )
            .await,
        "put",
        &key,
    );
    assert_tells(
        4,
        store.put_opts(&key, script([Step::Fail]).0, size(10)).await,
        "put",
        &key,
    );
    assert_tells(
        5,
        store
            .put_opts(
                &key,
                "x".into(),
                PutOptions::default().mode(PutMode::Create),
            )
            .await,
        "put",
        &key,
    );
    assert_tells(
        5,
        store
            .put_opts(
                &key,
                "x".into(),
                PutOptions::default().mode(PutMode::Replace(stale())),
            )
            .await,
        "put",
        &key,
    );
    assert_tells(
        5,
        store
            .get_opts(&key, GetOptions::default().if_match(stale()))
            .await,
        "get",
        &key,
    );
    let etag = store
        .head(&key)
        .await
        .map(|head| head.etag)
        .unwrap_or_else(|_| stale());
    assert_tells(
        5,
        store
            .get_opts(&key, GetOptions::default().if_none_match(etag))
            .await,
        "get",
        &key,
    );
    assert_tells(
        8,
        store
            .get_opts(&key, GetOptions::default().range(50..101))
            .await,
        "get",
        &key,
    );
}

pub(in super::super) async fn pass_through_a_put(fixture: Fixture) {
    // What the body of a put fails with may be an error of another store: it passes as it is.
    let key = fixture.key("put");
    let other = fixture.key("of-another-store");
    let error = Error::Truncated {
        key: other.clone(),
        expected: 10,
        received: 5,
        source: Some("cut off".into()),
    };
    let body = storehouse_objectstore::Body::from_stream(futures_util::stream::iter([Err::<
        bytes::Bytes,
        _,
    >(error)]));
    match fixture
        .try_put(&key, body, PutOptions::default().size(10))
        .await
    {
        Err(Error::Truncated {
            key: said,
            expected: 10,
            received: 5,
            source: Some(source),
        }) if said == other && source.to_string() == "cut off" => {}
        put => panic!(
            "rule 2: an error of another store, passed through a put, becomes {}",
            super::super::check::story(&put)
        ),
    }
    fixture
        .assert_holds(2, &key, None, "after a put whose body failed")
        .await;
}
