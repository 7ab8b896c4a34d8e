//! Methods of a store in terms of those of another.

/// Implements methods of [`ObjectStore`](crate::ObjectStore) that say nothing new.
///
/// - `FIELD => METHOD, …`: as the store in that field does them.
/// - `fallback => METHOD, …`: by other methods of this store, as in [`fallback`](crate::fallback):
///   `copy_opts`, `get_ranges_opts` and, for a store that can be cloned, `list_delimited`.
/// - `none => METHOD, …`: not at all. `events` and `batches` give `None`, and `presign` fails with
///   [`Error::Unsupported`](crate::Error::Unsupported).
///
/// Inside the implementation of the trait, each method at most once.
///
/// ```
/// use storehouse_objectstore::{
///     Body, BoxFuture, Error, Key, Memory, ObjectStore, ObjectStoreExt, Operation, PutOptions, PutResult,
///     Result, methods,
/// };
///
/// /// A store that takes no objects under `.trash/`.
/// #[derive(Clone, Debug)]
/// struct Tidy<S> {
///     inner: S,
/// }
///
/// impl<S: ObjectStore> ObjectStore for Tidy<S> {
///     fn put_opts<'a>(
///         &'a self,
///         key: &'a Key,
///         body: Body,
///         options: PutOptions,
///     ) -> BoxFuture<'a, Result<PutResult>> {
///         if key.as_str().starts_with(".trash/") {
///             let error = Error::invalid_key(Operation::Put, key.as_str(), "is in the trash");
///             return Box::pin(std::future::ready(Err(error)));
///         }
///         self.inner.put_opts(key, body, options)
///     }
///
///     methods!(inner => get_opts, head, delete, delete_many, list, list_delimited);
///     methods!(inner => health, capabilities, close);
///     methods!(fallback => copy_opts, get_ranges_opts);
///     methods!(none => events, presign, batches);
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Tidy { inner: Memory::new() };
/// assert!(store.put(&Key::new(".trash/a")?, "bytes").await.is_err());
/// store.put(&Key::new("a")?, "bytes").await?;
/// assert_eq!(store.get_bytes(&Key::new("a")?, 5).await?, "bytes");
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! methods {
    (fallback => $($method:ident),+ $(,)?) => { $($crate::methods!(@fallback $method);)+ };
    (none => $($method:ident),+ $(,)?) => { $($crate::methods!(@none $method);)+ };
    ($field:ident => $($method:ident),+ $(,)?) => { $($crate::methods!(@as $field $method);)+ };

    (@as $field:ident put_opts) => {
        fn put_opts<'a>(
            &'a self,
            key: &'a $crate::Key,
            body: $crate::Body,
            options: $crate::PutOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::PutResult>> {
            $crate::ObjectStore::put_opts(&self.$field, key, body, options)
        }
    };
    (@as $field:ident get_opts) => {
        fn get_opts<'a>(
            &'a self,
            key: &'a $crate::Key,
            options: $crate::GetOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::Object>> {
            $crate::ObjectStore::get_opts(&self.$field, key, options)
        }
    };
    (@as $field:ident head) => {
        fn head<'a>(
            &'a self,
            key: &'a $crate::Key,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::Metadata>> {
            $crate::ObjectStore::head(&self.$field, key)
        }
    };
    (@as $field:ident delete) => {
        fn delete<'a>(
            &'a self,
            key: &'a $crate::Key,
        ) -> $crate::BoxFuture<'a, $crate::Result<()>> {
            $crate::ObjectStore::delete(&self.$field, key)
        }
    };
    (@as $field:ident delete_many) => {
        fn delete_many<'a>(
            &'a self,
            keys: $crate::BoxStream<'a, $crate::Key>,
        ) -> $crate::BoxStream<'a, $crate::Result<$crate::Key>> {
            $crate::ObjectStore::delete_many(&self.$field, keys)
        }
    };
    (@as $field:ident list) => {
        fn list(
            &self,
            options: $crate::ListOptions,
        ) -> $crate::BoxStream<'static, $crate::Result<$crate::Entry>> {
            $crate::ObjectStore::list(&self.$field, options)
        }
    };
    (@as $field:ident list_delimited) => {
        fn list_delimited(
            &self,
            options: $crate::ListOptions,
        ) -> $crate::BoxStream<'static, $crate::Result<$crate::Listed>> {
            $crate::ObjectStore::list_delimited(&self.$field, options)
        }
    };
    (@as $field:ident copy_opts) => {
        fn copy_opts<'a>(
            &'a self,
            from: &'a $crate::Key,
            to: &'a $crate::Key,
            options: $crate::CopyOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::PutResult>> {
            $crate::ObjectStore::copy_opts(&self.$field, from, to, options)
        }
    };
    (@as $field:ident get_ranges_opts) => {
        fn get_ranges_opts<'a>(
            &'a self,
            key: &'a $crate::Key,
            ranges: &'a [$crate::ByteRange],
            options: $crate::GetOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::ObjectRanges>> {
            $crate::ObjectStore::get_ranges_opts(&self.$field, key, ranges, options)
        }
    };
    (@as $field:ident events) => {
        fn events(&self) -> ::std::option::Option<$crate::Events> {
            $crate::ObjectStore::events(&self.$field)
        }
    };
    (@as $field:ident presign) => {
        fn presign<'a>(
            &'a self,
            key: &'a $crate::Key,
            options: $crate::PresignOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::PresignedRequest>> {
            $crate::ObjectStore::presign(&self.$field, key, options)
        }
    };
    (@as $field:ident health) => {
        fn health(&self) -> $crate::BoxFuture<'_, $crate::Result<()>> {
            $crate::ObjectStore::health(&self.$field)
        }
    };
    (@as $field:ident capabilities) => {
        fn capabilities(&self) -> &$crate::Capabilities {
            $crate::ObjectStore::capabilities(&self.$field)
        }
    };
    (@as $field:ident batches) => {
        fn batches(&self) -> ::std::option::Option<&dyn $crate::Batches> {
            $crate::ObjectStore::batches(&self.$field)
        }
    };
    (@as $field:ident close) => {
        fn close(&self) -> $crate::BoxFuture<'_, $crate::Result<()>> {
            $crate::ObjectStore::close(&self.$field)
        }
    };

    (@fallback list_delimited) => {
        fn list_delimited(
            &self,
            options: $crate::ListOptions,
        ) -> $crate::BoxStream<'static, $crate::Result<$crate::Listed>> {
            let store = ::std::clone::Clone::clone(self);
            let list = move |options| $crate::ObjectStore::list(&store, options);
            $crate::fallback::list_delimited(
                $crate::ObjectStore::capabilities(self),
                list,
                options,
            )
        }
    };
    (@fallback copy_opts) => {
        fn copy_opts<'a>(
            &'a self,
            from: &'a $crate::Key,
            to: &'a $crate::Key,
            options: $crate::CopyOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::PutResult>> {
            ::std::boxed::Box::pin($crate::fallback::copy(self, from, to, options))
        }
    };
    (@fallback get_ranges_opts) => {
        fn get_ranges_opts<'a>(
            &'a self,
            key: &'a $crate::Key,
            ranges: &'a [$crate::ByteRange],
            options: $crate::GetOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::ObjectRanges>> {
            ::std::boxed::Box::pin($crate::fallback::get_ranges(self, key, ranges, options))
        }
    };

    (@none events) => {
        fn events(&self) -> ::std::option::Option<$crate::Events> {
            ::std::option::Option::None
        }
    };
    (@none batches) => {
        fn batches(&self) -> ::std::option::Option<&dyn $crate::Batches> {
            ::std::option::Option::None
        }
    };
    (@none presign) => {
        fn presign<'a>(
            &'a self,
            key: &'a $crate::Key,
            _: $crate::PresignOptions,
        ) -> $crate::BoxFuture<'a, $crate::Result<$crate::PresignedRequest>> {
            let operation = $crate::Operation::Presign;
            let error = $crate::fallback::unsupported(operation, key, "presigned requests");
            ::std::boxed::Box::pin(::std::future::ready(::std::result::Result::Err(error)))
        }
    };
}
