//! Rule 17: copies and renames.

use bytes::Bytes;

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{
    Attributes, CopyOptions, ETag, Error, Key, PutMode, PutOptions, PutResult, Result,
};

async fn copy(fixture: &Fixture, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
    fixture.store().copy_opts(from, to, options).await
}

pub(in super::super) async fn are_whole(mut fixture: Fixture) {
    let capabilities = fixture.store().capabilities();
    let largest = capabilities.max_size.min(fixture.known().pace.largest);
    let (from, to) = (fixture.key("from"), fixture.key("to"));
    let sizes = [0, 1, 70_000, largest].map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    for (version, size) in sizes.into_iter().enumerate() {
        let content = stamped(version as u64, size);
        fixture.put(17, &from, content.clone()).await;
        let copied = copy(&fixture, &from, &to, CopyOptions::default())
            .await
            .or_fail(17, format_args!("copy of {size} bytes"));
        for key in [&from, &to] {
            fixture
                .assert_holds(17, key, Some(&content), "after a copy")
                .await;
        }
        let there = fixture.store().head(&to).await.or_fail(17, "head");
        ensure_eq!(17, there.etag, copied.etag, "the tag of a copy");
    }
    fixture.reopen().await;
    let content = stamped(3, sizes[3]);
    fixture
        .assert_holds(17, &to, Some(&content), "opened again after a copy")
        .await;
    copy(&fixture, &from, &from, CopyOptions::default())
        .await
        .or_fail(17, "copy of a key to itself");
    fixture
        .assert_holds(17, &from, Some(&content), "after a copy to itself")
        .await;
    fixture.put(17, &from, "another").await;
    fixture
        .assert_holds(17, &to, Some(&content), "after its source was replaced")
        .await;
    fixture.assert_nothing_left(17, "copies").await;
}

pub(in super::super) async fn judge_conditions(fixture: Fixture) {
    let (from, to, missing) = (
        fixture.key("from"),
        fixture.key("to"),
        fixture.key("missing"),
    );
    let (source, there) = (Bytes::from("source"), Bytes::from("there"));
    let tag = fixture.put(17, &from, source.clone()).await.etag;
    let old = fixture.put(17, &to, there.clone()).await.etag;
    let none = CopyOptions::default;
    let not_found = copy(&fixture, &missing, &to, none()).await;
    ensure_err!(17, not_found, Error::NotFound { key: said, .. } if said == missing, "copy of what is missing");
    let other = none().if_match(ETag::new("\"another\""));
    let refused = copy(&fixture, &from, &to, other).await;
    ensure_err!(
        17,
        refused,
        Error::Precondition { .. },
        "copy of another version than asked for"
    );
    let create = copy(&fixture, &from, &to, none().mode(PutMode::Create)).await;
    if fixture.store().capabilities().create {
        ensure_err!(17, create, Error::AlreadyExists { key: said } if said == to, "copy to what is there");
    } else {
        ensure_err!(
            17,
            create,
            Error::Unsupported { .. },
            "copy in mode create, which the capabilities do not have"
        );
    }
    let replace = none().mode(PutMode::Replace(ETag::new("\"another\"")));
    let replace = copy(&fixture, &from, &to, replace).await;
    ensure!(
        17,
        matches!(
            replace,
            Err(Error::Precondition { .. } | Error::Unsupported { .. })
        ),
        "a copy in place of another version is {replace:?}"
    );
    for (key, holds) in [
        (&from, Some(&source)),
        (&to, Some(&there)),
        (&missing, None),
    ] {
        fixture
            .assert_holds(17, key, holds, "after copies that were refused")
            .await;
    }
    copy(&fixture, &from, &to, none().if_match(tag))
        .await
        .or_fail(17, "copy of the version asked for");
    if fixture.store().capabilities().create {
        copy(&fixture, &from, &missing, none().mode(PutMode::Create))
            .await
            .or_fail(17, "copy to what is not there");
        fixture
            .assert_holds(17, &missing, Some(&source), "after a copy")
            .await;
    }
    if fixture.store().capabilities().replace {
        let now = fixture.store().head(&to).await.or_fail(17, "head").etag;
        ensure!(
            17,
            now != old,
            "a copy leaves the tag of the version before"
        );
        copy(&fixture, &from, &to, none().mode(PutMode::Replace(now)))
            .await
            .or_fail(17, "copy in place of the version asked for");
    }
    fixture
        .assert_holds(17, &to, Some(&source), "after a copy")
        .await;
}

