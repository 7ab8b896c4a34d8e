//! The shards, and the options.

/// One of the stores that objects are spread over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Shard<S> {
    /// What its share is computed from: 1 to 64 ASCII letters, digits, `-` or `_`. It must stay the
    /// same for as long as the store holds objects, and may move to another machine with them.
    pub name: String,
    /// Its share of the objects, in proportion to the other weights. At 0 it gets none, and gives
    /// away those that it holds when the store is rebalanced.
    pub weight: u32,
    /// The store itself.
    pub store: S,
}

impl<S> Shard<S> {
    /// A shard with weight 1.
    ///
    /// ```
    /// use storehouse_layers::Shard;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert_eq!(Shard::new("disk-1", Memory::new()).weight, 1);
    /// ```
    pub fn new(name: impl Into<String>, store: S) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            store,
        }
    }

    /// With this weight.
    ///
    /// ```
    /// use storehouse_layers::Shard;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert_eq!(Shard::new("disk-1", Memory::new()).weight(4).weight, 4);
    /// ```
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }
}

/// Options of a [`ShardStore`](super::ShardStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShardOptions {
    /// Every object lies in its owner: the shards are those of the last complete
    /// [`rebalance`](super::ShardStore::rebalance), or new. False by default: then what the owner
    /// does not have is looked for in all shards. Objects that lie elsewhere although this is set
    /// are listed, but not found.
    pub settled: bool,
    /// How many objects a rebalance moves at once; at least 1. 4 by default.
    pub moves: usize,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self {
            settled: false,
            moves: 4,
        }
    }
}

impl ShardOptions {
    /// With every object in its owner, or not.
    ///
    /// ```
    /// # use storehouse_layers::ShardOptions;
    /// assert!(ShardOptions::default().settled(true).settled);
    /// ```
    #[must_use]
    pub fn settled(mut self, settled: bool) -> Self {
        self.settled = settled;
        self
    }

    /// With this number of objects that a rebalance moves at once.
    ///
    /// ```
    /// # use storehouse_layers::ShardOptions;
    /// assert_eq!(ShardOptions::default().moves(16).moves, 16);
    /// ```
    #[must_use]
    pub fn moves(mut self, moves: usize) -> Self {
        self.moves = moves;
        self
    }
}
