//! Rule 16: attributes are of the version that they were put with.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::Fixture;
use super::super::bodies::{halting, script};
use super::super::check::{OrFail, ensure_eq, ensure_err};
use super::super::content::stamped;
use storehouse_objectstore::{Attributes, Error, GetOptions, HttpField, Key, PutOptions, Result};

/// Attributes of every kind.
fn all() -> Result<Attributes> {
    let expires = SystemTime::UNIX_EPOCH + Duration::from_millis(4_102_444_800_123);
    Attributes::default()
        .with_content_type("text/plain; charset=\"utf-8\"")?
        .with_http(HttpField::ContentEncoding, "gzip")?
        .with_http(HttpField::ContentLanguage, "en, fr")?
        .with_http(
            HttpField::ContentDisposition,
            "attachment; filename=\"a b.txt\"",
        )?
        .with_http(HttpField::CacheControl, "max-age=60, private")?
        .with_user("one", ["a value; of, its=own \"and\" 100%"])?
        .with_user("several", ["a", "b,c", "a"])?
        .with_user("x-y.z_1", ["~"])
        .map(|attributes| attributes.with_expires(expires))
}

async fn assert_has(fixture: &Fixture, key: &Key, expected: &Attributes, when: &str) {
    let head = fixture.store().head(key).await.or_fail(16, "head");
    ensure_eq!(16, head.attributes, *expected, "{when}: attributes by head");
    for get in [
        GetOptions::default(),
        GetOptions::default().range(1..3),
        GetOptions::default().if_match(head.etag.clone()),
    ] {
        let object = fixture.store().get_opts(key, get).await.or_fail(16, "get");
        ensure_eq!(
            16,
            object.metadata.attributes,
            *expected,
            "{when}: attributes by get"
        );
    }
}

pub(in super::super) async fn are_kept(mut fixture: Fixture) {
    let key = fixture.key("attributes");
    let all = all().or_fail(16, "attributes of every kind");
    let content = stamped(1, 300);
    let put = PutOptions::default().attributes(all.clone());
    if fixture.store().capabilities().max_attributes < all.size() {
        fixture.put(16, &key, content.clone()).await;
        let refused = fixture.try_put(&key, "other", put).await;
        ensure_err!(
            16,
            refused,
            Error::Unsupported { .. },
            "put with more attributes than the capabilities have"
        );
        fixture
            .assert_holds(16, &key, Some(&content), "after attributes were refused")
            .await;
        return assert_has(&fixture, &key, &Attributes::default(), "none kept").await;
    }
    fixture
        .try_put(&key, content.clone(), put.clone())
        .await
        .or_fail(16, "put with attributes");
    assert_has(&fixture, &key, &all, "put as bytes").await;
    fixture.reopen().await;
    assert_has(&fixture, &key, &all, "opened again").await;
    let streamed = script(halting(&content, 100)).0;
    fixture
        .try_put(&key, streamed, put.size(300))
        .await
        .or_fail(16, "put of a stream with attributes");
    assert_has(&fixture, &key, &all, "put as a stream").await;
    fixture.put(16, &key, content.clone()).await;
    assert_has(&fixture, &key, &Attributes::default(), "put without any").await;
}

pub(in super::super) async fn of_large_objects(fixture: Fixture) {
    let capabilities = fixture.store().capabilities();
    let size = capabilities.max_size.min(fixture.known().pace.largest);
    let attributes = Attributes::default()
        .with_content_type("image/png")
        .or_fail(16, "a content type");
    if capabilities.max_attributes < attributes.size() {
        return;
    }
    let key = fixture.key("large");
    let content = stamped(1, usize::try_from(size).unwrap_or(usize::MAX));
    let streamed = script(super::super::bodies::pieces(&content, 1 << 20)).0;
    let put = PutOptions::default()
        .size(size)
        .attributes(attributes.clone());
    fixture
        .try_put(&key, streamed, put)
        .await
        .or_fail(16, "put of a large stream with attributes");
    assert_has(&fixture, &key, &attributes, "a large object").await;
    fixture
        .assert_holds(16, &key, Some(&content), "a large object")
        .await;
}

pub(in super::super) async fn up_to_a_limit(fixture: Fixture) {
    let most = fixture.store().capabilities().max_attributes;
    if most < 64 {
        return;
    }
    let (key, content) = (fixture.key("limit"), Bytes::from("content"));
    let name_and = |size: u64| {
        let value = "v".repeat(usize::try_from(size - 4).unwrap_or(usize::MAX));
        Attributes::default().with_user("name", [value])
    };
    let whole = name_and(most).or_fail(16, "attributes of the store's limit");
    let put = PutOptions::default().attributes(whole.clone());
    fixture
        .try_put(&key, content.clone(), put)
        .await
        .or_fail(16, format_args!("put with {most} bytes of attributes"));
    assert_has(&fixture, &key, &whole, "as many as the store keeps").await;
    let Ok(more) = name_and(most + 1) else {
        return;
    };
    let put = PutOptions::default().attributes(more);
    let refused = fixture.try_put(&key, "other", put).await;
    ensure_err!(
        16,
        refused,
        Error::Unsupported { .. },
        "put with one byte of attributes too many"
    );
    fixture
        .assert_holds(16, &key, Some(&content), "after a refused put")
        .await;
}
