//! The blocks in memory.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use storehouse_objectstore::{ETag, Key, Metadata};
use tokio::time::Instant;

use super::leases::Leases;
use super::options::CacheOptions;

/// What a block takes besides its bytes.
const OVERHEAD: u64 = 200;

/// Size and time are there since a store may use a tag again after it was emptied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct BlockId {
    key: Key,
    etag: ETag,
    size: u64,
    last_modified: Option<SystemTime>,
    index: u64,
}

impl BlockId {
    pub(super) fn new(key: &Key, metadata: &Metadata, index: u64) -> Self {
        Self {
            key: key.clone(),
            etag: metadata.etag.clone(),
            size: metadata.size,
            last_modified: metadata.last_modified,
            index,
        }
    }
}

#[derive(Clone, Debug)]
struct Block {
    bytes: Bytes,
    since: Instant,
}

/// A block counts at least so much that the number of blocks holds too.
#[derive(Clone, Debug)]
struct Weigh {
    least: u64,
}

impl Weighter<BlockId, Block> for Weigh {
    fn weight(&self, _: &BlockId, block: &Block) -> u64 {
        (block.bytes.len() as u64 + OVERHEAD).max(self.least)
    }
}

#[derive(Clone, Debug)]
struct Pinned(Leases);

impl Lifecycle<BlockId, Block> for Pinned {
    type RequestState = ();

    fn is_pinned(&self, id: &BlockId, _: &Block) -> bool {
        self.0.has_key(&id.key)
    }

    fn begin_request(&self) {}
}

pub(super) struct Blocks {
    cache: Cache<BlockId, Block, Weigh, DefaultHashBuilder, Pinned>,
    pub(super) size: u64,
    max_age: Duration,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks")
            .field("blocks", &self.cache.len())
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Blocks {
    pub(super) fn new(options: &CacheOptions, leases: &Leases) -> Self {
        let size = options.block_size.clamp(64 * 1024, 4 * 1024 * 1024);
        let max_bytes = options.max_bytes.max(1);
        let least = max_bytes.div_ceil(options.max_blocks.max(1) as u64);
        let in_blocks = max_bytes / (size + OVERHEAD).max(least);
        // Each shard has its part of the memory, and should have room for many blocks.
        let shards = (in_blocks / 64).clamp(1, 16) as usize;
        let items = in_blocks.clamp(16, 1 << 20) as usize;
        let built = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(items)
            .weight_capacity(max_bytes)
            .build();
        let (weigh, pinned) = (Weigh { least }, Pinned(leases.clone()));
        let cache = match built {
            Ok(options) => {
                Cache::with_options(options, weigh, DefaultHashBuilder::default(), pinned)
            }
            // Unreachable: all that is needed was said.
            Err(_) => Cache::with(
                items,
                max_bytes,
                weigh,
                DefaultHashBuilder::default(),
                pinned,
            ),
        };
        Self {
            cache,
            size,
            max_age: options.max_age,
        }
    }

    /// A block, which has the length that its place in the object says.
    pub(super) fn get(&self, id: &BlockId) -> Option<Bytes> {
        let block = self.cache.get(id)?;
        let start = id.index.saturating_mul(self.size);
        let len = id.size.saturating_sub(start).min(self.size);
        if block.bytes.len() as u64 != len || block.since.elapsed() >= self.max_age {
            self.cache.remove(id);
            return None;
        }
        Some(block.bytes)
    }

    pub(super) fn insert(&self, id: BlockId, bytes: Bytes) {
        let since = Instant::now();
        self.cache.insert(id, Block { bytes, since });
    }

    pub(super) fn remove(&self, id: &BlockId) {
        self.cache.remove(id);
    }

    pub(super) fn weight(&self) -> u64 {
        self.cache.weight()
    }

    pub(super) fn len(&self) -> usize {
        self.cache.len()
    }

    pub(super) fn clear(&self) {
        self.cache.clear();
    }
}
