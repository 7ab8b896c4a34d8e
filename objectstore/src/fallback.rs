//! Operations in terms of others: for backends without a better way, and for layers whose inner
//! stores cannot do them for the layer.

use std::ops::Range;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    ByteRange, Capabilities, CopyOptions, Entry, Error, ErrorClass, GetOptions, Key, ListOptions,
    Listed, ObjectRanges, ObjectStore, Operation, PutOptions, PutResult, Result,
};

/// How many keys of one folder are read one by one before the listing is begun anew behind it.
const READ_BEFORE_SEEK: usize = 64;

/// Ranges with at most this number of bytes between them are read as one.
const GAP: u64 = 16 * 1024;

/// The same for a store whose every read is a round trip.
const REMOTE_GAP: u64 = 512 * 1024;

/// How many reads of [`get_ranges`] run at a time.
const READS: usize = 8;

/// How often [`get_ranges`] begins anew when the object is replaced between its reads.
const ATTEMPTS: usize = 4;

/// [`ObjectStore::copy_opts`] as a get and a put through this process. It renames nothing.
///
/// # Errors
/// As there; [`Error::Unsupported`] if the source is to be removed.
///
/// ```
/// use storehouse_objectstore::{CopyOptions, Key, Memory, ObjectStoreExt, fallback};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (store, from, to) = (Memory::new(), Key::new("a")?, Key::new("b")?);
/// store.put(&from, "bytes").await?;
/// fallback::copy(&store, &from, &to, CopyOptions::default()).await?;
/// assert_eq!(store.get_bytes(&to, 5).await?, "bytes");
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn copy<S: ObjectStore + ?Sized>(
    store: &S,
    from: &Key,
    to: &Key,
    options: CopyOptions,
) -> Result<PutResult> {
    let renames_nothing = store.capabilities().clone().with_rename(false);
    options.check(from, to, &renames_nothing)?;
    let get = GetOptions::default().if_match(options.if_match);
    let object = store
        .get_opts(from, get)
        .await
        .map_err(|e| e.map_operation(Operation::Copy))?;
    let put = PutOptions::default()
        .size(object.size())
        .mode(options.mode)
        .durability(options.durability)
        .attributes(options.attributes.unwrap_or(object.metadata.attributes));
    store
        .put_opts(to, object.body, put)
        .await
        .map_err(|e| e.map_operation(Operation::Copy))
}

