//! What stands in for a store that this build has no backend for.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, future, stream};
use storehouse_objectstore::{
    Body, ByteRange, Capabilities, CopyOptions, Entry, Error, ErrorClass, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result, methods,
};

/// A store whose every operation fails and says why.
#[derive(Debug)]
pub(crate) struct MissingBackend {
    capabilities: Capabilities,
    reason: String,
}

impl MissingBackend {
    pub(super) fn new(feature: &'static str) -> Self {
        Self {
            capabilities: Capabilities::full(),
            reason: format!(
                "this build of storehouse has no backend for records; build it with the feature \
                 {feature:?}"
            ),
        }
    }

    /// A store that is described and not open.
    pub(crate) fn stand_in(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            reason: "the store is described alone, and not open".to_owned(),
        }
    }

    fn error(&self, operation: Operation, key: Option<&Key>) -> Error {
        Error::Backend {
            operation,
            key: key.cloned(),
            class: ErrorClass::Fatal,
            message: self.reason.clone(),
            source: None,
        }
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for MissingBackend {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        _: Body,
        _: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        future::err(self.error(Operation::Put, Some(key))).boxed()
    }

    fn get_opts<'a>(&'a self, key: &'a Key, _: GetOptions) -> BoxFuture<'a, Result<Object>> {
        future::err(self.error(Operation::Get, Some(key))).boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        future::err(self.error(Operation::Head, Some(key))).boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        future::err(self.error(Operation::Delete, Some(key))).boxed()
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(|key| Err(self.error(Operation::Delete, Some(&key))))
            .boxed()
    }

    fn list(&self, _: ListOptions) -> BoxStream<'static, Result<Entry>> {
        stream::iter([Err(self.error(Operation::List, None))]).boxed()
    }

    fn list_delimited(&self, _: ListOptions) -> BoxStream<'static, Result<Listed>> {
        stream::iter([Err(self.error(Operation::List, None))]).boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        _: &'a Key,
        _: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        future::err(self.error(Operation::Copy, Some(from))).boxed()
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        _: &'a [ByteRange],
        _: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        future::err(self.error(Operation::Get, Some(key))).boxed()
    }

    methods!(none => events, batches);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        future::err(self.error(Operation::Presign, Some(key))).boxed()
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        future::err(self.error(Operation::Health, None)).boxed()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        future::ok(()).boxed()
    }
}
