//! The store: a handle that clones share, and its trait.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::task::AbortHandle;

use storehouse_objectstore::{
    Body, ByteRange, Capabilities, CopyOptions, Entry, Error, GetOptions, Key, Lifecycle,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation, PresignOptions,
    PresignedRequest, PutMode, PutOptions, PutResult, Result, fallback, methods,
};

use crate::limits::flaw;
use crate::options::S3Options;
use crate::shared::Shared;
use crate::sweep::{self, PendingUpload};
use crate::{copy, delete, get, list, open, presign, put};

/// A bucket on an S3 server. Clones share their connections and limits.
#[derive(Clone, Debug)]
pub struct S3 {
    shared: Arc<Shared>,
    sweeper: Option<Arc<Sweeper>>,
    lifecycle: Lifecycle,
}

/// The task that sweeps uploads; it ends when the store is closed, or with its last clone.
#[derive(Debug)]
struct Sweeper(AbortHandle);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl S3 {
    /// Connects, finds or creates the bucket, and finds out what the server honours: six requests
    /// on a bucket that is there, each tried again like any other. The object that it tries things
    /// on, `.storehouse-probe-` and 32 random digits, is removed, also if opening fails or is
    /// dropped.
    ///
    /// Keys that may not write can open a store for reading; nothing conditional is honoured then.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// use storehouse_objectstore::ObjectStore;
    /// use storehouse_s3::{S3, S3Options};
    ///
    /// let store = S3::open(S3Options::new("http://127.0.0.1:9000", "pdp")).await?;
    /// assert!(store.capabilities().remote);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`], which names the setting that is wrong; [`Error::Backend`] if the server
    /// cannot be reached or fails.
    pub async fn open(options: S3Options) -> Result<Self> {
        let shared = Arc::new(open::open(&options).await?);
        let sweeper =
            sweep::spawn(&shared, &options).map(|task| Arc::new(Sweeper(task.abort_handle())));
        Ok(Self {
            shared,
            sweeper,
            lifecycle: Lifecycle::default(),
        })
    }

    /// The multipart uploads of this bucket that are neither completed nor aborted, all of them in
    /// memory.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// for upload in store.pending_uploads().await? {
    ///     println!("{} since {:?}", upload.key, upload.begun);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Backend`], also if the server cannot list its uploads.
    pub async fn pending_uploads(&self) -> Result<Vec<PendingUpload>> {
        sweep::pending(&self.shared).await
    }

    /// Aborts the multipart uploads of this bucket that were begun more than `older_than` ago, and
    /// gives their number. A process that dies in the middle of a put leaves one, which costs space
    /// until it is aborted. A put that is older and still running fails. The whole bucket is swept,
    /// including uploads that other programs began;
    /// [`S3Options::sweep_uploads_after`](field@S3Options::sweep_uploads_after) does it regularly.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// let week = std::time::Duration::from_secs(7 * 24 * 3600);
    /// let aborted = store.sweep_uploads(week).await?;
    /// println!("{aborted} uploads of dead processes were aborted");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Backend`], also if the server cannot list its uploads.
    pub async fn sweep_uploads(&self, older_than: Duration) -> Result<usize> {
        sweep::sweep(&self.shared, older_than, None).await
    }

    /// Removes the bucket, which must be empty.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// store.remove_bucket().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Backend`], also if there is something in it.
    pub async fn remove_bucket(&self) -> Result<()> {
        open::remove(&self.shared.client).await
    }

