//! Listings that are odd or wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use storehouse_objectstore::Listed;

use crate::*;

#[tokio::test]
async fn a_listing_goes_wrong() {
    let entry = |key: &str| {
        format!("<Contents><Key>{key}</Key><Size>1</Size><ETag>\"1\"</ETag></Contents>")
    };
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
    let cut = text("200 OK", "", &"<ListBucketResult>".repeat(1000));
    for (reply, says) in [
        (Reply::Cut(0, cut[..1000].to_owned()), "connection broke"),
        (Reply::Silence(0, cut[..1000].to_owned()), "silent"),
        (
            answer("200 OK", "content-type: text/html\r\n", "<html>"),
            "no answer of S3's",
        ),
        (
            listing("<Contents><Key>k</Key><Size>-1</Size></Contents>"),
            "without its Size",
        ),
        (
            listing(&format!("{}<IsTruncated>true</IsTruncated>", entry("a"))),
            "how it goes on",
        ),
        (listing(&format!("{}{more}", entry("a"))), "again and again"),
        (
            listing(&format!("{}{}", entry("b"), entry("a"))),
            "out of order",
        ),
        (error("500 Oops", "InternalError"), "500 InternalError"),
        (error("403 Forbidden", "AccessDenied"), "403 AccessDenied"),
    ] {
        // Until the store is open it is an empty bucket.
        let server = Scripted::start(move |request| {
            match request.head.contains("max-keys=1&") || request.head.contains("max-keys=1 ") {
                false if request.is("GET", "/bucket") => reply.clone(),
                _ => willing(request),
            }
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        let listed = bounded(store.list(ListOptions::default()).try_collect::<Vec<_>>()).await;
        let error = listed.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Backend {
                    operation: Operation::List,
                    ..
                }
            ) && error.to_string().contains(says),
            "{error}"
        );
        // After its error it ends.
        assert_eq!(
            store
                .list(ListOptions::default())
                .filter(|entry| std::future::ready(entry.is_err()))
                .count()
                .await,
            1
        );
    }
}

/// Names that are no keys are passed over, and a listing without tags is one.
#[tokio::test]
async fn a_listing_holds_names_that_are_no_keys() {
    let server = Scripted::start(|request| match request.is("GET", "/bucket") {
        true => listing("<Contents><Key>a//b</Key><Size>1</Size></Contents><Contents><Key>folder/</Key><Size>0</Size></Contents><Contents><Key>k</Key><Size>1</Size></Contents>"),
        false => willing(request),
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|entry| (entry.key.as_str(), entry.metadata.etag.as_str()))
            .collect::<Vec<_>>(),
        [("k", "")]
    );
}

