//! The trait.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;

use crate::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Events, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, PresignOptions, PresignedRequest,
    PutOptions, PutResult, Result,
};

/// A store of objects: bytes under keys, streamed in and out.
///
/// Every method is required, so that a wrapper cannot miss one; what can be said in terms of these
/// is in [`ObjectStoreExt`](crate::ObjectStoreExt). `Arc<S>` and `Box<S>` of a store are stores,
/// also of `dyn ObjectStore`. A backend's own type has `put`, `get`, `head` and `delete` as plain
/// async methods too: called on that type, they cost no allocation and no indirection.
///
/// # The contract
///
/// Every backend and every wrapper keeps these rules; each is a case of the conformance suite
/// (feature `conformance`).
///
/// 1. *Keys.* A [`Key`] is checked when it is made. A store with a smaller alphabet answers
///    [`InvalidKey`](crate::Error::InvalidKey) on put, not found on get and head, ok on delete.
/// 2. *Put is atomic.* Readers see the old object or the whole new one, never a part, whatever
///    fails: the body's source, the process, the machine, the network, the caller dropping the
///    future.
/// 3. *Put is durable when it returns*, unless [`Durability::Relaxed`](crate::Durability::Relaxed)
///    was asked for.
/// 4. *Put declares its size.* One byte more is [`TooLarge`](crate::Error::TooLarge), at once,
///    without reading on; one less [`TooSmall`](crate::Error::TooSmall). Either way nothing becomes
///    visible and nothing is left behind.
/// 5. *Put modes.* A store that cannot honour a [`PutMode`](crate::PutMode) says so in its
///    capabilities and answers [`Unsupported`](crate::Error::Unsupported).
/// 6. *Writes to one key do not swallow each other.* After put returns, get returns that object or
///    a later one. A delete is never skipped.
/// 7. *Get is one request.* Metadata and body come from one version. Deleting or replacing an
///    object while it is read does not disturb the reader.
/// 8. *Ranges are exact*, unless the caller asks for a clamped one: see
///    [`ByteRange::resolve`](crate::ByteRange::resolve). The size reported is always the whole
///    object's.
/// 9. *Streams* give pieces of a useful size, at most 1 MiB, with back pressure. A truncated source
///    is an error, never a short object that looks whole.
/// 10. *Delete is idempotent*: a missing key is ok.
/// 11. *List* takes a prefix as text and yields keys in the store's own total order, resumable
///     after any key, in bounded memory, the first key at once. Objects there from start to end
///     appear exactly once.
/// 12. *Cancelling* any future leaks nothing: no temporary file, no open upload, no lock.
/// 13. *Concurrency limits hold nothing while waiting on the caller.*
/// 14. *Two processes* cannot open one data directory for writing: the second gets
///     [`InUse`](crate::Error::InUse).
/// 15. *Close* waits until all is at rest; the data can be opened again at once. Dropping a store
///     loses nothing either, but may release its data a moment later.
/// 16. *Attributes* are of the version that they were put with: get and head give them whole, and a
///     put without any leaves none. A store that keeps less than a put asks for refuses the put.
/// 17. *Copy* is a put whose body is one version of an object of the same store: atomic, durable,
///     with every put mode. A rename leaves no moment with both keys or with neither.
/// 18. *Ranges of one call* are of one version.
/// 19. *A listing by folders* is the listing of [`list`](ObjectStore::list) with the same options,
///     in which each run of keys that have a delimiter behind the prefix is one item.
/// 20. *Events* come after the change is durable, those of one key in the order of the changes, and
///     none is dropped without saying so.
/// 21. *A presigned request* does what was asked for, to this key, until it expires. A store that
///     has none says so.
pub trait ObjectStore: Debug + Send + Sync + 'static {
    /// Stores `body` under `key`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{ErrorClass, Key, Memory, ObjectStore, PutMode, PutOptions};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let create = PutOptions::default().mode(PutMode::Create);
    /// let first = store.put_opts(&key, "one".into(), create.clone()).await?;
    /// let again = store.put_opts(&key, "two".into(), create).await.unwrap_err();
    /// assert_eq!(again.class(), ErrorClass::Conflict);
    ///
    /// let replace = PutOptions::default().mode(PutMode::Replace(first.etag.clone()));
    /// assert_ne!(store.put_opts(&key, "two".into(), replace).await?.etag, first.etag);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`InvalidKey`](crate::Error::InvalidKey), [`TooLarge`](crate::Error::TooLarge),
    /// [`TooSmall`](crate::Error::TooSmall), [`InvalidRequest`](crate::Error::InvalidRequest) (no
    /// size declared), [`AlreadyExists`](crate::Error::AlreadyExists) and
    /// [`Precondition`](crate::Error::Precondition) by mode,
    /// [`Unsupported`](crate::Error::Unsupported),
    /// [`ChecksumMismatch`](crate::Error::ChecksumMismatch), [`Body`](crate::Error::Body) if the
    /// source failed, [`Backend`](crate::Error::Backend). After any of them the key holds what it
    /// held before; after `Backend` alone it may hold the new object instead (an answer can be lost
    /// on its way).
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>>;

    /// Opens the object, or a range of it, for reading.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let put = store.put(&key, "0123456789").await?;
    /// let object = store.get_opts(&key, GetOptions::default().range(2..5)).await?;
    /// assert_eq!((object.range.clone(), object.size()), (2..5, 10));
    /// assert_eq!(object.body.collect(3).await?, "234");
    ///
    /// let unless = GetOptions::default().if_none_match(put.etag);
    /// assert!(store.get_opts(&key, unless).await.unwrap_err().is_not_modified());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::Error::NotFound),
    /// [`RangeNotSatisfiable`](crate::Error::RangeNotSatisfiable),
    /// [`Precondition`](crate::Error::Precondition), [`NotModified`](crate::Error::NotModified),
    /// [`Backend`](crate::Error::Backend). Conditions are judged before the range. The body may
    /// fail later with [`Truncated`](crate::Error::Truncated) or
    /// [`Backend`](crate::Error::Backend).
    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>>;

    /// Size, tag and time of an object.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// assert!(store.head(&key).await.unwrap_err().is_not_found());
    /// let put = store.put(&key, "hello").await?;
    /// let metadata = store.head(&key).await?;
    /// assert_eq!((metadata.size, metadata.etag), (5, put.etag));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::Error::NotFound), [`Backend`](crate::Error::Backend).
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>>;

    /// Removes the object, durably when it returns. A missing one is ok.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// store.put(&key, "hello").await?;
    /// store.delete(&key).await?;
    /// store.delete(&key).await?; // missing: ok
    /// assert!(!store.exists(&key).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Backend`](crate::Error::Backend).
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Removes many objects. Yields each key once it is gone, or the error that kept it there, in
    /// no particular order; one error does not stop the rest. Keys are taken from `keys` as the
    /// result is read, a bounded number ahead.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::{StreamExt, TryStreamExt, stream};
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let store = Memory::new();
    /// for key in ["old/1", "old/2", "new/1"] {
    ///     store.put(&Key::new(key)?, "").await?;
    /// }
    /// let old: Vec<_> = store.list_prefix("old/").map_ok(|entry| entry.key).try_collect().await?;
    /// let gone: Vec<Key> = store.delete_many(stream::iter(old).boxed()).try_collect().await?;
    /// assert_eq!(gone.len(), 2);
    /// assert!(store.exists(&Key::new("new/1")?).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>>;

    /// Lists objects in the order of [`Capabilities::order`]. After an error the listing ends; it
    /// can be resumed after the last key it gave.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::TryStreamExt;
    /// use storehouse_objectstore::{Key, ListOptions, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let store = Memory::new();
    /// for key in ["a", "b/1", "b/2", "b/3"] {
    ///     store.put(&Key::new(key)?, "").await?;
    /// }
    /// let page = ListOptions::default().prefix("b/").start_after(Key::new("b/1")?).limit(1);
    /// let entries: Vec<_> = store.list(page).try_collect().await?;
    /// assert_eq!(entries.len(), 1);
    /// assert_eq!(entries[0].key.as_str(), "b/2");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>>;

    /// Lists by folders: of the keys that [`list`](ObjectStore::list) gives with these options,
    /// those that have the [delimiter](ListOptions::delimiter) behind the prefix are rolled up into
    /// common prefixes ([`Listed::Prefix`]), in their place. What lies below one is passed over
    /// where the store can. The limit counts items; resume after [`Listed::resume_after`].
    ///
    /// A store whose [order](Capabilities::order) is not by key rolls up only at delimiters that
    /// none of its keys can have, so there is nothing to roll up; others are an error of the class
    /// [`InvalidInput`](crate::ErrorClass::InvalidInput).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::TryStreamExt;
    /// use storehouse_objectstore::{Key, ListOptions, Listed, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let store = Memory::new();
    /// for key in ["2024-01", "2024-02", "2025-01", "index"] {
    ///     store.put(&Key::new(key)?, "").await?;
    /// }
    /// let years = store.list_delimited(ListOptions::default().delimiter('-'));
    /// let years: Vec<Listed> = years.try_collect().await?;
    /// assert_eq!(years[0], Listed::Prefix("2024-".into()));
    /// assert_eq!(years[1], Listed::Prefix("2025-".into()));
    /// assert!(matches!(&years[2], Listed::Object(entry) if entry.key.as_str() == "index"));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>>;

    /// Copies an object, or renames it, within the store. From a key to itself it writes a new
    /// version of the same bytes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{CopyOptions, Key, Memory, ObjectStore, ObjectStoreExt, PutMode};
    ///
    /// let (store, from, to) = (Memory::new(), Key::new("inbox/1")?, Key::new("done/1")?);
    /// store.put(&from, "hello").await?;
    /// let rename = CopyOptions::default().remove_source(true).mode(PutMode::Create);
    /// store.copy_opts(&from, &to, rename).await?;
    /// assert_eq!(store.get_bytes(&to, 5).await?, "hello");
    /// assert!(!store.exists(&from).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get_opts`](ObjectStore::get_opts) for `from` and as [`put_opts`](ObjectStore::put_opts)
    /// for `to`, with the operation [`Copy`](crate::Operation::Copy) where one is said.
    /// [`InvalidRequest`](crate::Error::InvalidRequest) for a rename of a key to itself;
    /// [`Unsupported`](crate::Error::Unsupported) for one that the store does not do in one step.
    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>>;

    /// Reads ranges of one version of an object into memory, in the order asked for; those that lie
    /// close together are read as one. They may overlap. Without any it only judges the conditions.
    ///
    /// `options` give the conditions; its range must be `None`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let put = store.put(&key, "0123456789").await?;
    /// let same = GetOptions::default().if_match(put.etag);
    /// let got = store.get_ranges_opts(&key, &[(7..9).into(), (0..2).into()], same.clone()).await?;
    /// assert_eq!(got.parts, ["78", "01"]);
    ///
    /// store.put(&key, "something else").await?;
    /// let changed = store.get_ranges_opts(&key, &[(0..2).into()], same).await;
    /// assert!(changed.unwrap_err().is_precondition());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`get_opts`](ObjectStore::get_opts), and as the body may fail;
    /// [`RangeNotSatisfiable`](crate::Error::RangeNotSatisfiable) if one of the ranges is not;
    /// [`InvalidRequest`](crate::Error::InvalidRequest) if `options` have a range. An error of the
    /// class transient if the object is replaced again and again meanwhile.
    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>>;

    /// Listens to changes of objects, from now on; `None` if the store does not tell any. A store
    /// tells those made through itself and its clones; [`Capabilities::events`] says whether it
    /// does.
    ///
    /// Held are a bounded number for each listener. One that falls behind reads
    /// [`Event::Missed`](crate::Event::Missed) in place of what was dropped, and writers never wait
    /// for it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::StreamExt;
    /// use storehouse_objectstore::{Event, Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let mut events = store.events().expect("memory tells its changes");
    /// let etag = store.put(&key, "hello").await?.etag;
    /// assert_eq!(events.next().await, Some(Event::Put { key, etag }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    fn events(&self) -> Option<Events>;

    /// A request by which a client without keys carries out one operation, until it expires.
    /// Nothing is sent and nothing is checked: the object may be missing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use storehouse_objectstore::{Error, Key, Memory, ObjectStore, PresignMethod, PresignOptions};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let options = PresignOptions::new(PresignMethod::Get, Duration::from_secs(600));
    /// match store.presign(&key, options).await {
    ///     Ok(request) => println!("{} {}", request.method.as_str(), request.url),
    ///     Err(Error::Unsupported { .. }) => assert!(!store.capabilities().presign),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) if the store has none;
    /// [`InvalidRequest`](crate::Error::InvalidRequest) for a time that is too short or too long;
    /// [`InvalidKey`](crate::Error::InvalidKey); [`Backend`](crate::Error::Backend) if there are no
    /// keys to sign with.
    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>>;

    /// Whether the store can serve: cheap, and without writing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Memory, ObjectStore};
    ///
    /// let store = Memory::new();
    /// store.health().await?;
    /// store.close().await?;
    /// assert!(store.health().await.unwrap_err().is_closed());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Backend`](crate::Error::Backend), which says what is wrong.
    fn health(&self) -> BoxFuture<'_, Result<()>>;

    /// What this store honours.
    ///
    /// ```
    /// use storehouse_objectstore::{Memory, ObjectStore};
    ///
    /// let store = Memory::new();
    /// assert!(store.capabilities().create && store.capabilities().order.is_by_key());
    /// ```
    fn capabilities(&self) -> &Capabilities;

    /// Batches of writes that happen together or not at all; `None` if this store has none, or the
    /// one under a wrapper.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Batch, Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, from, to) = (Memory::new(), Key::new("account/1")?, Key::new("account/2")?);
    /// if let Some(batches) = store.batches() {
    ///     batches.batch(Batch::new().put(from.clone(), "90").put(to, "110")).await?;
    /// }
    /// assert_eq!(store.get_bytes(&from, 16).await?, "90");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    fn batches(&self) -> Option<&dyn Batches>;

    /// Closes the store for all of its handles: refuses further operations, waits for the writes
    /// under way, and releases what the store holds, such as a directory's lock. When it returns
    /// the same data can be opened again. Bodies handed out before can be read to their end.
    ///
    /// Every operation after it fails with [`Closed`](crate::Error::Closed); closing again is ok. A
    /// layer closes the store under it. Dropping the future leaves the store closed.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// store.put(&key, "hello").await?;
    /// let body = store.get(&key).await?.body;
    /// store.close().await?;
    /// assert!(store.get(&key).await.unwrap_err().is_closed());
    /// assert_eq!(body.collect(5).await?, "hello"); // handed out before
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Backend`](crate::Error::Backend) if something could not be released or written in order.
    /// Nothing acknowledged is lost.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<S: ObjectStore + ?Sized> ObjectStore for $pointer<S> {
            fn put_opts<'a>(&'a self, key: &'a Key, body: Body, options: PutOptions) -> BoxFuture<'a, Result<PutResult>> {
                self.deref().put_opts(key, body, options)
            }

            fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
                self.deref().get_opts(key, options)
            }

            fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
                self.deref().head(key)
            }

            fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
                self.deref().delete(key)
            }

            fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
                self.deref().delete_many(keys)
            }

            fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
                self.deref().list(options)
            }

            fn health(&self) -> BoxFuture<'_, Result<()>> {
                self.deref().health()
            }

            fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
                self.deref().list_delimited(options)
            }

            fn copy_opts<'a>(&'a self, from: &'a Key, to: &'a Key, options: CopyOptions) -> BoxFuture<'a, Result<PutResult>> {
                self.deref().copy_opts(from, to, options)
            }

            fn get_ranges_opts<'a>(&'a self, key: &'a Key, ranges: &'a [ByteRange], options: GetOptions) -> BoxFuture<'a, Result<ObjectRanges>> {
                self.deref().get_ranges_opts(key, ranges, options)
            }

            fn events(&self) -> Option<Events> {
                self.deref().events()
            }

            fn presign<'a>(&'a self, key: &'a Key, options: PresignOptions) -> BoxFuture<'a, Result<PresignedRequest>> {
                self.deref().presign(key, options)
            }

            fn capabilities(&self) -> &Capabilities {
                self.deref().capabilities()
            }

            fn batches(&self) -> Option<&dyn Batches> {
                self.deref().batches()
            }

            fn close(&self) -> BoxFuture<'_, Result<()>> {
                self.deref().close()
            }
        }
    )*};
}

forward!(Arc, Box);
