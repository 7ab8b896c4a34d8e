//! Assertions that name the rule.

use std::error::Error as _;
use std::fmt::Display;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::Fixture;
use storehouse_objectstore::{
    Body, Entry, Error, GetOptions, Key, ListOptions, ObjectStore, PutOptions, PutResult, Result,
};

/// The most that a case collects, in bytes. More is a store that invents data.
const COLLECT: u64 = 1 << 30;

/// Fails with `rule N: …` unless the condition holds.
macro_rules! ensure {
    ($rule:expr, $condition:expr, $($message:tt)+) => {
        if !$condition {
            panic!("rule {}: {}", $rule, format_args!($($message)+));
        }
    };
}

/// Fails with `rule N: …` unless both are equal.
macro_rules! ensure_eq {
    ($rule:expr, $left:expr, $right:expr, $($message:tt)+) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            panic!("rule {}: {}: {left:?} instead of {right:?}", $rule, format_args!($($message)+));
        }
    }};
}

/// Fails with `rule N: …` unless the result is an error of this shape.
macro_rules! ensure_err {
    ($rule:expr, $result:expr, $pattern:pat $(if $guard:expr)?, $($message:tt)+) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            other => panic!("rule {}: {}: {} instead of {}", $rule, format_args!($($message)+), $crate::check::story(&other), stringify!($pattern)),
        }
    };
}

pub(super) use {ensure, ensure_eq, ensure_err};

/// A result in one line, with the causes of an error.
pub(super) fn story<T: std::fmt::Debug>(result: &Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            format!("the error \"{text}\"")
        }
    }
}

/// Turns an error into a failure that names the rule.
pub(super) trait OrFail<T> {
    /// The value, or a failure `rule N: what: the error`.
    fn or_fail(self, rule: u8, what: impl Display) -> T;
}

impl<T: std::fmt::Debug> OrFail<T> for Result<T> {
    #[track_caller]
    fn or_fail(self, rule: u8, what: impl Display) -> T {
        match self {
            Ok(value) => value,
            failed => panic!("rule {rule}: {what}: {}", story(&failed)),
        }
    }
}

/// What most cases do to a store, each failing with the rule that the case is about.
impl Fixture {
    pub(super) async fn put(&self, rule: u8, key: &Key, bytes: impl Into<Body>) -> PutResult {
        self.store()
            .put_opts(key, bytes.into(), PutOptions::default())
            .await
            .or_fail(rule, format_args!("put {key:?}"))
    }

    pub(super) async fn try_put(
        &self,
        key: &Key,
        bytes: impl Into<Body>,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.store().put_opts(key, bytes.into(), options).await
    }

    /// The whole object, `None` if there is none. Fails if it is not as long as it says.
    pub(super) async fn read(&self, rule: u8, key: &Key) -> Option<Bytes> {
        read(self.store(), rule, key).await
    }

    pub(super) async fn delete(&self, rule: u8, key: &Key) {
        self.store()
            .delete(key)
            .await
            .or_fail(rule, format_args!("delete {key:?}"));
    }

    pub(super) async fn list(&self, rule: u8, options: ListOptions) -> Vec<Entry> {
        let asked = format!("list {options:?}");
        self.store()
            .list(options)
            .try_collect()
            .await
            .or_fail(rule, asked)
    }

    pub(super) async fn list_keys(&self, rule: u8, options: ListOptions) -> Vec<Key> {
        self.list(rule, options)
            .await
            .into_iter()
            .map(|entry| entry.key)
            .collect()
    }

    /// Asserts that the object is exactly `expected` (`None`: not there), by get, head and list
    /// alike.
    pub(super) async fn assert_holds(
        &self,
        rule: u8,
        key: &Key,
        expected: Option<&Bytes>,
        when: &str,
    ) {
        let there = self.read(rule, key).await;
        ensure!(
            rule,
            there.as_ref() == expected,
            "{when}: get {key:?} gives {} instead of {}",
            brief(there.as_ref()),
            brief(expected)
        );
        let size = expected.map(|bytes| bytes.len() as u64);
        match self.store().head(key).await {
            Ok(metadata) => ensure_eq!(
                rule,
                Some(metadata.size),
                size,
                "{when}: the size by head of {key:?}"
            ),
            Err(error) if error.is_not_found() => ensure!(
                rule,
                size.is_none(),
                "{when}: head says that {key:?} is not found"
            ),
            failed => panic!("rule {rule}: {when}: head {key:?}: {}", story(&failed)),
        }
        let listed = self
            .list(rule, ListOptions::default().prefix(key.as_str()))
            .await;
        let listed: Vec<_> = listed
            .iter()
            .filter(|entry| entry.key == *key)
            .map(|entry| entry.metadata.size)
            .collect();
        ensure_eq!(
            rule,
            listed,
            size.into_iter().collect::<Vec<_>>(),
            "{when}: the sizes listed for {key:?}"
        );
    }
}

/// The whole object, `None` if there is none. Fails if it is not as long as it says.
pub(super) async fn read(store: &dyn ObjectStore, rule: u8, key: &Key) -> Option<Bytes> {
    let object = match store.get_opts(key, GetOptions::default()).await {
        Err(Error::NotFound { .. }) => return None,
        got => got.or_fail(rule, format_args!("get {key:?}")),
    };
    let size = object.size();
    ensure_eq!(
        rule,
        object.range,
        0..size,
        "the range of a whole get of {key:?}"
    );
    let bytes = object
        .body
        .collect(COLLECT)
        .await
        .or_fail(rule, format_args!("reading {key:?}"));
    ensure_eq!(
        rule,
        bytes.len() as u64,
        size,
        "the length of {key:?}, against the size it came with"
    );
    Some(bytes)
}

/// Bytes in a word or two: never megabytes in a message.
pub(super) fn brief(bytes: Option<&Bytes>) -> String {
    match bytes {
        None => "nothing".into(),
        Some(bytes) if bytes.len() <= 16 => format!("{bytes:?}"),
        Some(bytes) => format!(
            "{} bytes starting with {:?}",
            bytes.len(),
            bytes.slice(..16)
        ),
    }
}
