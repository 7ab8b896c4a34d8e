//! The store and its trait.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use storehouse_objectstore::{
    Attributes, Batches, Body, Capabilities, Entry, Error, GetOptions, Key, KeyRule, Lifecycle,
    ListOptions, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result, methods,
};

use super::options::{Shard, ShardOptions};
use super::rebalance::{Rebalanced, rebalance};
use super::shared::Shared;
use crate::parts::{
    KeyLocks, LookUp, Merge, Moves, detached, detached_put, mark, merged, same_order,
};

/// How many deletes of [`ObjectStore::delete_many`] run at once.
const DELETES: usize = 16;

/// A store whose objects are spread over several by their keys. Clones share their locks.
///
/// ```
/// use storehouse_layers::{Shard, ShardOptions, ShardStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let shards = ["a", "b", "c"].map(|name| Shard::new(name, Memory::new()));
/// let store = ShardStore::new(shards, ShardOptions::default().settled(true))?;
/// let key = Key::new("key-0")?;
/// store.put(&key, "content").await?;
/// let owner = store.owner(&key);
/// assert!(owner.store.exists(&key).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ShardStore<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for ShardStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: ObjectStore> ShardStore<S> {
    /// Objects spread over these shards, whose order says nothing.
    ///
    /// # Errors
    /// [`Error::Config`] if a name is not one or occurs twice, no weight is above 0, or the stores
    /// list in different orders.
    pub fn new(shards: impl IntoIterator<Item = Shard<S>>, options: ShardOptions) -> Result<Self> {
        let shards: Vec<_> = shards.into_iter().collect();
        let capabilities = capabilities_of(&shards)?;
        Ok(Self {
            shared: Arc::new(Shared {
                settled: AtomicBool::new(options.settled),
                shards,
                options,
                capabilities,
                locks: KeyLocks::default(),
                moves: Moves::default(),
                lifecycle: Lifecycle::default(),
            }),
        })
    }

    /// The shards.
    ///
    /// ```
    /// # use storehouse_layers::{Shard, ShardOptions, ShardStore};
    /// # use storehouse_objectstore::Memory;
    /// let store = ShardStore::new([Shard::new("a", Memory::new())], ShardOptions::default())?;
    /// assert_eq!(store.shards()[0].name, "a");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn shards(&self) -> &[Shard<S>] {
        &self.shared.shards
    }

    /// The shard that a key belongs to, whether or not it holds it yet.
    ///
    /// ```
    /// # use storehouse_layers::{Shard, ShardOptions, ShardStore};
    /// # use storehouse_objectstore::{Key, Memory};
    /// let shards = ["a", "b"].map(|name| Shard::new(name, Memory::new()).weight(3));
    /// let store = ShardStore::new(shards, ShardOptions::default())?;
    /// let owner = store.owner(&Key::new("key-0")?);
    /// assert!(owner.name == "a" || owner.name == "b");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn owner(&self, key: &Key) -> &Shard<S> {
        &self.shared.shards[self.shared.owner(key.as_str())]
    }

    /// Whether every object is known to lie in its owner: by [`ShardOptions::settled`], or since a
    /// rebalance.
    ///
    /// ```
    /// # use storehouse_layers::{Shard, ShardOptions, ShardStore};
    /// # use storehouse_objectstore::Memory;
    /// let store = ShardStore::new([Shard::new("a", Memory::new())], ShardOptions::default())?;
    /// assert!(!store.is_settled());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.shared.is_settled()
    }

    /// Moves every object to the shard that it belongs to, and removes older copies. The store is
    /// settled once this has returned without an error. Reads and writes go on meanwhile.
    ///
    /// # Errors
    /// Those of the shards. What has moved stays moved; it can be run again. Dropping the future
    /// leaves each object whole.
    ///
    /// ```
    /// use storehouse_layers::{Shard, ShardOptions, ShardStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (old, new, key) = (Memory::new(), Memory::new(), Key::new("key-0")?);
    /// old.put(&key, "content").await?;
    /// let shards = [Shard::new("old", old).weight(0), Shard::new("new", new.clone())];
    /// let store = ShardStore::new(shards, ShardOptions::default())?;
    /// assert_eq!(store.rebalance().await?.moved, 1);
    /// assert_eq!(new.get_bytes(&key, 1024).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn rebalance(&self) -> Result<Rebalanced> {
        rebalance(&self.shared).await
    }
}

