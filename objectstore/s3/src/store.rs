//! The store: what clones share, how it is opened, and its trait.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use tokio::sync::Semaphore;

use storehouse_objectstore::{
    Batches, Body, Capabilities, Entry, Error, GetOptions, Key, ListOptions, Metadata, Object,
    ObjectStore, Operation, PutOptions, PutResult, Result,
};

use super::client::Client;
use super::options::S3Options;
use super::upload::PendingUpload;
use super::{multipart, open, put, upload};

/// The least that S3 accepts as a part that is not the last, in bytes.
const MIN_PART: u64 = 5 << 20;

/// A bucket on an S3 server. Clones share their connections and limits.
#[derive(Clone, Debug)]
pub struct S3 {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Arc<Client>,
    pub(super) capabilities: Capabilities,
    pub(super) part_size: u64,
    pub(super) part_memory: u64,
    /// Memory for parts on their way, in units of [`multipart::PERMIT`].
    pub(super) parts: Arc<Semaphore>,
}

/// What keeps a key from being stored on any S3 server, though it is one: XML cannot say it, so it
/// could not be listed.
pub(super) fn flaw(key: &str) -> Option<&'static str> {
    key.contains(['\u{fffe}', '\u{ffff}'])
        .then_some("S3 has no keys with U+FFFE or U+FFFF")
}

impl S3 {
    /// Connects, finds or creates the bucket, and finds out what the server honours: six requests
    /// on a bucket that is there. What it tries things on, an object under `.storehouse-probe-` and
    /// 32 random digits, is removed, also if opening fails or is dropped.
    ///
    /// Keys that may not write can open a store for reading; nothing conditional is honoured then.
    ///
    /// # Errors
    /// [`Error::Config`], which names the setting that is wrong; [`Error::Backend`] if the server
    /// cannot be reached or fails.
    pub async fn open(options: S3Options) -> Result<Self> {
        if options.part_size < MIN_PART || options.part_size > put::MAX_PUT {
            return Err(Error::config(
                "part_size",
                "a part has 5 MiB at least and 5 GiB at most",
            ));
        }
        let client = Arc::new(open::bucket(&options, Client::new(&options)?).await?);
        let capabilities = open::capabilities(&client).await?;
        let permits =
            usize::try_from(options.part_memory.div_ceil(multipart::PERMIT)).unwrap_or(usize::MAX);
        let parts = Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
        let (part_size, part_memory) = (options.part_size, options.part_memory);
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                capabilities,
                part_size,
                part_memory,
                parts,
            }),
        })
    }

    /// The multipart uploads of this bucket that are neither completed nor aborted, all of them in
    /// memory.
    ///
    /// # Errors
    /// [`Error::Backend`], also if the server cannot list its uploads.
    pub async fn pending_uploads(&self) -> Result<Vec<PendingUpload>> {
        upload::pending(&self.shared.client).await
    }

    /// Aborts the multipart uploads of this bucket that were begun more than `older_than` ago, and
    /// gives their number. They are what a process leaves that died in the middle of a put, and
    /// they cost space until somebody does this; a put that is older and still running fails. The
    /// whole bucket is swept, whoever began the upload.
    ///
    /// # Errors
    /// [`Error::Backend`], also if the server cannot list its uploads.
    pub async fn sweep_uploads(&self, older_than: Duration) -> Result<usize> {
        upload::sweep(&self.shared.client, older_than).await
    }

    /// Removes the bucket, which must be empty.
    ///
    /// # Errors
    /// [`Error::Backend`], also if there is something in it.
    pub async fn remove_bucket(&self) -> Result<()> {
        open::remove(&self.shared.client).await
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        self.shared.put(key, body, options).await
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if flaw(key.as_str()).is_some() {
            return Err(Error::not_found(Operation::Get, key));
        }
        self.shared.client.get(key, options).await
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        if flaw(key.as_str()).is_some() {
            return Err(Error::not_found(Operation::Head, key));
        }
        self.shared.client.head(key).await
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        if flaw(key.as_str()).is_some() {
            return Ok(());
        }
        self.shared.client.delete(key).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for S3 {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put_opts(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get_opts(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.shared.client.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.shared.client.list(options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(open::health(&self.shared.client))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }
}
