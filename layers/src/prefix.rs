//! A part of a store as a store: everything under a prefix.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, future, stream};

use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, Capabilities, Entry, Error, GetOptions, Key,
    ListOptions, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result,
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
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The store that this is a part of.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
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
        let start_after = match options.start_after.clone() {
            None => None,
            Some(after) => match self.inner_key(&after) {
                Some(after) => Some(after),
                // A key that cannot be under the prefix has no place in the inner store's order.
                None => {
                    return skip_to(
                        self.list(options.start_after(None).limit(None)),
                        self,
                        after,
                        limit,
                    );
                }
            },
        };
        // Among the inner keys may be some that have no key here (`prefix` itself, or `prefix/…`
        // without the slash in the prefix): they do not count.
        let exact = prefix.is_empty() || prefix.ends_with('/');
        let inner = ListOptions::default()
            .prefix(format!("{prefix}{}", options.prefix))
            .start_after(start_after)
            .limit(options.limit.filter(|limit| exact || *limit == 0))
            .inline_values(options.inline_values);
        let entries = self.inner.list(inner).filter_map(move |entry| {
            future::ready(match entry {
                Ok(entry) => outer_key(&prefix, &entry.key).map(|key| Ok(Entry { key, ..entry })),
                Err(error) => Some(Err(outer_error(&prefix, error))),
            })
        });
        match options.limit {
            Some(limit) => entries.take(limit).boxed(),
            None => entries.boxed(),
        }
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.health()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// What of a listing comes after a key, which the listing itself cannot be told of.
fn skip_to<S>(
    entries: BoxStream<'static, Result<Entry>>,
    store: &PrefixStore<S>,
    after: Key,
    limit: Option<usize>,
) -> BoxStream<'static, Result<Entry>> {
    let order = store.capabilities.order.clone();
    let comes_after = move |entry: &Result<Entry>| {
        entry
            .as_ref()
            .map_or(true, |entry| order.compare(&entry.key, &after).is_gt())
    };
    let entries = entries.filter(move |entry| future::ready(comes_after(entry)));
    match limit {
        Some(limit) => entries.take(limit).boxed(),
        None => entries.boxed(),
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
