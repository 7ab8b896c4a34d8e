//! A keystore whose operations are counted and traced.

use futures_core::future::BoxFuture;
use storehouse_objectstore::observe::{Meter, OperationSpan, TARGET};
use tracing::{Instrument, debug_span};

use super::contract::{KeyStore, PutKey};
use super::name::KeyName;
use crate::error::Result;
use crate::observe::note;
use crate::secret::Secret;

/// A keystore whose operations are counted, timed and traced, under the label `store="keystore"`.
/// `docs/reference/metrics.md` lists the names. Of a key, its name alone is ever recorded, and that
/// only in spans.
#[derive(Clone, Debug)]
pub struct ObservedKeyStore<K> {
    inner: K,
    put: Meter,
    get: Meter,
    has: Meter,
    list: Meter,
    delete: Meter,
}

impl<K: KeyStore> ObservedKeyStore<K> {
    /// `inner`, counted under the label `backend` (such as `files`).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, ObservedKeyStore};
    ///
    /// let keys = ObservedKeyStore::new(MemoryKeyStore::new(), "memory");
    /// assert!(keys.list().await?.is_empty());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn new(inner: K, backend: &'static str) -> Self {
        let meter = |operation| Meter::new("keystore", backend, operation);
        Self {
            inner,
            put: meter("put"),
            get: meter("get"),
            has: meter("has"),
            list: meter("list"),
            delete: meter("delete"),
        }
    }
}

async fn observe<T>(
    meter: &Meter,
    name: Option<&KeyName>,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let key = name.map(tracing::field::display);
    let span = debug_span!(target: TARGET, "keystore", backend = meter.backend(), operation = meter.operation(), key);
    let mut running = OperationSpan::start(meter, span.clone());
    let result = call.instrument(span).await;
    note(&mut running, &result);
    result
}

#[deny(clippy::missing_trait_methods)]
impl<K: KeyStore> KeyStore for ObservedKeyStore<K> {
    fn put<'a>(
        &'a self,
        name: &'a KeyName,
        key: &'a Secret,
        mode: PutKey,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(observe(
            &self.put,
            Some(name),
            self.inner.put(name, key, mode),
        ))
    }

    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(observe(&self.get, Some(name), self.inner.get(name)))
    }

    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>> {
        Box::pin(observe(&self.has, Some(name), self.inner.has(name)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>> {
        Box::pin(observe(&self.list, None, self.inner.list()))
    }

    fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>> {
        Box::pin(observe(&self.delete, Some(name), self.inner.delete(name)))
    }
}
