//! The store.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, Error, GetOptions,
    Key, ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PresignOptions,
    PresignedRequest, PutMode, PutOptions, PutResult, Result, methods,
};

use super::attempts::{Attempts, RetryOptions, is_repeatable};
use super::lent_body::Lender;
use super::resumed_body::resumed;

/// A store that repeats operations which failed in a way that passes.
///
/// Put it right above what fails, below layers that change bodies: a body that was wrapped in a
/// stream cannot be had again. Clones share the inner store.
///
/// ```
/// use storehouse_layers::{Fault, FaultStore, RetryStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (failing, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
/// let faults = failing.faults().clone();
/// let store = RetryStore::new(failing);
/// store.put(&key, "content").await?;
///
/// faults.add(Fault::cut(3).on(Operation::Get));
/// assert_eq!(store.get_bytes(&key, 7).await?, "content");
/// assert_eq!(faults.calls(Operation::Get), 2);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RetryStore<S> {
    inner: Arc<S>,
    options: RetryOptions,
}

impl<S> Clone for RetryStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            options: self.options.clone(),
        }
    }
}

impl<S: ObjectStore> RetryStore<S> {
    /// `inner`, with the default [`RetryOptions`].
    pub fn new(inner: S) -> Self {
        Self::with_options(inner, RetryOptions::default())
    }

    /// `inner`, with these options.
    ///
    /// ```
    /// use storehouse_layers::{RetryOptions, RetryStore};
    /// use storehouse_objectstore::Memory;
    ///
    /// let store = RetryStore::with_options(Memory::new(), RetryOptions::default().attempts(2));
    /// # assert!(format!("{store:?}").contains("attempts: 2"));
    /// ```
    pub fn with_options(inner: S, options: RetryOptions) -> Self {
        Self {
            inner: Arc::new(inner),
            options,
        }
    }

    /// The store whose operations are repeated.
    ///
    /// ```
    /// use storehouse_layers::{Fault, FaultStore, RetryStore};
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStoreExt, Operation};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let store = RetryStore::new(FaultStore::new(Memory::new()));
    /// store.inner().faults().add(Fault::error(ErrorClass::Transient));
    /// store.put(&Key::new("a")?, "content").await?;
    /// assert_eq!(store.inner().faults().calls(Operation::Put), 2);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn put_lent(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let lender = Lender::new(body);
        let mut attempts = None;
        let mut next = lender.lend();
        loop {
            // Before the first attempt nothing was read.
            let body = next.take().unwrap_or_else(Body::empty);
            let error = match self.inner.put_opts(key, body, options.clone()).await {
                Err(error) if is_repeatable(&error) => error,
                answer => return answer,
            };
            next = lender.lend();
            let attempts: &mut Attempts = attempts.get_or_insert_with(|| self.options.start());
            if next.is_none() || !attempts.pause().await {
                return Err(error);
            }
        }
    }
}

/// The key that a backend could not delete.
fn failed_key(error: &Error) -> Option<Key> {
    match error {
        Error::Backend { key, .. } => key.clone(),
        _ => None,
    }
}