/// [`ObjectStore::get_ranges_opts`] as a head and gets, a few at a time, each of the version that
/// the head saw.
///
/// # Errors
/// As there.
///
/// ```
/// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStoreExt, fallback};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// store.put(&key, "0123456789").await?;
/// let ranges = [(7..9).into(), (0..2).into()];
/// let got = fallback::get_ranges(&store, &key, &ranges, GetOptions::default()).await?;
/// assert_eq!(got.parts, ["78", "01"]);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn get_ranges<S: ObjectStore + ?Sized>(
    store: &S,
    key: &Key,
    ranges: &[ByteRange],
    options: GetOptions,
) -> Result<ObjectRanges> {
    options.check_no_range(key)?;
    if let [range] = ranges {
        let object = store.get_opts(key, options.range(*range)).await?;
        let len = object.range.end - object.range.start;
        return Ok(ObjectRanges {
            parts: vec![object.body.collect(len).await?],
            metadata: object.metadata,
        });
    }
    let gap = if store.capabilities().remote {
        REMOTE_GAP
    } else {
        GAP
    };
    for _ in 0..ATTEMPTS {
        let metadata = store
            .head(key)
            .await
            .map_err(|e| e.map_operation(Operation::Get))?;
        options.check_conditions(key, &metadata.etag)?;
        let resolved = resolve_all(key, ranges, metadata.size)?;
        let reads = coalesce(&resolved, gap);
        let pinned = GetOptions::default().if_match(metadata.etag.clone());
        let fetch = |read: &Range<u64>| {
            // A whole object, which may be empty, is no range.
            let range = if *read == (0..metadata.size) {
                ByteRange::WHOLE
            } else {
                read.clone().into()
            };
            let (get, len) = (pinned.clone().range(range), read.end - read.start);
            async move { store.get_opts(key, get).await?.body.collect(len).await }
        };
        let fetched: Result<Vec<Bytes>> = stream::iter(reads.iter().map(fetch).collect::<Vec<_>>())
            .buffered(READS)
            .try_collect()
            .await;
        match fetched {
            Ok(fetched) => {
                return Ok(ObjectRanges {
                    parts: cut(&resolved, &reads, &fetched),
                    metadata,
                });
            }
            Err(error) if error.is_precondition() && options.if_match.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Backend {
        operation: Operation::Get,
        key: Some(key.clone()),
        class: ErrorClass::Transient,
        message: "the object was replaced again and again while its ranges were read".into(),
        source: None,
    })
}

/// All of `ranges` in an object of `size` bytes.
///
/// # Errors
/// [`Error::RangeNotSatisfiable`] for the first that it does not satisfy.
///
/// ```
/// use storehouse_objectstore::{ByteRange, Key, fallback};
///
/// let ranges = [ByteRange::suffix(2), (0..1).into()];
/// assert_eq!(fallback::resolve_all(&Key::new("a")?, &ranges, 10)?, [8..10, 0..1]);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub fn resolve_all(key: &Key, ranges: &[ByteRange], size: u64) -> Result<Vec<Range<u64>>> {
    let unsatisfiable = |range: ByteRange| Error::RangeNotSatisfiable {
        key: key.clone(),
        range,
        size,
    };
    let resolve = |range: &ByteRange| range.resolve(size).ok_or_else(|| unsatisfiable(*range));
    ranges.iter().map(resolve).collect()
}

/// What to read for `ranges`: in ascending order, apart, with those joined that overlap or have at
/// most `gap` bytes between them.
///
/// ```
/// use storehouse_objectstore::fallback::coalesce;
///
/// assert_eq!(coalesce(&[90..95, 0..10, 12..20], 2), [0..20, 90..95]);
/// ```
#[must_use]
pub fn coalesce(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut reads: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match reads.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(gap) => {
                last.end = last.end.max(range.end);
            }
            _ => reads.push(range),
        }
    }
    reads
}

/// The bytes of each of `ranges` out of the reads that [`coalesce`] made of them, without a copy.
///
/// ```
/// use storehouse_objectstore::fallback::{coalesce, cut};
///
/// let ranges = [3..5, 0..2];
/// let reads = coalesce(&ranges, 1);
/// assert_eq!(cut(&ranges, &reads, &["01234".into()]), ["34", "01"]);
/// ```
#[must_use]
pub fn cut(ranges: &[Range<u64>], reads: &[Range<u64>], fetched: &[Bytes]) -> Vec<Bytes> {
    let cut = |range: &Range<u64>| {
        let at = reads.partition_point(|read| read.start <= range.start);
        let (Some(read), Some(bytes)) = (
            at.checked_sub(1).and_then(|at| reads.get(at)),
            at.checked_sub(1).and_then(|at| fetched.get(at)),
        ) else {
            return Bytes::new();
        };
        // Both lie in memory, so they fit.
        bytes.slice((range.start - read.start) as usize..(range.end - read.start) as usize)
    };
    ranges.iter().map(cut).collect()
}

