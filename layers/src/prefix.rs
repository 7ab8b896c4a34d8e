//! The part of a store under a prefix, as a store of its own.
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | put, get, get_ranges, head, delete, delete_many, copy, batch, presign | the same under the prefix and the key; errors name the key without it | 1 |
//! | list, list_delimited | lists what starts with the prefix, and takes it off | 1 |
//! | events | passes on those of its keys, without the prefix | 1 |
//! | health, close | as the inner store | 1 |
//!
//! A key costs one copy of its text. The layer holds nothing, so a crash loses nothing.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, future, stream};

use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error,
    Events, GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore,
    Operation, PresignOptions, PresignedRequest, PutOptions, PutResult, Result, methods,
};

/// How many keys are looked at together by [`ObjectStore::delete_many`]: S3 deletes as many in a
/// request.
const DELETES: usize = 1000;

/// Why a key has no place under the prefix.
const TOO_LONG: &str = "with the prefix of its store the key has more than 1024 bytes";

/// The objects of a store whose keys start with a prefix, under what follows it.
///
/// The prefix is text, not path segments: under `a/b-` the key `c` is the object `a/b-c`. What else
/// the store holds is not seen. Keys that have more than 1,024 bytes with the prefix are not
/// accepted; [`Capabilities`] say so.
///
/// ```
/// # {
/// use storehouse_layers::PrefixStore;
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let all = Memory::new();
/// let mine = PrefixStore::new(all.clone(), "tenant-7/")?;
/// mine.put(&Key::new("a")?, "content").await?;
/// assert!(all.exists(&Key::new("tenant-7/a")?).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PrefixStore<S> {
    inner: S,
    prefix: Arc<str>,
    capabilities: Capabilities,
}

impl<S: ObjectStore> PrefixStore<S> {
    /// The part of `inner` whose keys start with `prefix`. An empty prefix is the whole of it.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] if no key starts so: a leading `/`, an empty segment, a segment `.` or
    /// `..`, a control character, 1,024 bytes or more.
    pub fn new(inner: S, prefix: impl AsRef<str>) -> Result<Self> {
        let prefix = prefix.as_ref();
        Key::new(format!("{prefix}k")).map_err(|error| match error {
            Error::InvalidKey {
                operation, reason, ..
            } => Error::invalid_key(operation, prefix, reason),
            other => other,
        })?;
        let under = inner.capabilities();
        let capabilities = under
            .clone()
            .with_order(under.order.under(prefix))
            .with_keys(under.keys.under(prefix));
        Ok(Self {
            inner,
            prefix: prefix.into(),
            capabilities,
        })
    }

    /// The prefix.
    ///
    /// ```
    /// # use storehouse_layers::PrefixStore;
    /// # use storehouse_objectstore::Memory;
    /// assert_eq!(PrefixStore::new(Memory::new(), "tenant-7/")?.prefix(), "tenant-7/");
    /// assert!(PrefixStore::new(Memory::new(), "/").is_err(), "no key starts so");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The store that this is a part of.
    ///
    /// ```
    /// use storehouse_layers::PrefixStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = PrefixStore::new(Memory::new(), "tenant-7/")?;
    /// store.put(&Key::new("a")?, "content").await?;
    /// assert!(store.inner().exists(&Key::new("tenant-7/a")?).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The options of a listing for the inner store, without a limit, and the key up to which what
    /// it gives is still to be passed over, if there is one: a key that is too long with the prefix
    /// has no place in the inner store's order, but its beginning has, if that is by key.
    fn inner_options(&self, options: ListOptions) -> (ListOptions, Option<Key>) {
        let by_key = self.capabilities.order.is_by_key();
        let (start_after, behind) = match options.start_after.clone() {
            None => (None, None),
            Some(after) => match self.inner_key(&after) {
                Some(inner) => (Some(inner), None),
                None => {
                    let text = format!("{}{after}", self.prefix);
                    let cut = text.floor_char_boundary(Key::MAX_LEN);
                    (Key::new(&text[..cut]).ok().filter(|_| by_key), Some(after))
                }
            },
        };
        let prefix = format!("{}{}", self.prefix, options.prefix);
        let inner = options.prefix(prefix).start_after(start_after).limit(None);
        (inner, behind)
    }

    /// The key in the inner store; `None` if it is too long to be one.
    fn inner_key(&self, key: &Key) -> Option<Key> {
        Key::new(format!("{}{key}", self.prefix)).ok()
    }
}

