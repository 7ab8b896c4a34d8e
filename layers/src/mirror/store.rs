//! The store and its trait.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::future::join_all;
use storehouse_objectstore::{
    Attributes, Batches, Body, Capabilities, Entry, Error, GetOptions, Key, KeyRule, Lifecycle,
    ListOptions, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result, methods,
};
use tokio::time::Instant;

use super::clock::Clock;
use super::commits::Commits;
use super::failures::too_few;
use super::missed::Missed;
use super::options::MirrorOptions;
use super::record::LEN;
use super::scrub::{ScrubOptions, Scrubbed, ScrubbedKey};
use super::shared::{Replica, Shared};
use crate::parts::{CommitPoint, KeyLocks, detached, detached_put, same_order};

/// How many deletes of [`ObjectStore::delete_many`] run at once.
const DELETES: usize = 16;

/// A store that keeps each object in several replicas. Clones share their locks.
///
/// It has to be used in a Tokio runtime with timers.
///
/// ```
/// use storehouse_layers::{MirrorOptions, MirrorStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let replicas = [Memory::new(), Memory::new(), Memory::new()];
/// let store = MirrorStore::new(replicas.clone(), MirrorOptions::default())?;
/// let key = Key::new("a")?;
/// store.put(&key, "content").await?;
///
/// replicas[0].delete(&key).await?; // a replica loses it
/// assert_eq!(store.get_bytes(&key, 1024).await?, "content");
/// store.scrub().await?;
/// assert!(replicas[0].exists(&key).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MirrorStore<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for MirrorStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: ObjectStore> MirrorStore<S> {
    /// Objects in each of these replicas, of which reads ask the first ones first. Errors and
    /// scrubs name a replica by its place, from 0.
    ///
    /// # Errors
    /// [`Error::Config`] if there are none or more than 16, `writes` or `reads` is not from 1 to
    /// their number, or they list in different orders.
    pub fn new(replicas: impl IntoIterator<Item = S>, options: MirrorOptions) -> Result<Self> {
        let replicas: Vec<_> = replicas.into_iter().map(Replica::new).collect();
        let of = replicas.len();
        let most = MirrorOptions::MAX_REPLICAS;
        if !(1..=most).contains(&of) {
            let reason = format!("{of} replicas are not from 1 to {most}");
            return Err(Error::config("stores", reason));
        }
        let (writes, reads) = options.quorums(of);
        for (setting, number) in [("writes", writes), ("reads", reads)] {
            if !(1..=of).contains(&number) {
                let reason = format!("{number} is not from 1 to {of}, the number of replicas");
                return Err(Error::config(setting, reason));
            }
        }
        let capabilities = capabilities_of(&replicas, &options)?;
        Ok(Self {
            shared: Arc::new(Shared {
                replicas,
                options,
                writes,
                reads,
                capabilities,
                opened: Instant::now(),
                clock: Clock::default(),
                locks: KeyLocks::default(),
                commits: Commits::default(),
                missed: Missed::default(),
                repairing: Default::default(),
                lifecycle: Lifecycle::default(),
            }),
        })
    }

    /// The replicas, in their order.
    ///
    /// ```
    /// # use storehouse_layers::{MirrorOptions, MirrorStore};
    /// # use storehouse_objectstore::Memory;
    /// let store = MirrorStore::new([Memory::new(), Memory::new()], MirrorOptions::default())?;
    /// assert_eq!(store.replicas().count(), 2);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    pub fn replicas(&self) -> impl Iterator<Item = &S> {
        self.shared.replicas.iter().map(|replica| &replica.store)
    }

    /// Brings all replicas up to date: each key gets its newest version everywhere, and records of
    /// deletes that are [old enough](MirrorOptions::keep_tombstones) go. Reads and writes go on
    /// meanwhile.
    ///
    /// A replica that fails under a key is [counted](Scrubbed::failed), and the scrub goes on.
    ///
    /// # Errors
    /// If a replica could not be listed to its end; what the others have was scrubbed. It can be
    /// run again. Dropping the future leaves each object whole.
    ///
    /// ```
    /// use storehouse_layers::{MirrorOptions, MirrorStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (old, new) = (Memory::new(), Memory::new());
    /// let alone = MirrorStore::new([old.clone()], MirrorOptions::default())?;
    /// alone.put(&Key::new("a")?, "content").await?;
    ///
    /// let store = MirrorStore::new([old, new.clone()], MirrorOptions::default())?;
    /// let scrubbed = store.scrub().await?;
    /// assert_eq!((scrubbed.keys, scrubbed.repaired, scrubbed.failed), (1, 1, 0));
    /// assert!(new.exists(&Key::new("a")?).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn scrub(&self) -> Result<Scrubbed> {
        Arc::clone(&self.shared).scrub().await
    }

    /// The same for the keys that the options name, with an item for each key, in the order of the
    /// store's listings. To go on after a scrub was stopped, begin
    /// [after](ScrubOptions::start_after) the last key that it gave.
    ///
    /// Its last item is an error if a replica could not be listed to its end.
    ///
    /// ```
    /// use futures_util::TryStreamExt;
    /// use storehouse_layers::{MirrorOptions, MirrorStore, ScrubOptions};
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let replicas = [Memory::new(), Memory::new()];
    /// let store = MirrorStore::new(replicas.clone(), MirrorOptions::default())?;
    /// for key in ["a", "b", "c"] {
    ///     store.put(&Key::new(key)?, "content").await?;
    /// }
    /// replicas[1].delete(&Key::new("b")?).await?;
    /// let options = ScrubOptions::default().start_after(Key::new("a")?).contents(true);
    /// let scrubbed: Vec<_> = store.scrub_keys(options).try_collect().await?;
    /// assert_eq!(scrubbed[0].repaired, [1]);
    /// assert!(scrubbed[1].repaired.is_empty());
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scrub_keys(&self, options: ScrubOptions) -> BoxStream<'static, Result<ScrubbedKey>> {
        Arc::clone(&self.shared).scrub_keys(options)
    }
}