/// A bucket that lists this, and is empty where nothing but the canary is asked for.
async fn listed(
    page: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    look: fn() -> Reply,
) -> Result<Vec<String>, Error> {
    let server = Scripted::start(move |request| {
        match (
            request.is("GET", "/bucket"),
            request.asks("prefix=.storehouse-probe"),
        ) {
            (true, true) => look(),
            (true, false) => page(request),
            _ => willing(request),
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await?;
    bounded(
        store
            .list(ListOptions::default())
            .map_ok(|entry| entry.key.to_string())
            .try_collect(),
    )
    .await
}

fn entry(key: &str) -> String {
    format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")
}

/// What an honest server says of the canary.
fn encodes() -> Reply {
    listing("<EncodingType>url</EncodingType><Prefix>.storehouse-probe/+%2541%2B%C3%A9</Prefix>")
}

/// One that says it encodes, and does not.
fn lies() -> Reply {
    listing("<EncodingType>url</EncodingType><Prefix>.storehouse-probe/ %41+\u{e9}</Prefix>")
}

#[tokio::test]
async fn keys_are_decoded_if_the_server_does_encode_them() {
    let page = |request: &Request| {
        let keys = ["a%2541", "a+b", "a%01", "b%2Bc", "%C3%A9"]
            .map(entry)
            .concat();
        let kind = match request.asks("encoding-type=url") {
            true => "<EncodingType>url</EncodingType>",
            false => "",
        };
        listing(&format!("{kind}{keys}"))
    };
    // Sorted by their own bytes, not by those of the answer.
    let honest = listed(
        move |request| match request.asks("encoding-type=url") {
            true => {
                let keys = ["a+b", "a%01", "a%2541", "b%2Bc", "%C3%A9"]
                    .map(entry)
                    .concat();
                listing(&format!("<EncodingType>url</EncodingType>{keys}"))
            }
            false => page(request),
        },
        encodes,
    );
    assert_eq!(honest.await.unwrap(), ["a b", "a%41", "b+c", "é"]);
    // Not asked to encode, it gives the keys as they are.
    let plain = |request: &Request| {
        assert!(!request.asks("encoding-type"));
        listing(&["a%41", "b+c"].map(entry).concat())
    };
    for look in [lies as fn() -> Reply, || listing("")] {
        assert_eq!(listed(plain, look).await.unwrap(), ["a%41", "b+c"]);
    }
}

/// A store on a server that encodes, or does not, and answers to other listings as `page` says.
async fn encoding(
    honest: bool,
    page: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scripted, S3) {
    let server = Scripted::start(move |request| {
        let canary = request.asks("prefix=.storehouse-probe");
        match (request.is("GET", "/bucket"), canary) {
            (true, true) if honest => encodes(),
            (true, true) => lies(),
            (true, false) => {
                assert_eq!(request.asks("encoding-type=url"), honest);
                page(request)
            }
            _ => willing(request),
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    (server, store)
}

#[tokio::test]
async fn folders_are_decoded_like_keys() {
    let folders = |names: [&str; 3]| {
        let prefix = |name| format!("<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>");
        names.map(prefix).concat()
    };
    for (honest, names) in [
        (true, ["a%2541/", "b%2Bc/", "d+e/"]),
        (false, ["a%41/", "b+c/", "d e/"]),
    ] {
        let (_server, store) = encoding(honest, move |request| {
            assert!(request.asks("delimiter="));
            let kind = if honest {
                "<EncodingType>url</EncodingType>"
            } else {
                ""
            };
            listing(&format!("{kind}{}{}", folders(names), entry("b")))
        })
        .await;
        let listed = store.list_delimited(ListOptions::default());
        let listed: Vec<_> = bounded(listed.try_collect()).await.unwrap();
        let names: Vec<_> = listed
            .iter()
            .map(|item| match item {
                Listed::Object(entry) => entry.key.as_str(),
                Listed::Prefix(prefix) => prefix,
            })
            .collect();
        assert_eq!(names, ["a%41/", "b", "b+c/", "d e/"]);
    }
}

#[tokio::test]
async fn uploads_are_listed_encoded_as_well() {
    let page = |kind: &str, key: &str, next: &str| {
        let text = format!(
            "<ListMultipartUploadsResult>{kind}<Upload><Key>{key}</Key><UploadId>u</UploadId><Initiated>2020-01-01T00:00:00Z</Initiated></Upload>{next}</ListMultipartUploadsResult>"
        );
        answer("200 OK", "", &text)
    };
    let next = |key: &str| {
        format!(
            "<IsTruncated>true</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        )
    };
    for (honest, kind, keys) in [
        (
            true,
            "<EncodingType>url</EncodingType>",
            ["a%2541+%2B", "%C3%A9"],
        ),
        // It does not say so here, though it does of objects.
        (true, "", ["a%41 +", "é"]),
        (false, "<EncodingType>url</EncodingType>", ["a%41 +", "é"]),
    ] {
        let (server, store) = encoding(honest, move |request| {
            match request.asks("key-marker=a%2541%20%2B") {
                true => page(kind, keys[1], ""),
                false => page(kind, keys[0], &next(keys[0])),
            }
        })
        .await;
        let pending = bounded(store.pending_uploads()).await.unwrap();
        let listed: Vec<_> = pending.iter().map(|upload| upload.key.as_str()).collect();
        assert_eq!(listed, ["a%41 +", "é"]);
        assert_eq!(server.take_requests().len(), 2);
    }
}

#[tokio::test]
async fn names_that_xml_cannot_carry_end_no_listing() {
    for name in [
        "a\u{fffd}b",
        "a&#x1;b",
        "a&#xD800;b",
        "a\u{1}b",
        "folder/",
        "a//b",
        "a\u{fffe}",
    ] {
        // In the order of their own bytes; those of U+FFFD are larger.
        let page = listing(&[entry(name), entry("aab"), entry("b")].concat());
        let keys = listed(move |_| page.clone(), || listing("")).await.unwrap();
        assert_eq!(keys, ["aab", "b"], "{name:?}");
    }
}

/// Opening asks for a listing that holds nothing; what one holds is no fault of the endpoint's.
#[tokio::test]
async fn a_bucket_opens_whatever_it_holds() {
    let server = Scripted::start(|request| match request.is("GET", "/bucket") {
        true if request.asks("prefix=") => listing("<Contents><Key>\u{1}</Key></Contents>"),
        true => listing(&format!("{}<Contents/>", entry("a&#0;"))),
        false => willing(request),
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    store.health().await.unwrap();
}

#[tokio::test]
async fn a_key_that_comes_twice_is_given_once() {
    let page = listing(&["a", "b", "b", "c"].map(entry).concat());
    let keys = listed(move |_| page.clone(), || listing("")).await.unwrap();
    assert_eq!(keys, ["a", "b", "c"]);
    // Across pages as well; and a token alone says that another one follows.
    let pages = |request: &Request| match request.asks("continuation-token") {
        true => listing(&["b", "c"].map(entry).concat()),
        false => listing(&format!(
            "{}<NextContinuationToken>t</NextContinuationToken>",
            ["a", "b"].map(entry).concat()
        )),
    };
    assert_eq!(
        listed(pages, || listing("")).await.unwrap(),
        ["a", "b", "c"]
    );
}

/// Pages without end, each with another token: the listing ends, in bounded memory.
#[tokio::test]
async fn pages_that_bring_nothing_come_to_an_end() {
    let count = AtomicUsize::new(0);
    let error = listed(
        move |_| {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            listing(&format!("{}<IsTruncated>true</IsTruncated><NextContinuationToken>{nth}</NextContinuationToken>", entry("a")))
        },
        || listing(""),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("empty part"), "{error}");
}

/// An answer of many small elements would take many times its size in memory.
#[tokio::test]
async fn an_answer_of_too_many_elements_is_none() {
    let page = listing(&"<a/>".repeat(1 << 20));
    let error = listed(move |_| page.clone(), || listing(""))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no answer of S3's"), "{error}");
}

/// XML in other forms that say the same.
#[tokio::test]
async fn a_listing_in_other_xml() {
    let entry = "<Contents><Key>a</Key><Size>1</Size></Contents>";
    let plain =
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entry}</ListBucketResult>");
    let prefixed = plain
        .replace("</", "</s3:")
        .replace('<', "<s3:")
        .replace("<s3:/s3:", "</s3:");
    for document in [
        plain.clone(),
        format!("\u{feff}{plain}"),
        format!("<?xml version='1.0' encoding='utf-8'?>\r\n<!-- a comment -->\r\n{plain}\r\n"),
        format!("<!DOCTYPE x [<!ENTITY e \"a\">]>{plain}"),
        plain.replace("<Key>a<", "<Key><![CDATA[a]]><"),
        plain.replace("<Key>a<", "<Key>&#x61;<"),
        plain.replace(
            "<Contents>",
            "<Contents other='1'><Unknown><Deep/></Unknown>",
        ),
        prefixed,
    ] {
        let shown = document.clone();
        let server = Scripted::start(move |request| match request.asks("list-type") {
            true => answer("200 OK", "", &document),
            false => willing(request),
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        let listed = bounded(store.list(ListOptions::default()).try_collect::<Vec<_>>()).await;
        let keys: Vec<_> = listed
            .unwrap()
            .into_iter()
            .map(|e| e.key.to_string())
            .collect();
        assert_eq!(keys, ["a"], "{shown}");
    }
    // Entities of its own are not expanded: an error in bounded time and memory.
    let bomb = format!(
        "<!DOCTYPE x [<!ENTITY a \"{}\"><!ENTITY b \"{}\">]>{}",
        "a".repeat(1000),
        "&a;".repeat(1000),
        plain.replace("<Key>a<", "<Key>&b;<")
    );
    let server = Scripted::start(move |request| match request.asks("prefix=") {
        false if request.asks("list-type") => answer("200 OK", "", &bomb),
        _ => willing(request),
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    let listed = bounded(store.list(ListOptions::default()).try_collect::<Vec<_>>()).await;
    assert!(listed.is_err());
}
