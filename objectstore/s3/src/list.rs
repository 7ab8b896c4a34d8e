//! Listing: pages of 1,000 keys, by raw prefix.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use chrono::DateTime;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use hyper::Method;
use percent_encoding::percent_decode_str;

use storehouse_objectstore::{ETag, Entry, Error, Key, ListOptions, Metadata, Operation, Result};

use crate::answer::{decimal, etag};
use crate::client::{Call, Client};
use crate::error::Failure;
use crate::limits::flaw;
use crate::xml::Element;

/// The most keys that S3 gives at once.
const PAGE: usize = 1000;

/// The most pages in a row that bring nothing new. Servers give some empty ones, where many objects
/// were deleted.
const MAX_IDLE_PAGES: u32 = 1000;

/// A prefix that no object has, of characters that `encoding-type=url` changes: an answer that
/// repeats it shows whether the server does as it says.
const CANARY: &str = ".storehouse-probe/ %41+\u{e9}";

/// Lists objects.
pub(crate) fn list(
    client: &Arc<Client>,
    decodes: bool,
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
        client: Arc::clone(client),
        decodes,
        last: after.clone(),
        after,
        asked: asked(&options.prefix).to_owned(),
        prefix: options.prefix,
        left,
        token: None,
        idle: 0,
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
                VecDeque::from([Err(error)])
            }
        };
        Some((stream::iter(page), state))
    })
    .flatten()
    .boxed()
}

/// Asks for a listing that holds nothing: unlike a HEAD of the bucket, its answer says what is
/// wrong and whether an S3 server speaks. Gives whether listed keys are to be decoded.
///
/// `encoding-type=url` carries every key, XML does not. But some servers say that they encoded the
/// keys and did not.
pub(crate) async fn look(client: &Client) -> Result<bool, Failure> {
    let call = Call::new(Method::GET, None)
        .query("list-type", "2")
        .query("max-keys", "1")
        .query("prefix", CANARY)
        .query("encoding-type", "url");
    let (_, answer) = client.call_xml(&call, "ListBucketResult").await;
    let (_, page) = answer?;
    let encoded = page
        .get("Prefix")
        .is_some_and(|prefix| prefix != CANARY && decoded(prefix) == CANARY);
    Ok(is_encoded(&page) && encoded)
}

/// Whether the answer says that its keys are percent-encoded.
fn is_encoded(page: &Element) -> bool {
    page.get("EncodingType")
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("url"))
}

/// A key that was encoded: `%XX`, and `+` for a space. What is no UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

struct Listing {
    client: Arc<Client>,
    /// Keys are asked for encoded.
    decodes: bool,
    prefix: String,
    /// What the server is asked for: all keys with the prefix, and perhaps others.
    asked: String,
    after: Option<Key>,
    left: usize,
    token: Option<String>,
    /// The last key given, or the one to start after.
    last: Option<Key>,
    /// How many pages in a row brought nothing new.
    idle: u32,
    done: bool,
}

impl Listing {
    async fn page(&mut self) -> Result<Vec<Entry>> {
        let max_keys = self.left.min(PAGE).to_string();
        let mut call = Call::new(Method::GET, None)
            .query("list-type", "2")
            .query("max-keys", &max_keys);
        if self.decodes {
            call.query.push(("encoding-type", "url"));
        }
        if !self.asked.is_empty() {
            call.query.push(("prefix", &self.asked));
        }
        if let Some(token) = &self.token {
            call.query.push(("continuation-token", token));
        } else if let Some(after) = &self.after {
            call.query.push(("start-after", after.as_str()));
        }
        let (_, answer) = self.client.call_xml(&call, "ListBucketResult").await;
        let (_, page) = answer.map_err(|e| self.client.error(e, Operation::List, None))?;
        self.go_on(&page)?;
        let encoded = self.decodes && is_encoded(&page);
        let (mut entries, mut news) = (Vec::new(), false);
        for found in page.all("Contents") {
            let Some(name) = found.get("Key") else {
                return Err(self.broken("lists an object without its Key"));
            };
            let name = if encoded { decoded(name) } else { name.into() };
            // Others may have put objects here under names that are no keys, such as `folder/`, or
            // that XML cannot carry, so that their place in the order is not theirs.
            let key = match Key::new(&*name) {
                Ok(key) if flaw(&name).is_none() => key,
                _ => {
                    news = true;
                    continue;
                }
            };
            // This store's order is that of the keys' bytes. A key that comes twice is dropped.
            match &self.last {
                Some(last) if *last == key => continue,
                Some(last) if *last > key => return Err(self.broken("lists keys out of order")),
                _ => {}
            }
            if !key.as_str().starts_with(&self.asked) {
                return Err(self.broken("lists keys that were not asked for"));
            }
            news = true;
            self.last = Some(key.clone());
            if !key.as_str().starts_with(&self.prefix) {
                if key.as_str() > self.prefix.as_str() {
                    self.done = true;
                    break;
                }
                continue;
            }
            let Some(metadata) = metadata(found) else {
                return Err(self.broken("lists an object without its Size"));
            };
            entries.push(Entry {
                key,
                metadata,
                value: None,
            });
        }
        self.idle = if news { 0 } else { self.idle + 1 };
        if self.idle > MAX_IDLE_PAGES {
            return Err(self.broken("gives one empty part of a listing after another"));
        }
        entries.truncate(self.left);
        self.left -= entries.len();
        self.done |= self.left == 0;
        Ok(entries)
    }

    /// Finds out whether another page follows. A token alone says so, too.
    fn go_on(&mut self, page: &Element) -> Result<()> {
        let token = page.get("NextContinuationToken").map(str::to_owned);
        let more = match page.get("IsTruncated") {
            Some(_) => page.is_true("IsTruncated"),
            None => token.is_some(),
        };
        match token {
            _ if !more => self.done = true,
            None => {
                return Err(self.broken(
                    "gave a part of a listing without saying how it goes on (NextContinuationToken)",
                ));
            }
            next if next == self.token => {
                return Err(self.broken("gives the same part of a listing again and again"));
            }
            next => self.token = next,
        }
        Ok(())
    }

    fn broken(&self, what: &str) -> Error {
        self.client.unexpected(Operation::List, None, what)
    }
}

fn metadata(found: &Element) -> Option<Metadata> {
    let modified = found
        .get("LastModified")
        .and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let size = decimal(found.get("Size")?)?;
    // Some servers list no tags; no object has an empty one.
    let tag = found.get("ETag").map_or_else(|| ETag::new(""), etag);
    // To the second, as a head says it.
    let modified = modified.and_then(|time| DateTime::from_timestamp(time.timestamp(), 0));
    Some(Metadata::new(size, tag).last_modified(modified.map(Into::into)))
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
    use super::*;

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

    #[test]
    fn keys_are_decoded() {
        for (text, expected) in [
            ("plain/key", "plain/key"),
            ("a+b", "a b"),
            ("a%2Bb%20c", "a+b c"),
            ("%C3%A9", "é"),
            ("%01", "\u{1}"),
            ("%FF", "\u{fffd}"),
            ("100%", "100%"),
        ] {
            assert_eq!(decoded(text), expected);
        }
    }
}
