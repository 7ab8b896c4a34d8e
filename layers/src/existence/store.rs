//! The store.

use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, CopyOptions, Error, GetOptions, Key, Metadata,
    Object, ObjectRanges, ObjectStore, PutOptions, PutResult, Result, SizedBody, methods,
};
use tokio::runtime::Handle;

use super::answers::{Answers, Outcome};
use super::options::ExistenceOptions;
use crate::parts::{CommitPoint, detached, detached_put, gated};

/// How many keys of a `delete_many` are deleted at once.
const DELETES: usize = 16;

/// A store that answers from memory that an object is there.
///
/// For stores whose answers cost a round trip, and objects that seldom change. Clones share what
/// they remember.
///
/// ```
/// use storehouse_layers::{ExistenceStore, FaultStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (inner, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
/// let store = ExistenceStore::new(inner.clone());
/// store.put(&key, "content").await?;
/// for _ in 0..3 {
///     assert!(store.exists(&key).await?);
/// }
/// assert_eq!(inner.faults().calls(Operation::Head), 1);
/// store.delete(&key).await?;
/// assert!(!store.exists(&key).await?);
/// # use storehouse_objectstore::ObjectStore;
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ExistenceStore<S> {
    inner: Arc<S>,
    answers: Arc<Answers>,
}

impl<S> Clone for ExistenceStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            answers: Arc::clone(&self.answers),
        }
    }
}

impl<S: ObjectStore> ExistenceStore<S> {
    /// `inner`, with the default [`ExistenceOptions`].
    pub fn new(inner: S) -> Self {
        Self::with_options(inner, ExistenceOptions::default())
    }

    /// `inner`, with these options.
    ///
    /// ```
    /// use storehouse_layers::{ExistenceOptions, ExistenceStore};
    /// use storehouse_objectstore::Memory;
    ///
    /// let options = ExistenceOptions::default().max_keys(1000);
    /// let store = ExistenceStore::with_options(Memory::new(), options);
    /// assert_eq!(store.remembered(), 0);
    /// ```
    pub fn with_options(inner: S, options: ExistenceOptions) -> Self {
        let answers = Arc::new(Answers::new(&options, inner.events()));
        Self {
            inner: Arc::new(inner),
            answers,
        }
    }

