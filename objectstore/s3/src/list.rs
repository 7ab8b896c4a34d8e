//! Listing: pages of 1,000 keys, by raw prefix.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use chrono::DateTime;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use hyper::Method;
use percent_encoding::percent_decode_str;

use storehouse_objectstore::{
    Capabilities, ETag, Entry, Error, Key, ListOptions, Listed, Metadata, Operation, Result,
    fallback,
};

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
    items(client, decodes, options, None)
        .filter_map(|item| {
            std::future::ready(match item {
                Ok(Listed::Object(entry)) => Some(Ok(entry)),
                // There are none without a delimiter.
                Ok(Listed::Prefix(_)) => None,
                Err(error) => Some(Err(error)),
            })
        })
        .boxed()
}

/// Lists by folders, which the server makes.
///
/// Servers differ in what they make of a start within a folder. So whether it has keys after that
/// is asked for first, and the listing goes on behind the folder.
pub(crate) fn list_delimited(
    client: &Arc<Client>,
    decodes: bool,
    mut options: ListOptions,
) -> BoxStream<'static, Result<Listed>> {
    let delimiter = options.delimiter.unwrap_or('/');
    let client = Arc::clone(client);
    // Some servers break at a delimiter of several bytes.
    let plain = delimiter.is_ascii() && asked(&options.prefix) == options.prefix;
    if !plain || options.limit == Some(0) {
        let list = move |options| list(&client, decodes, options);
        return fallback::list_delimited(&Capabilities::full(), list, options);
    }
    let folder = options.start_after.as_ref().and_then(|after| {
        let rest = after.as_str().strip_prefix(&*options.prefix)?;
        let at = options.prefix.len() + rest.find(delimiter)? + delimiter.len_utf8();
        Some((after.as_str()[..at].to_owned(), after.clone()))
    });
    let Some((folder, after)) = folder else {
        return items(&client, decodes, options, Some(delimiter));
    };
    let last = Key::last_under(&folder);
    let asks = last.as_ref() != Some(&after);
    options.start_after = last;
    stream::once(async move {
        let within = ListOptions::default().prefix(&*folder).start_after(after);
        let mut within = list(&client, decodes, within.limit(1));
        let first = if asks { within.next().await } else { None };
        let first = first.map(|entry| entry.map(|_| Listed::Prefix(folder)));
        options.limit = options
            .limit
            .map(|limit| limit - usize::from(first.is_some()));
        let failed = matches!(first, Some(Err(_)));
        let behind = if failed {
            stream::empty().boxed()
        } else {
            items(&client, decodes, options, Some(delimiter))
        };
        stream::iter(first).chain(behind)
    })
    .flatten()
    .boxed()
}

fn items(
    client: &Arc<Client>,
    decodes: bool,
    options: ListOptions,
    delimiter: Option<char>,
) -> BoxStream<'static, Result<Listed>> {
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
    let after = after.map(Key::to_string);
    let left = options.limit.unwrap_or(usize::MAX);
    let state = Listing {
        client: Arc::clone(client),
        decodes,
        last: after.clone(),
        after: after.map(|after| shortened(&after).to_owned()),
        asked: asked(&options.prefix).to_owned(),
        prefix: options.prefix,
        delimiter: delimiter.map(String::from),
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
            Ok(items) => items.into_iter().map(Ok).collect(),
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

/// The beginning of a key to start after: of one that ends with U+10FFFF over and over, which
/// stands for the end of a folder, the first of these is enough. What it lets through is passed
/// over.
fn shortened(after: &str) -> &str {
    match after.find("\u{10ffff}\u{10ffff}") {
        Some(at) => &after[..at + 4],
        None => after,
    }
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
pub(crate) fn is_encoded(page: &Element) -> bool {
    page.get("EncodingType")
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("url"))
}

/// A key that was encoded: `%XX`, and `+` for a space. What is no UTF-8 becomes U+FFFD.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
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
    delimiter: Option<String>,
    after: Option<String>,
    left: usize,
    token: Option<String>,
    /// The last key or folder given, or the key to start after.
    last: Option<String>,
    /// How many pages in a row brought nothing new.
    idle: u32,
    done: bool,
}

impl Listing {
    async fn page(&mut self) -> Result<Vec<Listed>> {
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
        if let Some(delimiter) = &self.delimiter {
            call.query.push(("delimiter", delimiter));
        }
        if let Some(token) = &self.token {
            call.query.push(("continuation-token", token));
        } else if let Some(after) = &self.after {
            call.query.push(("start-after", after));
        }
        let (_, answer) = self.client.call_xml(&call, "ListBucketResult").await;
        let (_, page) = answer.map_err(|e| self.client.error(e, Operation::List, None))?;
        self.go_on(&page)?;
        let encoded = self.decodes && is_encoded(&page);
        let (mut items, mut news) = (Vec::new(), false);
        for (name, found) in self.found(&page, encoded)? {
            // Others may have put objects here under names that are no keys, such as `folder/`, or
            // that XML cannot carry, so that their place in the order is not theirs.
            let valid = match found {
                Some(_) => Key::new(&name).is_ok(),
                None => Key::last_under(&name).is_some(),
            };
            if !valid || flaw(&name).is_some() {
                news = true;
                continue;
            }
            // This store's order is that of the keys' bytes. A key that comes twice is dropped.
            match &self.last {
                Some(last) if *last == name => continue,
                // The folder that the listing starts in.
                Some(last) if found.is_none() && last.starts_with(&name) => continue,
                // Let through by a start that was shortened.
                Some(last) if *last > name && Some(shortened(last)) == self.after.as_deref() => {
                    continue;
                }
                Some(last) if *last > name => return Err(self.broken("lists keys out of order")),
                _ => {}
            }
            if !name.starts_with(&self.asked) {
                return Err(self.broken("lists keys that were not asked for"));
            }
            news = true;
            self.last = Some(name.clone());
            if !name.starts_with(&self.prefix) {
                if name > self.prefix {
                    self.done = true;
                    break;
                }
                continue;
            }
            let Some(found) = found else {
                items.push(Listed::Prefix(name));
                continue;
            };
            let Some(metadata) = metadata(found) else {
                return Err(self.broken("lists an object without its Size"));
            };
            items.push(Listed::Object(Entry {
                key: Key::new(&name)?,
                metadata,
                value: None,
            }));
        }
        self.idle = if news { 0 } else { self.idle + 1 };
        if self.idle > MAX_IDLE_PAGES {
            return Err(self.broken("gives one empty part of a listing after another"));
        }
        items.truncate(self.left);
        self.left -= items.len();
        self.done |= self.left == 0;
        Ok(items)
    }

    /// The names on a page: of objects, with what is said of them, and of folders, merged in order.
    fn found<'a>(
        &self,
        page: &'a Element,
        encoded: bool,
    ) -> Result<Vec<(String, Option<&'a Element>)>> {
        let text = |name: &str| match encoded {
            true => decoded(name).into_owned(),
            false => name.to_owned(),
        };
        let mut found = Vec::new();
        for object in page.all("Contents") {
            let Some(name) = object.get("Key") else {
                return Err(self.broken("lists an object without its Key"));
            };
            found.push((text(name), Some(object)));
        }
        if self.delimiter.is_some() {
            for folder in page.all("CommonPrefixes") {
                let Some(name) = folder.get("Prefix") else {
                    return Err(self.broken("lists a folder without its Prefix"));
                };
                found.push((text(name), None));
            }
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Ok(found)
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