/// [`ObjectStore::list_delimited`] in terms of [`ObjectStore::list`], which `list` calls with the
/// options that it is given. It reads a few keys of each folder and begins the listing anew
/// behind the rest.
///
/// A store that does not list by key rolls up only at a delimiter that none of its keys has; else
/// the listing is one error of the class [`ErrorClass::InvalidInput`].
///
/// ```
/// use futures_util::TryStreamExt;
/// use storehouse_objectstore::{
///     Key, ListOptions, Listed, Memory, ObjectStore, ObjectStoreExt, fallback,
/// };
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Memory::new();
/// for key in ["a/1", "a/2", "b"] {
///     store.put(&Key::new(key)?, "").await?;
/// }
/// let list = store.clone();
/// let listing = fallback::list_delimited(
///     store.capabilities(),
///     move |options| list.list(options),
///     ListOptions::default(),
/// );
/// let names: Vec<_> = listing.map_ok(|listed| listed.to_string()).try_collect().await?;
/// assert_eq!(names, ["a/", "b"]);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn list_delimited(
    capabilities: &Capabilities,
    list: impl Fn(ListOptions) -> BoxStream<'static, Result<Entry>> + Send + 'static,
    options: ListOptions,
) -> BoxStream<'static, Result<Listed>> {
    let delimiter = options.delimiter.unwrap_or('/');
    if !capabilities.order.is_by_key() {
        if capabilities.keys.flaw(&format!("a{delimiter}a")).is_some() {
            return list(options).map_ok(Listed::Object).boxed();
        }
        return stream::iter([Err(Error::Backend {
            operation: Operation::List,
            key: None,
            class: ErrorClass::InvalidInput,
            message: format!("this store does not list by key, so it cannot roll up {delimiter:?}"),
            source: None,
        })])
        .boxed();
    }
    let state = RollUp {
        list,
        delimiter,
        left: options.limit.unwrap_or(usize::MAX),
        options: options.limit(None),
        entries: None,
        folder: None,
        skipped: 0,
    };
    stream::unfold(state, |mut state| async move {
        let listed = state.next().await?;
        Some((listed, state))
    })
    .boxed()
}

/// A listing that rolls keys up.
struct RollUp<L> {
    list: L,
    options: ListOptions,
    delimiter: char,
    left: usize,
    entries: Option<BoxStream<'static, Result<Entry>>>,
    /// The folder that was given last, and how many of its keys were read since.
    folder: Option<String>,
    skipped: usize,
}

impl<L: Fn(ListOptions) -> BoxStream<'static, Result<Entry>>> RollUp<L> {
    async fn next(&mut self) -> Option<Result<Listed>> {
        while self.left > 0 {
            let entries = self
                .entries
                .get_or_insert_with(|| (self.list)(self.options.clone()));
            let entry = match entries.next().await? {
                Ok(entry) => entry,
                Err(error) => {
                    self.left = 0;
                    return Some(Err(error));
                }
            };
            if let Some(folder) = &self.folder
                && entry.key.as_str().starts_with(folder.as_str())
            {
                self.skipped += 1;
                if self.skipped == READ_BEFORE_SEEK
                    && let Some(last) = Key::last_under(folder)
                {
                    self.options.start_after = Some(last);
                    self.entries = None;
                }
                continue;
            }
            self.left -= 1;
            return Some(Ok(self.roll_up(entry)));
        }
        None
    }

    fn roll_up(&mut self, entry: Entry) -> Listed {
        let rest = entry.key.as_str().get(self.options.prefix.len()..);
        match rest.and_then(|rest| rest.find(self.delimiter)) {
            None => Listed::Object(entry),
            Some(at) => {
                let end = self.options.prefix.len() + at + self.delimiter.len_utf8();
                let folder = entry.key.as_str()[..end].to_owned();
                self.folder = Some(folder.clone());
                self.skipped = 0;
                Listed::Prefix(folder)
            }
        }
    }
}

/// An [`Error::Unsupported`].
///
/// ```
/// use storehouse_objectstore::{Key, Operation, fallback};
///
/// let error = fallback::unsupported(Operation::Presign, &Key::new("a")?, "presigned requests");
/// assert_eq!(error.to_string(), r#"presign "a": this store does not support presigned requests"#);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[must_use]
pub fn unsupported(operation: Operation, key: &Key, feature: &'static str) -> Error {
    Error::Unsupported {
        operation,
        key: key.clone(),
        feature,
    }
}
