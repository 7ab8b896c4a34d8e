//! What every store can do in terms of the trait's own methods.

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;

use crate::{
    Body, ByteRange, Entry, GetOptions, Key, ListOptions, Object, ObjectStore, PutOptions,
    PutResult, Result,
};

/// Sugar over [`ObjectStore`], for every store.
pub trait ObjectStoreExt: ObjectStore {
    /// Stores a body that knows its size (bytes, a file), durably, whether or not an object is
    /// there.
    ///
    /// # Errors
    /// As [`ObjectStore::put_opts`].
    fn put<'a>(&'a self, key: &'a Key, body: impl Into<Body>) -> BoxFuture<'a, Result<PutResult>> {
        self.put_opts(key, body.into(), PutOptions::default())
    }

    /// Opens the whole object for reading.
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`].
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Object>> {
        self.get_opts(key, GetOptions::default())
    }

    /// Opens a range of the object for reading.
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`].
    fn get_range<'a>(
        &'a self,
        key: &'a Key,
        range: impl Into<ByteRange>,
    ) -> BoxFuture<'a, Result<Object>> {
        self.get_opts(key, GetOptions::default().range(range))
    }

    /// Reads the whole object into memory, if it has at most `limit` bytes (inclusive).
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`]; [`CollectLimit`](crate::Error::CollectLimit) if it is larger,
    /// before it is read.
    fn get_bytes<'a>(
        &'a self,
        key: &'a Key,
        limit: u64,
    ) -> impl Future<Output = Result<Bytes>> + Send + 'a {
        let get = self.get_opts(key, GetOptions::default());
        async move { get.await?.body.collect(limit).await }
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// As [`ObjectStore::head`], without not found.
    fn exists<'a>(&'a self, key: &'a Key) -> impl Future<Output = Result<bool>> + Send + 'a {
        let head = self.head(key);
        async move {
            match head.await {
                Ok(_) => Ok(true),
                Err(e) if e.is_not_found() => Ok(false),
                Err(e) => Err(e),
            }
        }
    }

    /// Lists the objects whose keys start with `prefix`.
    fn list_prefix(&self, prefix: &str) -> BoxStream<'static, Result<Entry>> {
        self.list(ListOptions::default().prefix(prefix))
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}
