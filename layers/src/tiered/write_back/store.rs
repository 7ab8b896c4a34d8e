//! The store of both tiers, with what is due before all.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{
    Batches, Body, Capabilities, Entry, Events, GetOptions, Key, ListOptions, Metadata, Object,
    ObjectStore, Operation, PresignOptions, PresignedRequest, PutOptions, PutResult, Result,
    methods,
};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::core::Core;
use super::drain::{kick_all, open, ready, settle, wait_until};
use super::due::Found;
use super::reads;
use super::record;
use super::writes;
use crate::parts::{Merge, Moves, detached_put, merged};
use crate::tiered::options::TieredOptions;

/// How many deletes of [`ObjectStore::delete_many`] run at once.
const DELETES: usize = 16;

/// Clones share the list. The tasks end with the last of them.
#[derive(Clone)]
pub(in crate::tiered) struct WriteBack {
    core: Arc<Core>,
    stop: Arc<watch::Sender<bool>>,
}

impl fmt::Debug for WriteBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBack")
            .field("below", &self.core.below)
            .field("due", &self.core.due)
            .finish_non_exhaustive()
    }
}

impl WriteBack {
    /// Records in `fast`, before `below`, which has both tiers. The list is read, and what is due
    /// goes on its way, in the background.
    pub(in crate::tiered) fn new(
        fast: Arc<dyn ObjectStore>,
        below: Arc<dyn ObjectStore>,
        options: &TieredOptions,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let core = Arc::new(Core::new(fast, below, options, stopped.clone()));
        if let Ok(runtime) = Handle::try_current() {
            let (core, mut stopped) = (Arc::clone(&core), stopped);
            runtime.spawn(async move {
                tokio::select! {
                    biased;
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = open(&core) => {}
                }
            });
        }
        Self {
            core,
            stop: Arc::new(stop),
        }
    }

    /// Waits until nothing is due.
    pub(in crate::tiered) async fn flush(&self) -> Result<()> {
        ready(&self.core, Operation::Put, None).await?;
        if Handle::try_current().is_err() {
            for key in self.core.due.keys() {
                settle(&self.core, &key).await?;
            }
            return Ok(());
        }
        kick_all(&self.core);
        wait_until(&self.core, || self.core.due.keys().is_empty()).await
    }

    /// The number of keys that the slow tier has yet to get.
    pub(in crate::tiered) fn due(&self) -> usize {
        self.core.due.len()
    }

    /// The listing of both, once the list is read.
    fn listing(core: &Arc<Core>, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let order = core.capabilities.order.clone();
        let wanted = |key: &Key| {
            let after = options.start_after.as_ref();
            key.as_str().starts_with(&options.prefix)
                && after.is_none_or(|after| order.compare(key, after).is_gt())
        };
        // Before the first page of the slow tier is read: what leaves the list is there by then.
        let snapshot = core.due.snapshot(wanted);
        let deleted: HashSet<Key> = snapshot
            .iter()
            .filter(|(_, put)| put.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        let mut due: Vec<Entry> = snapshot
            .into_iter()
            .filter_map(|(key, put)| Some(entry(key, put?)))
            .collect();
        due.sort_by(|a, b| order.compare(&a.key, &b.key));
        // Some of it may be hidden.
        let mut all = options.clone();
        all.limit = None;
        let below = core.below.list(all).try_filter(move |entry| {
            let is_shown =
                !deleted.contains(&entry.key) && !record::is_reserved(entry.key.as_str());
            future::ready(is_shown)
        });
        let seen = Arc::clone(core);
        let pick = move |same: Vec<(usize, Entry)>| {
            let (place, first) = same.into_iter().next()?;
            if place == 0 {
                return Some(first);
            }
            match seen.due.look_up(&first.key) {
                // Written since: what the slow tier says may be of before, or half known.
                Found::Put(_, metadata) => Some(entry(first.key, metadata)),
                Found::Deleted => None,
                Found::Not => Some(Entry {
                    metadata: seen.seen(&first.key, first.metadata),
                    ..first
                }),
            }
        };
        let merge = Merge {
            sources: vec![stream::iter(due.into_iter().map(Ok)).boxed(), below.boxed()],
            order,
            moved: Moves::default().watch(),
            pick: Box::new(pick),
            // Nothing moves.
            look_up: Box::new(|_| Box::pin(future::ready(Ok(None)))),
        };
        merged(merge, options)
    }
}

fn entry(key: Key, metadata: Metadata) -> Entry {
    Entry {
        key,
        metadata,
        value: None,
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for WriteBack {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (core, key) = (Arc::clone(&self.core), key.clone());
        Box::pin(detached_put(move |point| {
            writes::put(core, key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(reads::get(&self.core, key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            ready(&self.core, Operation::Head, Some(key)).await?;
            self.core.head(key, Operation::Head).await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let (core, key) = (Arc::clone(&self.core), key.clone());
        Box::pin(detached_put(move |point| writes::delete(core, key, point)))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let gone = keys.map(move |key| async move { self.delete(&key).await.map(|()| key) });
        gone.buffer_unordered(DELETES).boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let core = Arc::clone(&self.core);
        let listing = async move {
            ready(&core, Operation::List, None).await?;
            Ok::<_, storehouse_objectstore::Error>(Self::listing(&core, options))
        };
        stream::once(listing).try_flatten().boxed()
    }

    methods!(fallback => list_delimited, copy_opts, get_ranges_opts);

    fn events(&self) -> Option<Events> {
        // Those of the slow tier come late, and with other tags.
        None
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        Box::pin(async move {
            ready(&self.core, Operation::Presign, Some(key)).await?;
            settle(&self.core, key).await?;
            self.core.below.presign(key, options).await
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.core.below.health()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.core.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        // No batch spans two stores.
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.stop.send_replace(true);
            self.core.lifecycle.close().await;
            self.core.below.close().await
        })
    }
}
