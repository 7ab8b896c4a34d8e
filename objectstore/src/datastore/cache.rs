//! Blocks of tables that were read lately, each checked when it came in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::block::Block;

/// Locks of their own, so that readers seldom meet.
const SHARDS: usize = 16;

/// A block's table and its place there.
type Place = (u64, u64);

/// Up to so many bytes of blocks. What was not used since the hand last passed goes first.
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    /// Bytes for each shard.
    limit: usize,
}

#[derive(Default)]
struct Shard {
    places: HashMap<Place, usize>,
    slots: Vec<Slot>,
    hand: usize,
    bytes: usize,
}

struct Slot {
    place: Place,
    block: Block,
    used: bool,
}

impl Cache {
    pub(super) fn new(bytes: usize) -> Self {
        Self { shards: Default::default(), limit: bytes / SHARDS }
    }

    pub(super) fn get(&self, place: Place) -> Option<Block> {
        let mut shard = self.shard(place).lock().unwrap_or_else(PoisonError::into_inner);
        let slot = *shard.places.get(&place)?;
        let slot = shard.slots.get_mut(slot)?;
        slot.used = true;
        Some(slot.block.clone())
    }

    pub(super) fn insert(&self, place: Place, block: Block) {
        // One large record must not drive out everything else.
        if block.size() > self.limit / 4 {
            return;
        }
        let mut shard = self.shard(place).lock().unwrap_or_else(PoisonError::into_inner);
        if !shard.places.contains_key(&place) {
            shard.make_room(block.size(), self.limit);
            let slot = shard.slots.len();
            shard.bytes += block.size();
            shard.places.insert(place, slot);
            shard.slots.push(Slot { place, block, used: false });
        }
    }

    fn shard(&self, (table, at): Place) -> &Mutex<Shard> {
        // Blocks start at multiples of 8, some 4 KiB apart.
        let mixed = (at ^ (table << 48)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 60) as usize % SHARDS]
    }
}

impl Shard {
    fn make_room(&mut self, size: usize, limit: usize) {
        while self.bytes + size > limit && !self.slots.is_empty() {
            self.hand %= self.slots.len();
            let slot = &mut self.slots[self.hand];
            if std::mem::take(&mut slot.used) {
                self.hand += 1;
                continue;
            }
            let gone = self.slots.swap_remove(self.hand);
            self.bytes -= gone.block.size();
            self.places.remove(&gone.place);
            if let Some(moved) = self.slots.get(self.hand) {
                self.places.insert(moved.place, self.hand);
            }
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("limit", &(self.limit * SHARDS)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockBuilder;
    use super::super::entry::Entry;
    use super::*;

    fn block(size: usize) -> Block {
        let mut entry = Vec::new();
        Entry::encode(&mut entry, 1, 1, b"key", Some(&vec![0; size]));
        let mut builder = BlockBuilder::default();
        builder.push(&Entry::at(&entry.into(), 0).unwrap());
        let mut payload = Vec::new();
        builder.finish(&mut payload);
        Block::parse(payload.into()).unwrap()
    }

    #[test]
    fn holds_no_more_than_its_limit_and_keeps_what_is_used() {
        let cache = Cache::new(16 * 20_000);
        cache.insert((1, 8), block(4000));
        for at in 1..1000 {
            assert!(cache.get((1, 8)).is_some(), "what was used all the time is gone after {at}");
            cache.insert((2, at * 8), block(4000));
        }
        for shard in &cache.shards {
            let shard = shard.lock().unwrap();
            assert!(shard.bytes <= 20_000);
            assert_eq!(shard.bytes, shard.slots.iter().map(|slot| slot.block.size()).sum::<usize>());
            assert_eq!(shard.places.len(), shard.slots.len());
            assert!(shard.slots.iter().enumerate().all(|(i, slot)| shard.places[&slot.place] == i));
        }
    }

    #[test]
    fn a_large_block_is_not_taken() {
        let cache = Cache::new(16 * 20_000);
        cache.insert((1, 8), block(10_000));
        assert!(cache.get((1, 8)).is_none());
    }
}
