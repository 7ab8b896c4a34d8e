//! Listing: pages of 1,000 keys, by raw prefix.

use std::sync::Arc;

use chrono::DateTime;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use hyper::Method;

use storehouse_objectstore::{
    ETag, Entry, Error, ErrorClass, Key, ListOptions, Metadata, Operation, Result,
};

use super::client::{Call, Client};
use super::get::etag;
use super::xml::Element;

/// The most keys that S3 gives at once.
const PAGE: usize = 1000;

impl Client {
    pub(super) fn list(
        self: &Arc<Self>,
        options: ListOptions,
    ) -> BoxStream<'static, Result<Entry>> {
        // Past all keys with this prefix; or before them, which some servers take for that.
        let after = options
            .start_after
            .as_ref()
            .filter(|after| after.as_str() >= options.prefix.as_str());
        if !starts_a_key(&options.prefix)
            || after.is_some_and(|after| !after.as_str().starts_with(&options.prefix))
        {
            return stream::empty().boxed();
        }
        let after = after.cloned();
        let left = options.limit.unwrap_or(usize::MAX);
        let state = Listing {
            client: Arc::clone(self),
            last: after.clone(),
            after,
            asked: asked(&options.prefix).to_owned(),
            prefix: options.prefix,
            left,
            token: None,
            done: left == 0,
        };
        stream::unfold(state, |mut state| async move {
            if state.done {
                return None;
            }
            let page = match state.page().await {
                Ok(entries) => entries.into_iter().map(Ok).collect(),
                Err(error) => {
                    state.done = true;
                    vec![Err(error)]
                }
            };
            Some((stream::iter(page), state))
        })
        .flatten()
        .boxed()
    }
}

struct Listing {
    client: Arc<Client>,
    prefix: String,
    /// What the server is asked for: all keys with the prefix, and perhaps others.
    asked: String,
    after: Option<Key>,
    left: usize,
    token: Option<String>,
    /// The last key given, or the one to start after.
    last: Option<Key>,
    done: bool,
}

impl Listing {
    async fn page(&mut self) -> Result<Vec<Entry>> {
        let max_keys = self.left.min(PAGE).to_string();
        // Keys come as they are: asked for `encoding-type=url`, some servers say that they encoded
        // them and did not.
        let mut call = Call::new(Method::GET, None);
        call.query = vec![("list-type", "2"), ("max-keys", &max_keys)];
        if !self.asked.is_empty() {
            call.query.push(("prefix", &self.asked));
        }
        if let Some(token) = &self.token {
            call.query.push(("continuation-token", token));
        } else if let Some(after) = &self.after {
            call.query.push(("start-after", after.as_str()));
        }
        let error = |failure| self.client.error(failure, Operation::List, None);
        let answer = self.client.call(&call).await.map_err(error)?;
        let page = self
            .client
            .xml(answer, "ListBucketResult")
            .await
            .map_err(error)?;
        let next = page
            .is_true("IsTruncated")
            .then(|| page.get("NextContinuationToken").map(str::to_owned));
        match next {
            None => self.done = true,
            Some(None) => {
                return Err(self.broken("gave a part of a listing without saying how it goes on"));
            }
            Some(next) if next == self.token => {
                return Err(self.broken("gives the same part of a listing again and again"));
            }
            Some(next) => self.token = next,
        }
        let mut entries = Vec::new();
        for found in page.all("Contents") {
            let Some(metadata) = metadata(found) else {
                return Err(self.broken("lists an object without its size"));
            };
            // Others may have put objects here under names that are no keys, such as `folder/`.
            let Some(key) = found.get("Key").and_then(|text| Key::new(text).ok()) else {
                continue;
            };
            // This store's order is that of the keys' bytes, and no key comes twice.
            if !key.as_str().starts_with(&self.asked)
                || self.last.as_ref().is_some_and(|last| *last >= key)
            {
                return Err(self.broken("lists keys out of order, or keys that were not asked for"));
            }
            self.last = Some(key.clone());
            if !key.as_str().starts_with(&self.prefix) {
                if key.as_str() > self.prefix.as_str() {
                    self.done = true;
                    break;
                }
                continue;
            }
            entries.push(Entry {
                key,
                metadata,
                value: None,
            });
        }
        entries.truncate(self.left);
        self.left -= entries.len();
        self.done |= self.left == 0;
        Ok(entries)
    }

    fn broken(&self, what: &str) -> Error {
        Error::Backend {
            operation: Operation::List,
            key: None,
            class: ErrorClass::Fatal,
            message: format!("{} {what}", self.client.endpoint().describe()),
            source: None,
        }
    }
}

fn metadata(found: &Element) -> Option<Metadata> {
    let modified = found
        .get("LastModified")
        .and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    Some(Metadata {
        size: found.get("Size")?.parse().ok()?,
        // Some servers list no tags; no object has an empty one.
        etag: found.get("ETag").map_or_else(|| ETag::new(""), etag),
        // To the second, as a head says it.
        last_modified: modified
            .and_then(|time| DateTime::from_timestamp(time.timestamp(), 0))
            .map(Into::into),
    })
}

/// The prefix that the server is asked for: without a last `.` or `..`, which some servers refuse,
/// though it is a segment's beginning.
fn asked(prefix: &str) -> &str {
    let parent = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    if matches!(&prefix[parent.len()..], "." | "..") {
        parent
    } else {
        prefix
    }
}

/// Whether a key can start with `prefix`. Servers are not asked about others: they refuse some, and
/// take others for something else.
fn starts_a_key(prefix: &str) -> bool {
    let whole = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return true;
    }
    // Of an unfinished last segment, `.` and `..` may become something else.
    let unfinished = whole.len() == prefix.len()
        && whole
            .rsplit('/')
            .next()
            .is_some_and(|last| last == "." || last == "..");
    prefix.len() <= Key::MAX_LEN
        && (Key::new(whole).is_ok() || unfinished && Key::new(format!("{whole}.x")).is_ok())
}

#[cfg(test)]
mod tests {
    use super::starts_a_key;

    #[test]
    fn prefixes_that_no_key_starts_with() {
        for prefix in ["", "a", "a/", "a/b", ".", "..", "a/.", "a/..", "%3A", "é"] {
            assert!(starts_a_key(prefix), "{prefix:?}");
        }
        for prefix in [
            "/", "a//", "a//b", "/a", "./", "../", "a/../", "a/./b", "\0", "a\n",
        ] {
            assert!(!starts_a_key(prefix), "{prefix:?}");
        }
        assert!(!starts_a_key(&"k".repeat(1025)));
    }
}