/// What all replicas can do.
fn capabilities_of<S: ObjectStore>(
    replicas: &[Replica<S>],
    options: &MirrorOptions,
) -> Result<Capabilities> {
    let Some(first) = replicas.first() else {
        return Ok(Capabilities::full());
    };
    let order = first.store.capabilities().order.clone();
    let mut all = Capabilities::full()
        .with_order(order.clone())
        .with_checksums(true)
        .with_max_attributes(Attributes::MAX_SIZE);
    let mut rules = Vec::new();
    for replica in replicas {
        let one = replica.store.capabilities();
        same_order("stores", &order, &one.order)?;
        all = all
            .clone()
            .with_checksums(all.checksums && one.checksums)
            .with_remote(all.remote || one.remote)
            .with_max_size(all.max_size.min(one.max_size.saturating_sub(LEN)))
            .with_max_attributes(all.max_attributes.min(one.max_attributes));
        rules.push(one.keys.clone());
    }
    // Judged here, under a lock of this process.
    let conditions = options.sole_writer || !all.remote;
    let keys = KeyRule::new(move |key| rules.iter().find_map(|rule| rule.flaw(key)));
    Ok(all
        .with_create(conditions)
        .with_replace(conditions)
        .with_keys(keys))
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for MirrorStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached_put(move |point| {
            shared.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(Arc::clone(&self.shared).get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(Arc::clone(&self.shared).head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached(shared.delete(key, CommitPoint::default())))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(move |key| async move {
            self.delete(&key).await?;
            Ok(key)
        })
        .buffer_unordered(DELETES)
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        Arc::clone(&self.shared).list(options)
    }

    methods!(fallback => list_delimited, copy_opts, get_ranges_opts);
    methods!(none => events, presign);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let shared = &self.shared;
            shared.lifecycle.check(Operation::Health, None)?;
            let replicas = shared.replicas.iter().enumerate();
            let asked = join_all(replicas.map(|(place, replica)| {
                shared.timed((Operation::Health, None, place), replica.store.health())
            }));
            let (mut well, mut failures) = (0, Vec::new());
            for (replica, health) in asked.await.into_iter().enumerate() {
                match health {
                    Ok(()) => well += 1,
                    Err(error) => failures.push((replica, error)),
                }
            }
            let needed = shared.writes.max(shared.reads);
            if well >= needed {
                return Ok(());
            }
            let counts = (needed, shared.replicas.len());
            Err(too_few(Operation::Health, None, counts, failures))
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        // No batch spans two stores.
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.close().await;
            let replicas = self.shared.replicas.iter();
            let closed = join_all(replicas.map(|replica| replica.store.close())).await;
            closed.into_iter().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use storehouse_objectstore::{ErrorClass, Memory, ObjectStoreExt};

    use super::*;
    use crate::mirror::missed::MOST;
    use crate::{Fault, FaultStore};

    /// Replica 0 missed more than is remembered; replica 1 alone may know what.
    #[tokio::test]
    async fn a_replica_is_believed_again_once_no_other_failed_under_any_key() {
        let replicas = [(); 3].map(|()| FaultStore::new(Memory::new()));
        let options = MirrorOptions::default().writes(1).reads(1);
        let store = MirrorStore::new(replicas.clone(), options).unwrap();
        let (a, other) = (Key::new("a").unwrap(), Key::new("other").unwrap());
        store.put(&a, "content").await.unwrap();
        let shared = &store.shared;
        let version = shared.clock.after(None).unwrap();
        for n in 0..=MOST {
            let key = Key::new(format!("missed/{n}")).unwrap();
            shared.missed.missed(&key, 0, version);
        }
        let is_believed = || !shared.missed.is_behind(&other, 0);
        assert!(!is_believed());
        let fails = Fault::error(ErrorClass::Transient).on(Operation::Get);
        replicas[1].faults().add(fails);
        assert_eq!(store.scrub().await.unwrap().failed, 1);
        assert!(!is_believed());
        assert_eq!(store.scrub().await.unwrap().failed, 0);
        assert!(is_believed());
    }
}