/// What all shards can do.
fn capabilities_of<S: ObjectStore>(shards: &[Shard<S>]) -> Result<Capabilities> {
    let mut names = BTreeSet::new();
    for shard in shards {
        let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        if !(1..=64).contains(&shard.name.len()) || !shard.name.bytes().all(plain) {
            return Err(Error::config(
                "shards",
                format!("{:?} is no name of a shard", shard.name),
            ));
        }
        if !names.insert(&shard.name) {
            return Err(Error::config(
                "shards",
                format!("two shards are named {:?}", shard.name),
            ));
        }
    }
    let Some(first) = shards
        .first()
        .filter(|_| shards.iter().any(|shard| shard.weight > 0))
    else {
        return Err(Error::config("shards", "none has a weight above 0"));
    };
    let order = first.store.capabilities().order.clone();
    let mut all = Capabilities::full()
        .with_order(order.clone())
        .with_verifies_sha256(true)
        .with_max_attributes(Attributes::MAX_SIZE);
    let mut rules = Vec::new();
    for shard in shards {
        let one = shard.store.capabilities();
        same_order("shards", &order, &one.order)?;
        all = all
            .clone()
            .with_create(all.create && one.create)
            .with_replace(all.replace && one.replace && one.create)
            .with_verifies_sha256(all.verifies_sha256 && one.verifies_sha256)
            .with_remote(all.remote || one.remote)
            .with_max_size(all.max_size.min(one.max_size))
            .with_max_attributes(all.max_attributes.min(one.max_attributes));
        rules.push(one.keys.clone());
    }
    Ok(all.with_keys(KeyRule::new(move |key| {
        rules.iter().find_map(|rule| rule.flaw(key))
    })))
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ShardStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        if shared.is_settled() {
            // One request of one store: nothing to end in a task of its own.
            return Box::pin(shared.put(key, body, options, Default::default()));
        }
        Box::pin(detached_put(move |point| {
            shared.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.shared.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.shared.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        if self.shared.is_settled() {
            return Box::pin(self.shared.delete(key));
        }
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached(async move { shared.delete(&key).await }))
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
        // Watched before the first page is read.
        let moved = self.shared.moves.watch();
        let shared = Arc::clone(&self.shared);
        let pick = move |mut same: Vec<(usize, Entry)>| {
            if same.len() > 1 {
                let ranks = shared.ranks(same[0].1.key.as_str());
                same.sort_by_key(|(place, _)| ranks.iter().position(|rank| rank == place));
            }
            let (place, entry) = same.into_iter().next()?;
            Some(Entry {
                metadata: mark(&shared.shards[place].name, entry.metadata),
                ..entry
            })
        };
        let shared = Arc::clone(&self.shared);
        let look_up: LookUp = Box::new(move |key| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                match shared.head(&key).await {
                    Ok(metadata) => Ok(Some(Entry {
                        key,
                        metadata,
                        value: None,
                    })),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error),
                }
            })
        });
        let shards = self.shared.shards.iter();
        merged(
            Merge {
                sources: shards
                    .map(|shard| shard.store.list(options.clone()))
                    .collect(),
                order: self.shared.capabilities.order.clone(),
                moved,
                pick: Box::new(pick),
                look_up,
            },
            options,
        )
    }

    methods!(fallback => list_delimited, copy_opts, get_ranges_opts);
    methods!(none => events, presign);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.check(Operation::Health, None)?;
            let shards = self.shared.shards.iter();
            try_join_all(shards.map(|shard| shard.store.health())).await?;
            Ok(())
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
            let shards = self.shared.shards.iter();
            let closed = join_all(shards.map(|shard| shard.store.close())).await;
            closed.into_iter().collect()
        })
    }
}