    /// See [`ObjectStore::close`]. Sweeping uploads ends too.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// use storehouse_objectstore::Key;
    ///
    /// store.close().await?;
    /// assert!(store.head(&Key::new("key")?).await.unwrap_err().is_closed());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// None.
    pub async fn close(&self) -> Result<()> {
        if let Some(Sweeper(task)) = self.sweeper.as_deref() {
            task.abort();
        }
        self.lifecycle.close().await;
        Ok(())
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// use storehouse_objectstore::{Key, PutMode, PutOptions};
    ///
    /// let create = PutOptions::default().mode(PutMode::Create);
    /// store.put_opts(&Key::new("key")?, "content".into(), create).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(key))?;
        put::put(&self.shared, key, body, options).await
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// use storehouse_objectstore::{GetOptions, Key};
    ///
    /// let part = GetOptions::default().range(0..1024);
    /// let object = store.get_opts(&Key::new("key")?, part).await?;
    /// assert!(object.body.collect(1024).await?.len() <= 1024);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        if flaw(key.as_str()).is_some() {
            return Err(Error::not_found(Operation::Get, key));
        }
        get::get(&self.shared.client, key, options).await
    }

    /// See [`ObjectStore::copy_opts`]. The server copies, in parts if the object is larger than
    /// [`S3Options::single_copy`](field@S3Options::single_copy), after a head of the source. Under
    /// a mode other than to overwrite it is a get and a put, for few servers judge one for a copy;
    /// and so it is on a server that copies nothing.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// use storehouse_objectstore::{CopyOptions, Key};
    ///
    /// let (from, to) = (Key::new("a")?, Key::new("b")?);
    /// store.copy_opts(&from, &to, CopyOptions::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Copy, Some(to))?;
        options.check(from, to, &self.shared.capabilities)?;
        if options.mode == PutMode::Overwrite {
            match copy::copy(&self.shared, from, to, &options).await {
                Err(Error::Unsupported { .. }) => {}
                copied => return copied,
            }
        }
        fallback::copy(self, from, to, options).await
    }

    /// See [`ObjectStore::presign`]. A signature version 4 in the query; the size and the SHA-256
    /// of a put are signed headers.
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// use std::time::Duration;
    /// use storehouse_objectstore::{Key, PresignMethod, PresignOptions};
    ///
    /// let upload = PresignOptions::new(PresignMethod::Put, Duration::from_secs(600)).size(1024);
    /// let request = store.presign(&Key::new("key")?, upload).await?;
    /// println!("{} {} with {:?}", request.method.as_str(), request.url, request.headers);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn presign(&self, key: &Key, options: PresignOptions) -> Result<PresignedRequest> {
        self.lifecycle.check(Operation::Presign, Some(key))?;
        if !self.shared.capabilities.presign {
            let feature = "presigned requests: its requests are not signed";
            return Err(fallback::unsupported(Operation::Presign, key, feature));
        }
        presign::presign(&self.shared, key, options).await
    }

    /// See [`ObjectStore::head`].
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// let metadata = store.head(&storehouse_objectstore::Key::new("key")?).await?;
    /// println!("{} bytes", metadata.size);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.lifecycle.check(Operation::Head, Some(key))?;
        if flaw(key.as_str()).is_some() {
            return Err(Error::not_found(Operation::Head, key));
        }
        get::head(&self.shared.client, key).await
    }

    /// See [`ObjectStore::delete`].
    ///
    /// ```no_run
    /// # async fn example() -> storehouse_objectstore::Result<()> {
    /// # let store = storehouse_s3::S3::open(storehouse_s3::S3Options::new("h", "b")).await?;
    /// store.delete(&storehouse_objectstore::Key::new("key")?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        delete::delete(&self.shared.client, key).await
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
        match self.lifecycle.enter(Operation::Delete, None) {
            Ok(running) => delete::delete_many(&self.shared.client, keys)
                .inspect(move |_| _ = &running)
                .boxed(),
            Err(closed) => stream::iter([Err(closed)]).boxed(),
        }
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        match self.lifecycle.check(Operation::List, None) {
            Ok(()) => list::list(&self.shared.client, self.shared.decodes, options),
            Err(closed) => stream::iter([Err(closed)]).boxed(),
        }
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        match self.lifecycle.check(Operation::List, None) {
            Ok(()) => list::list_delimited(&self.shared.client, self.shared.decodes, options),
            Err(closed) => stream::iter([Err(closed)]).boxed(),
        }
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.copy_opts(from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        // Side by side, each with If-Match.
        Box::pin(fallback::get_ranges(self, key, ranges, options))
    }

    methods!(none => events, batches);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        Box::pin(self.presign(key, options))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.lifecycle.check(Operation::Health, None)?;
            open::health(&self.shared.client).await
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.close())
    }
}