/// The caller's key for one of the inner store; `None` if it is not under the prefix, or what
/// follows is no key.
fn outer_key(prefix: &str, inner: &Key) -> Option<Key> {
    Key::new(inner.as_str().strip_prefix(prefix)?).ok()
}

/// An entry of the inner store under the caller's key, if it has one.
fn outer_entry(prefix: &str, entry: Entry) -> Option<Entry> {
    outer_key(prefix, &entry.key).map(|key| Entry { key, ..entry })
}

/// An error of the inner store, about the caller's key.
fn outer_error(prefix: &str, error: Error) -> Error {
    error.map_key(|key| key.strip_prefix(prefix).map(str::to_owned))
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for PrefixStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let Some(inner_key) = self.inner_key(key) else {
            return future::err(Error::invalid_key(Operation::Put, key.as_str(), TOO_LONG)).boxed();
        };
        Box::pin(async move {
            let put = self.inner.put_opts(&inner_key, body, options).await;
            // An error that came through the body may be about an object of another store.
            put.map_err(|error| {
                error.map_key(|said| (said == inner_key.as_str()).then(|| key.to_string()))
            })
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        let Some(inner_key) = self.inner_key(key) else {
            return future::err(Error::not_found(Operation::Get, key)).boxed();
        };
        Box::pin(async move {
            let got = self.inner.get_opts(&inner_key, options).await;
            let object = got.map_err(|error| outer_error(&self.prefix, error))?;
            // A body in memory has no errors to come, and is worth more as it is.
            if object.body.as_bytes().is_some() {
                return Ok(object);
            }
            let (size, prefix) = (object.body.size(), Arc::clone(&self.prefix));
            let body = Body::from_stream(
                object
                    .body
                    .map_err(move |error| outer_error(&prefix, error)),
            );
            Ok(Object {
                body: size.into_iter().fold(body, Body::with_size),
                ..object
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        let Some(inner_key) = self.inner_key(key) else {
            return future::err(Error::not_found(Operation::Head, key)).boxed();
        };
        Box::pin(async move {
            self.inner
                .head(&inner_key)
                .await
                .map_err(|error| outer_error(&self.prefix, error))
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let Some(inner_key) = self.inner_key(key) else {
            return future::ok(()).boxed();
        };
        Box::pin(async move {
            self.inner
                .delete(&inner_key)
                .await
                .map_err(|error| outer_error(&self.prefix, error))
        })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        // As many as are there, so that a slow source of keys holds none of them up.
        keys.ready_chunks(DELETES)
            .flat_map(|keys| {
                let (mut inner, mut nowhere) = (Vec::with_capacity(keys.len()), Vec::new());
                for key in keys {
                    match self.inner_key(&key) {
                        Some(key) => inner.push(key),
                        None => nowhere.push(Ok(key)),
                    }
                }
                let gone = self.inner.delete_many(stream::iter(inner).boxed());
                let gone = gone.filter_map(|gone| {
                    future::ready(match gone {
                        Ok(key) => outer_key(&self.prefix, &key).map(Ok),
                        Err(error) => Some(Err(outer_error(&self.prefix, error))),
                    })
                });
                stream::iter(nowhere).chain(gone)
            })
            .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let prefix = Arc::clone(&self.prefix);
        let limit = options.limit;
        let (mut inner, behind) = self.inner_options(options);
        // Among the inner keys may be some that have no key here (`prefix` itself, or `prefix/…`
        // without the slash in the prefix): they do not count.
        let exact = behind.is_none() && (prefix.is_empty() || prefix.ends_with('/'));
        inner.limit = limit.filter(|limit| exact || *limit == 0);
        let entries = self.inner.list(inner).filter_map(move |entry| {
            future::ready(match entry {
                Ok(entry) => outer_entry(&prefix, entry).map(Ok),
                Err(error) => Some(Err(outer_error(&prefix, error))),
            })
        });
        let key_of = |entry: &Entry| Some(entry.key.clone());
        limited(skip_to(entries.boxed(), self, behind, key_of), limit)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let prefix = Arc::clone(&self.prefix);
        let limit = options.limit;
        let (mut inner, behind) = self.inner_options(options);
        // As with `list`: what has no key here does not count.
        inner.limit = limit.filter(|limit| *limit == 0);
        let listing = self.inner.list_delimited(inner).filter_map(move |listed| {
            future::ready(match listed {
                Ok(Listed::Object(entry)) => {
                    outer_entry(&prefix, entry).map(Listed::Object).map(Ok)
                }
                Ok(Listed::Prefix(folder)) => folder
                    .strip_prefix(&*prefix)
                    .filter(|folder| Key::last_under(folder).is_some())
                    .map(|folder| Ok(Listed::Prefix(folder.to_owned()))),
                Err(error) => Some(Err(outer_error(&prefix, error))),
            })
        });
        limited(
            skip_to(listing.boxed(), self, behind, Listed::resume_after),
            limit,
        )
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let Some(inner_from) = self.inner_key(from) else {
            return future::err(Error::not_found(Operation::Copy, from)).boxed();
        };
        let Some(inner_to) = self.inner_key(to) else {
            return future::err(Error::invalid_key(Operation::Copy, to.as_str(), TOO_LONG)).boxed();
        };
        Box::pin(async move {
            let copied = self.inner.copy_opts(&inner_from, &inner_to, options).await;
            copied.map_err(|error| outer_error(&self.prefix, error))
        })
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        let Some(inner_key) = self.inner_key(key) else {
            return future::err(Error::not_found(Operation::Get, key)).boxed();
        };
        Box::pin(async move {
            let got = self
                .inner
                .get_ranges_opts(&inner_key, ranges, options)
                .await;
            got.map_err(|error| outer_error(&self.prefix, error))
        })
    }

    fn events(&self) -> Option<Events> {
        let prefix = Arc::clone(&self.prefix);
        let events = self.inner.events()?;
        Some(events.filter_map_keys(move |key| outer_key(&prefix, &key)))
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let Some(inner_key) = self.inner_key(key) else {
            let error = Error::invalid_key(Operation::Presign, key.as_str(), TOO_LONG);
            return future::err(error).boxed();
        };
        Box::pin(async move {
            let signed = self.inner.presign(&inner_key, options).await;
            signed.map_err(|error| outer_error(&self.prefix, error))
        })
    }

    methods!(inner => health, close);

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

/// What of a listing comes after a key that the listing itself could not be told of.
fn skip_to<S, T: Send + 'static>(
    listing: BoxStream<'static, Result<T>>,
    store: &PrefixStore<S>,
    after: Option<Key>,
    key_of: impl Fn(&T) -> Option<Key> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let Some(after) = after else {
        return listing;
    };
    let order = store.capabilities.order.clone();
    let comes_after = move |item: &Result<T>| {
        let key = item.as_ref().ok().and_then(&key_of);
        key.is_none_or(|key| order.compare(&key, &after).is_gt())
    };
    listing
        .filter(move |item| future::ready(comes_after(item)))
        .boxed()
}

/// At most this number of items.
fn limited<T: Send + 'static>(
    listing: BoxStream<'static, Result<T>>,
    limit: Option<usize>,
) -> BoxStream<'static, Result<T>> {
    match limit {
        Some(limit) => listing.take(limit).boxed(),
        None => listing,
    }
}

impl<S: ObjectStore> Batches for PrefixStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                return Ok(BatchResult::default());
            };
            let mut inner = Batch {
                ops: Vec::with_capacity(batch.ops.len()),
                durability: batch.durability,
            };
            // Deletes of keys that cannot be there: as good as done, and not sent.
            let mut done = Vec::new();
            for (place, op) in batch.ops.into_iter().enumerate() {
                let inner_key = self.inner_key(op.key());
                inner.ops.push(match (op, inner_key) {
                    (BatchOp::Put { bytes, mode, .. }, Some(key)) => {
                        BatchOp::Put { key, bytes, mode }
                    }
                    (BatchOp::Delete { if_match, .. }, Some(key)) => {
                        BatchOp::Delete { key, if_match }
                    }
                    (BatchOp::Put { key, .. }, None) => {
                        return Err(Error::invalid_key(Operation::Batch, key.as_str(), TOO_LONG));
                    }
                    (
                        BatchOp::Delete {
                            key,
                            if_match: Some(_),
                        },
                        None,
                    ) => {
                        return Err(Error::Precondition {
                            operation: Operation::Delete,
                            key,
                        });
                    }
                    (BatchOp::Delete { if_match: None, .. }, None) => {
                        done.push(place);
                        continue;
                    }
                });
            }
            let mut result = batches
                .batch(inner)
                .map_err(|error| outer_error(&self.prefix, error))
                .await?;
            for place in done {
                result.etags.insert(place, None);
            }
            Ok(result)
        })
    }
}