/// Whether an operation that took effect may be done once more.
fn may_be_put_twice(options: &PutOptions) -> bool {
    match options.mode {
        PutMode::Overwrite => true,
        PutMode::Create => options.content_addressed,
        PutMode::Replace(_) => false,
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for RetryStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if may_be_put_twice(&options) && body.again().is_some() {
            return Box::pin(self.options.repeat(move || {
                let copy = body.again().unwrap_or_else(Body::empty);
                self.inner.put_opts(key, copy, options.clone())
            }));
        }
        Box::pin(self.put_lent(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            let get = || self.inner.get_opts(key, options.clone());
            let object = self.options.repeat(get).await?;
            if object.body.as_bytes().is_some() {
                return Ok(object);
            }
            let (inner, options) = (Arc::clone(&self.inner), self.options.clone());
            Ok(resumed(object, inner, options, key.clone()))
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.options.repeat(move || self.inner.head(key)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.options.repeat(move || self.inner.delete(key)))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let gone = self.inner.delete_many(keys).then(move |gone| async move {
            let error = match gone {
                Err(error) if is_repeatable(&error) => error,
                gone => return gone,
            };
            match failed_key(&error) {
                Some(key) if self.options.start().pause().await => {
                    self.delete(&key).await.map(|()| key)
                }
                _ => Err(error),
            }
        });
        gone.boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let inner = Arc::clone(&self.inner);
        let begin = move |options| inner.list(options);
        let key_of = |entry: &Entry| Some(entry.key.clone());
        resumed_listing(begin, key_of, &self.options, options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let inner = Arc::clone(&self.inner);
        let begin = move |options| inner.list_delimited(options);
        resumed_listing(begin, Listed::resume_after, &self.options, options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // Done again, a rename would not find its source.
        if options.mode == PutMode::Overwrite && !options.remove_source && from != to {
            let again = move || self.inner.copy_opts(from, to, options.clone());
            return Box::pin(self.options.repeat(again));
        }
        self.inner.copy_opts(from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        let again = move || self.inner.get_ranges_opts(key, ranges, options.clone());
        Box::pin(self.options.repeat(again))
    }

    methods!(inner => events, health, capabilities);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let again = move || self.inner.presign(key, options.clone());
        Box::pin(self.options.repeat(again))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.options.repeat(|| self.inner.close()))
    }
}

impl<S: ObjectStore> Batches for RetryStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                // Unreachable: `batches` gives `None` too.
                return Ok(BatchResult::default());
            };
            let unconditional = batch.ops.iter().all(|op| match op {
                BatchOp::Put { mode, .. } => *mode == PutMode::Overwrite,
                BatchOp::Delete { if_match, .. } => if_match.is_none(),
            });
            if unconditional {
                let again = || batches.batch(batch.clone());
                self.options.repeat(again).await
            } else {
                batches.batch(batch).await
            }
        })
    }
}

/// A listing that goes on after its last item.
fn resumed_listing<T: Send + 'static>(
    begin: impl Fn(ListOptions) -> BoxStream<'static, Result<T>> + Send + Sync + 'static,
    key_of: fn(&T) -> Option<Key>,
    retry: &RetryOptions,
    options: ListOptions,
) -> BoxStream<'static, Result<T>> {
    let listing = Listing {
        items: begin(options.clone()),
        begin: Box::new(begin),
        key_of,
        retry: retry.clone(),
        options,
        attempts: None,
    };
    let items = stream::unfold(Some(listing), |listing| async {
        let mut listing = listing?;
        match listing.next().await? {
            Ok(item) => Some((Ok(item), Some(listing))),
            Err(error) => Some((Err(error), None)),
        }
    });
    items.boxed()
}

struct Listing<T> {
    begin: Box<dyn Fn(ListOptions) -> BoxStream<'static, Result<T>> + Send + Sync>,
    /// The key after which the listing goes on behind an item.
    key_of: fn(&T) -> Option<Key>,
    retry: RetryOptions,
    /// Of what is still to be listed.
    options: ListOptions,
    items: BoxStream<'static, Result<T>>,
    /// Since the last item.
    attempts: Option<Attempts>,
}

impl<T> Listing<T> {
    async fn next(&mut self) -> Option<Result<T>> {
        loop {
            match self.items.next().await? {
                Ok(item) => {
                    self.options.start_after = (self.key_of)(&item);
                    self.options.limit = self.options.limit.map(|left| left.saturating_sub(1));
                    self.attempts = None;
                    return Some(Ok(item));
                }
                Err(error) => {
                    let retry = &self.retry;
                    let attempts = self.attempts.get_or_insert_with(|| retry.start());
                    if !is_repeatable(&error) || !attempts.pause().await {
                        return Some(Err(error));
                    }
                    self.items = (self.begin)(self.options.clone());
                }
            }
        }
    }
}
