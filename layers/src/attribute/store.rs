//! The store and its trait.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future, stream};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error,
    ErrorClass, GetOptions, Key, ListOptions, Listed, Metadata, Object, ObjectStore, Operation,
    PutOptions, PutResult, Result, SizedBody, fallback, methods,
};

use super::header::{FIXED, LONGEST, MOST, len, read, write};
use crate::parts::ExactReader;

/// How often a range is read anew because its object was replaced between two reads.
const ATTEMPTS: usize = 16;

/// How many headers a listing reads at once.
const HEADS: usize = 16;

/// Bodies in memory of at most this size, in bytes, are put in one piece with their header.
const AT_ONCE: u64 = 256 * 1024;

/// A store that keeps attributes, over one that does not.
///
/// ```
/// use storehouse_layers::AttributeStore;
/// use storehouse_objectstore::{Attributes, Key, Memory, ObjectStore, PutOptions};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // In the place of a store that keeps none.
/// let store = AttributeStore::new(Memory::new());
/// let key = Key::new("a")?;
/// let text = Attributes::default().with_content_type("text/plain")?;
/// let options = PutOptions::default().attributes(text.clone());
/// store.put_opts(&key, "content".into(), options).await?;
/// let head = store.head(&key).await?;
/// assert_eq!((head.size, head.attributes), (7, text));
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AttributeStore<S> {
    inner: Arc<S>,
    capabilities: Capabilities,
}

impl<S> Clone for AttributeStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            capabilities: self.capabilities.clone(),
        }
    }
}

impl<S: ObjectStore> AttributeStore<S> {
    /// `inner`, holding objects with their attributes. It can hold no others.
    pub fn new(inner: S) -> Self {
        let under = inner.capabilities();
        let capabilities = under
            .clone()
            .with_verifies_sha256(false)
            .with_native_copy(false)
            .with_rename(false)
            .with_presign(false)
            .with_max_attributes(MOST)
            .with_max_size(under.max_size.saturating_sub(LONGEST as u64));
        Self {
            inner: Arc::new(inner),
            capabilities,
        }
    }

    /// The store of the objects with their attributes.
    ///
    /// ```
    /// # use storehouse_layers::AttributeStore;
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = AttributeStore::new(Memory::new());
    /// assert!(store.inner().capabilities().create);
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn put(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        self.capabilities
            .check_attributes(key, &options.attributes)?;
        let body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let size = body.declared();
        let Some(header) = write(&options.attributes) else {
            return Err(fallback::unsupported(
                Operation::Put,
                key,
                "attributes of this size",
            ));
        };
        let body = match body.as_bytes() {
            Some(bytes) if size <= AT_ONCE => Body::from([&header[..], bytes].concat()),
            _ => {
                let stored = header.len() as u64 + size;
                let content = stream::unfold(body, |mut body| async move {
                    let piece = body.next().await?;
                    Some((piece, body))
                });
                let pieces = stream::iter([Ok(header)]).chain(content);
                Body::from_stream(pieces.boxed()).with_size(stored)
            }
        };
        let mut options = options.size(body.size());
        options.attributes = Default::default();
        options.sha256 = None;
        // The key does not say the header.
        options.content_addressed = false;
        self.inner.put_opts(key, body, options).await
    }

    /// The whole content, by one request.
    async fn get_whole(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let flawed = |flaw| not_ours(Operation::Get, key, flaw);
        let object = self.inner.get_opts(key, options).await?;
        let mut reader = ExactReader::new(key, object.body);
        let fixed = reader
            .take(FIXED.min(clamped(object.metadata.size)))
            .await?;
        let header_len = len(&fixed).map_err(flawed)?;
        let metadata = checked_len(object.metadata, header_len).map_err(flawed)?;
        let rest = reader.take(header_len - FIXED).await?;
        let attributes = read(&[fixed, rest].concat()).map_err(flawed)?;
        let size = metadata.size;
        Ok(Object {
            metadata: metadata.attributes(attributes),
            range: 0..size,
            body: Body::from_stream(reader.rest()).with_size(size),
        })
    }

    /// What is known of an object, and the first of its content.
    async fn begin(
        &self,
        operation: Operation,
        key: &Key,
        conditions: GetOptions,
    ) -> Result<(Metadata, usize, Bytes)> {
        let flawed = |flaw| not_ours(operation, key, flaw);
        let first = ByteRange::from(0..LONGEST as u64).clamped();
        let object = match self.inner.get_opts(key, conditions.range(first)).await {
            Ok(object) => object,
            Err(Error::RangeNotSatisfiable { .. }) => return Err(flawed("it is empty")),
            Err(error) => return Err(error.map_operation(operation)),
        };
        let begin = object.body.collect(LONGEST as u64).await?;
        let header_len = len(&begin).map_err(flawed)?;
        let metadata = checked_len(object.metadata, header_len).map_err(flawed)?;
        let attributes = read(&begin).map_err(flawed)?;
        let content = begin.slice(header_len..);
        Ok((metadata.attributes(attributes), header_len, content))
    }