pub(in super::super) async fn keep_attributes(fixture: Fixture) {
    let plain = Attributes::default()
        .with_content_type("text/plain")
        .and_then(|attributes| attributes.with_user("a", ["1"]))
        .or_fail(16, "attributes");
    let other = Attributes::default()
        .with_content_type("text/html")
        .or_fail(16, "attributes");
    let (from, to) = (fixture.key("from"), fixture.key("to"));
    let replaced = CopyOptions::default().attributes(other.clone());
    if fixture.store().capabilities().max_attributes < plain.size() {
        fixture.put(17, &from, "content").await;
        let refused = copy(&fixture, &from, &to, replaced).await;
        ensure_err!(
            16,
            refused,
            Error::Unsupported { .. },
            "copy with attributes that the store does not keep"
        );
        return fixture
            .assert_holds(17, &to, None, "after a refused copy")
            .await;
    }
    let put = PutOptions::default().attributes(plain.clone());
    fixture
        .try_put(&from, "content", put)
        .await
        .or_fail(16, "put with attributes");
    for (options, target, expected) in [
        (CopyOptions::default(), &to, &plain),
        (replaced.clone(), &to, &other),
        (
            CopyOptions::default().attributes(Attributes::default()),
            &to,
            &Attributes::default(),
        ),
        (CopyOptions::default(), &from, &plain),
        (replaced, &from, &other),
    ] {
        copy(&fixture, &from, target, options)
            .await
            .or_fail(17, "copy");
        let there = fixture.store().head(target).await.or_fail(17, "head");
        ensure_eq!(16, there.attributes, *expected, "the attributes of a copy");
        let content = Bytes::from("content");
        fixture
            .assert_holds(17, target, Some(&content), "after a copy")
            .await;
    }
}

pub(in super::super) async fn rename(mut fixture: Fixture) {
    let (from, to) = (fixture.key("from"), fixture.key("to"));
    let (source, there) = (stamped(1, 70_000), Bytes::from("there"));
    fixture.put(17, &from, source.clone()).await;
    fixture.put(17, &to, there.clone()).await;
    let moving = CopyOptions::default().remove_source(true);
    if !fixture.store().capabilities().rename {
        let refused = copy(&fixture, &from, &to, moving).await;
        ensure_err!(
            17,
            refused,
            Error::Unsupported { .. },
            "rename, which the capabilities do not have"
        );
        for (key, holds) in [(&from, &source), (&to, &there)] {
            fixture
                .assert_holds(17, key, Some(holds), "after a refused rename")
                .await;
        }
        return;
    }
    let itself = copy(&fixture, &from, &from, moving.clone()).await;
    ensure_err!(
        17,
        itself,
        Error::InvalidRequest { .. },
        "rename of a key to itself"
    );
    copy(&fixture, &from, &to, moving.clone())
        .await
        .or_fail(17, "rename");
    for _ in 0..2 {
        fixture
            .assert_holds(17, &from, None, "after it was renamed")
            .await;
        fixture
            .assert_holds(17, &to, Some(&source), "after a rename to it")
            .await;
        fixture.reopen().await;
    }
    let missing = copy(&fixture, &from, &to, moving).await;
    ensure_err!(
        17,
        missing,
        Error::NotFound { .. },
        "rename of what is missing"
    );
    fixture
        .assert_holds(17, &to, Some(&source), "after a rename of nothing to it")
        .await;
}
