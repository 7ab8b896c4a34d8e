//! Bulk deletes.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::*;

#[tokio::test]
async fn bulk_deletes_that_the_server_does_not_have_or_does_by_halves() {
    let keys = || stream::iter(["a", "b", "c"].map(|name| Key::new(name).unwrap())).boxed();
    for refusal in [
        error("501 Not Implemented", "NotImplemented"),
        error("405 Not Allowed", "MethodNotAllowed"),
        error("400 Bad", "MalformedXML"),
    ] {
        let server = Scripted::start(move |request| {
            if request.is("POST", "/bucket") {
                refusal.clone()
            } else {
                willing(request)
            }
        })
        .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        server.take_requests();
        let mut gone: Vec<_> = store.delete_many(keys()).try_collect().await.unwrap();
        gone.sort_unstable();
        assert_eq!(
            gone.iter().map(Key::as_str).collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
        assert_eq!(server.take_requests().len(), 4);
    }
    let partly = "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>";
    let server = Scripted::start(move |request| {
        if request.is("POST", "/bucket") {
            answer("200 OK", "", partly)
        } else {
            willing(request)
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    let results: Vec<_> = store.delete_many(keys()).collect().await;
    let kept: Vec<_> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .collect();
    assert_eq!((results.len(), kept.len()), (3, 1));
    assert!(
        matches!(kept[0], Error::Backend { key: Some(key), .. } if key.as_str() == "b"),
        "{}",
        kept[0]
    );
}

fn three() -> futures_util::stream::BoxStream<'static, Key> {
    stream::iter(["a", "b", "c"].map(|name| Key::new(name).unwrap())).boxed()
}

/// What a bulk delete says, by what the server says of each key.
async fn outcome(
    script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
) -> (Vec<String>, Vec<Error>, usize) {
    let count = AtomicUsize::new(0);
    let server = Scripted::start(move |request| {
        let other = request.is("GET", "/bucket")
            || request.is("PUT", "/bucket")
            || request.head.contains("probe");
        if other {
            return willing(request);
        }
        script(request, count.fetch_add(1, Ordering::SeqCst))
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    let results: Vec<_> = store.delete_many(three()).collect().await;
    let (mut gone, mut kept) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(key) => gone.push(key.to_string()),
            Err(error) => kept.push(error),
        }
    }
    gone.sort_unstable();
    (gone, kept, server.take_requests().len())
}

#[tokio::test]
async fn only_what_the_server_says_is_gone_is_gone() {
    // `b` is in neither list, and an error is about a key that was not asked for. Asked for alone,
    // `b` is kept, and `c` is gone.
    let (gone, kept, requests) = outcome(|request, _| {
        if request.is("POST", "/bucket") {
            return answer("200 OK", "", "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>B</Key><Code>AccessDenied</Code></Error><Error><Code>AccessDenied</Code></Error></DeleteResult>");
        }
        if request.is("DELETE", "/bucket/b") {
            return error("403 Forbidden", "AccessDenied");
        }
        answer("204 No Content", "", "")
    })
    .await;
    assert_eq!((gone, requests), (vec!["a".to_owned(), "c".to_owned()], 3));
    assert_eq!(kept.len(), 1);
    assert!(matches!(&kept[0], Error::Backend { key: Some(key), .. } if key.as_str() == "b"));
}

#[tokio::test]
async fn keys_that_were_kept_for_a_moment_are_asked_for_again() {
    let (gone, kept, requests) = outcome(|_, nth| {
        let b = match nth {
            0 => "<Error><Key>b</Key><Code>SlowDown</Code></Error>",
            _ => "<Deleted><Key>b</Key></Deleted>",
        };
        let others = match nth {
            0 => "<Deleted><Key>a</Key></Deleted><Error><Key>c</Key><Code>NoSuchKey</Code></Error>",
            _ => "",
        };
        answer(
            "200 OK",
            "",
            &format!("<DeleteResult>{others}{b}</DeleteResult>"),
        )
    })
    .await;
    assert_eq!((gone.len(), kept.len(), requests), (3, 0, 2));
    let (gone, kept, requests) = outcome(|_, _| {
        answer("200 OK", "", "<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>InternalError</Code></Error><Deleted><Key>c</Key></Deleted></DeleteResult>")
    })
    .await;
    assert_eq!((gone.len(), kept.len(), requests), (2, 1, 3));
    assert!(kept[0].is_transient(), "{}", kept[0]);
}

#[tokio::test]
async fn a_bulk_delete_that_fails_as_a_whole_says_so_of_every_key_and_why() {
    let (gone, kept, _) = outcome(|_, _| error("500 Oops", "InternalError")).await;
    assert_eq!((gone.len(), kept.len()), (0, 3));
    for error in kept {
        let cause = error.source().expect("a cause").to_string();
        assert!(
            error.is_transient() && cause.contains("InternalError"),
            "{error}: {cause}"
        );
    }
}

/// What an answer names otherwise than it was asked for, twice, or not at all.
#[tokio::test]
async fn odd_answers_to_a_bulk_delete() {
    let gone = |key: &str| format!("<Deleted><Key>{key}</Key></Deleted>");
    let denied = |key: &str| format!("<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>");
    let (a, b, c) = (gone("a"), gone("b"), gone("c"));
    for (answered, expected, kept, requests) in [
        // Nothing: each is asked for alone, where `b` is kept.
        (String::new(), &["a", "c"][..], 1, 4),
        (format!("{a}{a}{a}{b}{c}"), &["a", "b", "c"], 0, 1),
        // In both lists it is not gone.
        (format!("{a}{b}{}{c}", denied("b")), &["a", "c"], 1, 1),
        (format!("{a}{}{b}{c}", denied("b")), &["a", "c"], 1, 1),
        // Other names than those asked for.
        (format!("{a}{}{c}", gone("%62")), &["a", "c"], 1, 2),
        (format!("{a}{}{c}", gone(" b")), &["a", "c"], 1, 2),
        (format!("{a}{}{c}", gone("b ")), &["a", "c"], 1, 2),
        (format!("{a}{}{c}", gone("B")), &["a", "c"], 1, 2),
        (format!("{a}{c}<Deleted/>"), &["a", "c"], 1, 2),
        (
            format!("{a}{c}<Deleted><Name>b</Name></Deleted>"),
            &["a", "c"],
            1,
            2,
        ),
        // The same name, written in another way.
        (
            format!("{a}{}{}", gone("&#98;"), gone("<![CDATA[c]]>")),
            &["a", "b", "c"],
            0,
            1,
        ),
    ] {
        let document = format!(
            "\u{feff}<?xml version=\"1.0\"?>\n<s:DeleteResult xmlns:s=\"x\">{answered}</s:DeleteResult>"
        );
        let (names, errors, count) = outcome(move |request, _| {
            if request.is("POST", "/bucket") {
                return answer("200 OK", "", &document);
            }
            if request.is("DELETE", "/bucket/b") {
                return error("403 Forbidden", "AccessDenied");
            }
            answer("204 No Content", "", "")
        })
        .await;
        let found = (names.as_slice(), errors.len(), count);
        let names: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(found, (names.as_slice(), kept, requests), "{answered}");
    }
}