    /// The store that is asked.
    ///
    /// ```
    /// use storehouse_layers::ExistenceStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (ExistenceStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.inner().delete(&key).await?; // past the layer
    /// assert!(!store.inner().exists(&key).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The number of objects that are remembered, those whose time has passed among them.
    ///
    /// ```
    /// use storehouse_layers::ExistenceStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (ExistenceStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// store.head(&key).await?;
    /// assert_eq!(store.remembered(), 1);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.answers.len()
    }

    /// What is remembered of an object.
    pub(crate) fn known(&self, key: &Key) -> Option<Metadata> {
        self.answers.look_up(key)
    }

    /// Takes back all answers about an object, for who knows more than this layer.
    ///
    /// ```
    /// use storehouse_layers::ExistenceStore;
    /// use storehouse_objectstore::{Key, Memory};
    ///
    /// ExistenceStore::new(Memory::new()).forget(&Key::new("a")?);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn forget(&self, key: &Key) {
        drop(self.answers.begin_write(key));
    }

    async fn ask(&self, key: &Key) -> Result<Metadata> {
        let asking = self.answers.begin_ask(key);
        let answer = self.inner.head(key).await;
        match &answer {
            Ok(metadata) => asking.found(metadata),
            Err(error) if error.is_not_found() => self.answers.forget(key),
            Err(_) => {}
        }
        answer
    }

    async fn head(&self, key: &Key) -> Result<Metadata> {
        if let Some(metadata) = self.answers.look_up(key) {
            return Ok(metadata);
        }
        let Ok(runtime) = Handle::try_current() else {
            return self.ask(key).await;
        };
        let mut asked = match self.answers.join(key) {
            Ok(asked) => asked,
            Err(first) => {
                let (inner, key, asked) = (Arc::clone(&self.inner), key.clone(), first.asked());
                // In a task of its own: others wait for it, whatever becomes of this caller.
                let answer = runtime.spawn(async move {
                    let answer = inner.head(&key).await;
                    first.tell(match &answer {
                        Ok(metadata) => Outcome::Found(metadata.clone()),
                        Err(_) => Outcome::Other,
                    });
                    answer
                });
                match answer.await {
                    Ok(answer) => return answer,
                    // The runtime is shutting down.
                    Err(_) => asked,
                }
            }
        };
        if let Ok(outcome) = asked.wait_for(Option::is_some).await
            && let Some(Outcome::Found(metadata)) = &*outcome
        {
            return Ok(metadata.clone());
        }
        // That nothing is there may have become wrong before this caller came.
        self.ask(key).await
    }

    async fn put(
        inner: Arc<S>,
        answers: Arc<Answers>,
        key: Key,
        (body, options): (Body, PutOptions),
        point: CommitPoint,
    ) -> Result<PutResult> {
        if body.as_bytes().is_some() {
            let _writing = answers.begin_write(&key);
            point.pass().await;
            return inner.put_opts(&key, body, options).await;
        }
        let sized = SizedBody::new(&key, body, &options, inner.capabilities().max_size)?;
        let held = Arc::new(Mutex::new(None));
        let (hold, held_key) = (Arc::clone(&held), key.clone());
        let body = gated(sized, move || async move {
            let writing = answers.begin_write(&held_key);
            *hold.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
            point.pass().await;
            Ok(())
        });
        let put = inner.put_opts(&key, body, options).await;
        drop(held);
        put
    }

    /// Runs a write of these keys to its end.
    async fn write<T, F>(
        &self,
        keys: impl IntoIterator<Item = Key>,
        write: impl FnOnce(Arc<S>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let writing: Vec<_> = keys
            .into_iter()
            .map(|key| self.answers.begin_write(&key))
            .collect();
        let write = write(Arc::clone(&self.inner));
        detached(async move {
            let result = write.await;
            drop(writing);
            result
        })
        .await
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ExistenceStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (inner, answers, key) = (
            Arc::clone(&self.inner),
            Arc::clone(&self.answers),
            key.clone(),
        );
        Box::pin(detached_put(move |point| {
            Self::put(inner, answers, key, (body, options), point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            let asking = self.answers.begin_ask(key);
            let object = self.inner.get_opts(key, options).await;
            match &object {
                Ok(object) => asking.found(&object.metadata),
                Err(Error::NotFound { .. }) => self.answers.forget(key),
                Err(_) => {}
            }
            object
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let deleted = key.clone();
        Box::pin(self.write([key.clone()], move |inner| async move {
            inner.delete(&deleted).await
        }))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let gone = keys.map(move |key| async move { self.delete(&key).await.map(|()| key) });
        gone.buffer_unordered(DELETES).boxed()
    }

    methods!(inner => list, list_delimited, events, presign, health, capabilities);

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let source = options.remove_source.then(|| from.clone());
        let written = source.into_iter().chain([to.clone()]);
        let (from, to) = (from.clone(), to.clone());
        Box::pin(self.write(written, move |inner| async move {
            inner.copy_opts(&from, &to, options).await
        }))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(async move {
            let got = self.inner.get_ranges_opts(key, ranges, options).await;
            if let Err(Error::NotFound { .. }) = &got {
                self.answers.forget(key);
            }
            got
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let closed = self.inner.close().await;
            self.answers.clear();
            closed
        })
    }
}

impl<S: ObjectStore> Batches for ExistenceStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        let keys: Vec<_> = batch.ops.iter().map(|op| op.key().clone()).collect();
        Box::pin(self.write(keys, move |inner| async move {
            match inner.batches() {
                Some(batches) => batches.batch(batch).await,
                // Unreachable: `batches` gives `None` too.
                None => Ok(BatchResult::default()),
            }
        }))
    }
}