    /// One attempt at a range; `None` if the object was replaced between two reads.
    async fn get_range(&self, key: &Key, options: &GetOptions) -> Result<Option<Object>> {
        let begin = self.begin(Operation::Get, key, options.clone());
        let (metadata, header_len, content) = begin.await?;
        let range = options.resolve_range(key, metadata.size)?;
        let body = if range.end <= content.len() as u64 {
            // It lies in memory.
            content
                .slice(range.start as usize..range.end as usize)
                .into()
        } else {
            let header_len = header_len as u64;
            let same = GetOptions::default()
                .if_match(metadata.etag.clone())
                .range(header_len + range.start..header_len + range.end);
            match self.inner.get_opts(key, same).await {
                Ok(object) => object.body,
                Err(error) if error.is_not_found() || error.is_precondition() => return Ok(None),
                Err(error) => return Err(error),
            }
        };
        Ok(Some(Object {
            metadata,
            body,
            range,
        }))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if options.range.is_none_or(ByteRange::is_whole) {
            return self.get_whole(key, options).await;
        }
        for _ in 0..ATTEMPTS {
            if let Some(object) = self.get_range(key, &options).await? {
                return Ok(object);
            }
        }
        Err(Error::Backend {
            operation: Operation::Get,
            key: Some(key.clone()),
            class: ErrorClass::Transient,
            message: format!("the object was replaced {ATTEMPTS} times while it was read"),
            source: None,
        })
    }

    /// The caller's entry for one of the inner store; none if it is gone meanwhile.
    async fn entry(self, entry: Entry, inline_values: Option<u64>) -> Result<Option<Entry>> {
        let key = entry.key;
        let (metadata, value) = match entry.value {
            Some(stored) => {
                let flawed = |flaw| not_ours(Operation::List, &key, flaw);
                let header_len = len(&stored).map_err(flawed)?;
                let metadata = checked_len(entry.metadata, header_len).map_err(flawed)?;
                let attributes = read(&stored).map_err(flawed)?;
                let wanted = inline_values.is_some_and(|most| metadata.size <= most);
                let value = wanted.then(|| stored.slice(header_len..));
                (metadata.attributes(attributes), value)
            }
            None => {
                let begin = self.begin(Operation::List, &key, GetOptions::default());
                match begin.await {
                    Ok((metadata, ..)) => (metadata, None),
                    Err(error) if error.is_not_found() => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Some(Entry {
            key,
            metadata,
            value,
        }))
    }
}

/// An object that this layer did not write, or that was changed since.
fn not_ours(operation: Operation, key: &Key, flaw: &str) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: format!("the stored object is not one with attributes: {flaw}"),
        source: None,
    }
}

/// The size as far as it matters for a header.
fn clamped(size: u64) -> usize {
    size.min(LONGEST as u64) as usize
}

/// What is known of the content behind a header of this length.
fn checked_len(stored: Metadata, header_len: usize) -> Result<Metadata, &'static str> {
    match stored.size.checked_sub(header_len as u64) {
        Some(size) => Ok(Metadata { size, ..stored }),
        None => Err("it is shorter than its attributes"),
    }
}

/// The caller's options for a listing of the inner store: objects that are gone before their header
/// was read do not count.
fn inner_listing(options: ListOptions) -> ListOptions {
    let with_header = options.inline_values.unwrap_or(0);
    options
        .limit(None)
        .inline_values(with_header.saturating_add(LONGEST as u64))
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for AttributeStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            let begin = self.begin(Operation::Head, key, GetOptions::default());
            begin.await.map(|(metadata, ..)| metadata)
        })
    }

    methods!(inner => delete, delete_many, events, health, close);

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.inner.list(options);
        }
        let (this, inline_values) = (self.clone(), options.inline_values);
        let entries = self.inner.list(inner_listing(options)).map(move |entry| {
            let this = this.clone();
            async move { this.entry(entry?, inline_values).await }
        });
        entries
            .buffered(HEADS.min(limit))
            .filter_map(|entry| future::ready(entry.transpose()))
            .take(limit)
            .boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.inner.list_delimited(options);
        }
        let (this, inline_values) = (self.clone(), options.inline_values);
        let items = self.inner.list_delimited(inner_listing(options));
        let items = items.map(move |item| {
            let this = this.clone();
            async move {
                match item? {
                    Listed::Object(entry) => {
                        let entry = this.entry(entry, inline_values).await?;
                        Ok(entry.map(Listed::Object))
                    }
                    prefix => Ok(Some(prefix)),
                }
            }
        });
        items
            .buffered(HEADS.min(limit))
            .filter_map(|item| future::ready(item.transpose()))
            .take(limit)
            .boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if options.attributes.is_some() || options.remove_source {
            return Box::pin(fallback::copy(self, from, to, options));
        }
        // As it is stored.
        self.inner.copy_opts(from, to, options)
    }

    methods!(fallback => get_ranges_opts);
    methods!(none => presign);

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for AttributeStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                return Ok(BatchResult::default());
            };
            // Puts of a batch have no attributes.
            let header = write(&Default::default()).unwrap_or_default();
            let mut inner = Batch::new().durability(batch.durability);
            for op in batch.ops {
                inner = inner.op(match op {
                    BatchOp::Put { key, bytes, mode } => BatchOp::Put {
                        bytes: [&header[..], &bytes].concat().into(),
                        key,
                        mode,
                    },
                    delete => delete,
                });
            }
            batches.batch(inner).await
        })
    }
}
