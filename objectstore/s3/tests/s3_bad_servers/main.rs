//! Servers that are not there, are none, refuse, fall silent or break off: a clear error each, in
//! bounded time, and never a secret in it.

#[path = "../support/mod.rs"]
mod support;

mod copy;
mod credentials;
mod delete;
mod get;
mod list;
mod opening;
mod put;
mod redirects;
mod retries;
mod streams;

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ring::digest::{SHA256, digest};
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, Key, ListOptions, ObjectStore, ObjectStoreExt, Operation,
    PutMode, PutOptions,
};
use storehouse_s3::{Credentials, S3, S3Options};
use support::scripted::{Reply, Request, Scripted, answer, error, listing, text, willing};
use support::{Kind, Server, content, streamed, with};

pub(crate) const SECRET: &str = "mArKoFaSeCrEt-that-nobody-may-see";

pub(crate) const TOKEN: &str = "token-mArKoFaSeCrEt-that-nobody-may-see";

pub(crate) fn options(endpoint: &str) -> S3Options {
    let mut credentials = Credentials::new("the-key", SECRET);
    credentials.session_token = Some(TOKEN.into());
    with(S3Options::default(), |o| {
        o.endpoint = endpoint.into();
        o.bucket = "bucket".into();
        o.credentials = Some(credentials);
        o.connect_timeout = Duration::from_millis(500);
        o.stall_timeout = Duration::from_millis(500);
        o.retry_backoff = Duration::from_millis(1);
        o.max_attempts = 3;
        o.part_size = 5 << 20;
    })
}

pub(crate) fn key() -> Key {
    Key::new("object").unwrap()
}

/// The result of `work`, which must come in bounded time; an error of it tells no secret, nor do
/// its causes.
pub(crate) async fn bounded<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let result = tokio::time::timeout(Duration::from_secs(20), work)
        .await
        .expect("it takes for ever");
    if let Err(error) = &result {
        let mut texts = vec![error.to_string(), format!("{error:?}")];
        let mut cause = error.source();
        while let Some(source) = cause {
            texts.push(format!("{source} {source:?}"));
            cause = source.source();
        }
        for text in texts {
            // For the search of the whole run's output.
            println!("{text}");
            assert!(!text.contains(SECRET) && !text.contains(TOKEN), "{text}");
        }
    }
    result
}

pub(crate) async fn open(options: S3Options) -> Result<S3, Error> {
    bounded(S3::open(options)).await
}

/// A server that is willing but for requests for `/bucket/object`.
pub(crate) async fn store(
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scripted, S3) {
    let server = Scripted::start(move |request| {
        let special = ["GET", "PUT", "HEAD", "DELETE", "POST"]
            .iter()
            .any(|method| request.is(method, "/bucket/object"));
        if special {
            script(request)
        } else {
            willing(request)
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    server.take_requests();
    (server, store)
}

#[track_caller]
pub(crate) fn assert_transient(error: &Error, operation: Operation, says: &str) {
    let text = error.to_string();
    assert!(
        matches!(error, Error::Backend { operation: o, class: ErrorClass::Transient, .. } if *o == operation),
        "{text}"
    );
    assert!(
        text.contains(says) && text.contains("\"bucket\" at http"),
        "{text}"
    );
}

#[track_caller]
pub(crate) fn assert_setting(error: &Error, name: &str, says: &str) {
    assert!(
        matches!(error, Error::Config { setting, .. } if *setting == name),
        "{error} {error:?}"
    );
    assert!(error.to_string().contains(says), "{error}");
}

pub(crate) fn bodies() -> Vec<(Body, PutOptions)> {
    let bytes = content(3 << 20);
    let sum: [u8; 32] = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
    let create = PutOptions::default().mode(PutMode::Create);
    vec![
        (bytes.clone().into(), PutOptions::default()),
        (streamed(&bytes, 100_000), PutOptions::default().sha256(sum)),
        (streamed(&content(6 << 20), 100_000), create.sha256(sum)),
    ]
}

/// One that honours conditions, so that they are not refused before they are sent.
pub(crate) async fn honouring(
    script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Scripted, S3) {
    let server = Scripted::start(move |request| {
        let repeated = request.head.contains("if-match");
        match request.is("PUT", "/bucket/object") {
            true => script(request),
            false if repeated => error("412 Precondition Failed", "PreconditionFailed"),
            // The first of them is taken, as there is nothing yet; the second is not told from it,
            // so both are refused.
            false => willing(request),
        }
    })
    .await;
    let store = open(options(&server.endpoint)).await.unwrap();
    assert!(
        store.capabilities().replace
            && !store.capabilities().create
            && !store.capabilities().verifies_sha256
    );
    server.take_requests();
    (server, store)
}
