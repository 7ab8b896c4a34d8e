//! Blocks of tables that were read lately, each checked when it came in.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use super::block::Block;

/// Slots that are made together, when the first of them is needed.
const CHUNK: usize = 1024;

/// What a block takes up at least, in bytes, as the number of slots goes.
const LEAST: usize = 2048;

/// The number of a block's table and its own in there.
type Place = (u64, u32);

/// Up to so many bytes of blocks. What was not used since the hand last passed goes first.
///
/// A table keeps for each of its blocks where it was put in here last (a [`Known`]), so that
/// finding it takes no search. Whether it is still there the slot tells.
pub(super) struct Cache {
    chunks: Box<[OnceLock<Chunk>]>,
    limit: usize,
    clock: Mutex<Clock>,
}

/// Where a block may be in the cache.
#[derive(Debug, Default)]
pub(super) struct Known(AtomicU32);

struct Chunk {
    slots: Box<[Slot]>,
    /// Which of them were used since the hand passed.
    used: Box<[AtomicBool]>,
}

/// As large as a line of the processor's cache: a look takes one.
#[derive(Default)]
#[repr(align(64))]
struct Slot(RwLock<Option<(Place, Block)>>);

const _: () = assert!(size_of::<usize>() != 8 || size_of::<Slot>() == 64);

#[derive(Default)]
struct Clock {
    /// How many slots were ever used.
    reached: usize,
    /// Which of them are empty.
    empty: Vec<u32>,
    hand: usize,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(bytes: usize) -> Self {
        let chunks = bytes.div_ceil(LEAST).div_ceil(CHUNK);
        Self {
            chunks: std::iter::repeat_with(OnceLock::new).take(chunks).collect(),
            limit: bytes,
            clock: Mutex::default(),
        }
    }

    /// What `look` makes of the block at `place`, if that is here. Other readers are not held up
    /// meanwhile.
    pub(super) fn with<R>(
        &self,
        known: &Known,
        place: Place,
        look: impl FnOnce(&Block) -> R,
    ) -> Option<R> {
        let (slot, used) = self.slot((known.0.load(Ordering::Acquire) as usize).checked_sub(1)?)?;
        let held = slot.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, block) = held.as_ref().filter(|(found, _)| *found == place)?;
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
        Some(look(block))
    }

    pub(super) fn insert(&self, known: &Known, place: Place, block: Block) {
        // One large record must not drive out everything else.
        let size = block.size();
        if size > self.limit / 64 {
            return;
        }
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.with(known, place, |_| ()).is_some() {
            // Another reader was faster.
            return;
        }
        let Some(number) = self.make_room(&mut clock, size) else {
            return;
        };
        let Some((slot, used)) = self.slot(number as usize) else {
            return;
        };
        used.store(false, Ordering::Relaxed);
        *slot.0.write().unwrap_or_else(PoisonError::into_inner) = Some((place, block));
        clock.bytes += size;
        known.0.store(number + 1, Ordering::Release);
    }

    /// An empty slot, with room for so many bytes.
    fn make_room(&self, clock: &mut Clock, size: usize) -> Option<u32> {
        while clock.bytes + size > self.limit
            || (clock.empty.is_empty() && clock.reached == self.chunks.len() * CHUNK)
        {
            if clock.bytes == 0 {
                return None;
            }
            clock.hand = (clock.hand + 1) % clock.reached;
            let (slot, used) = self.slot(clock.hand)?;
            if used.swap(false, Ordering::Relaxed) {
                continue;
            }
            let gone = slot
                .0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some((_, block)) = gone {
                clock.bytes -= block.size();
                clock.empty.push(clock.hand as u32);
            }
        }
        clock.empty.pop().or_else(|| {
            clock.reached += 1;
            Some(clock.reached as u32 - 1)
        })
    }

    fn slot(&self, number: usize) -> Option<(&Slot, &AtomicBool)> {
        let chunk = self.chunks.get(number / CHUNK)?.get_or_init(Chunk::default);
        Some((
            chunk.slots.get(number % CHUNK)?,
            chunk.used.get(number % CHUNK)?,
        ))
    }
}

impl Default for Chunk {
    fn default() -> Self {
        fn make<T: Default>() -> Box<[T]> {
            std::iter::repeat_with(T::default).take(CHUNK).collect()
        }
        Self {
            slots: make(),
            used: make(),
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
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
        builder.push(Entry::at(&entry.into(), 0).unwrap().by_ref());
        let mut payload = Vec::new();
        builder.finish(&mut payload);
        Block::parse(payload, 0).unwrap()
    }

    fn has(cache: &Cache, known: &Known, place: Place) -> bool {
        cache.with(known, place, |_| ()).is_some()
    }

    fn held(cache: &Cache) -> impl Iterator<Item = usize> {
        let slots = cache
            .chunks
            .iter()
            .filter_map(OnceLock::get)
            .flat_map(|chunk| &chunk.slots);
        slots.filter_map(|slot| {
            slot.0
                .read()
                .unwrap()
                .as_ref()
                .map(|(_, block)| block.size())
        })
    }

    #[test]
    fn holds_no_more_than_its_limit_and_keeps_what_is_used() {
        let (cache, used) = (Cache::new(320_000), Known::default());
        let others: Vec<Known> = std::iter::repeat_with(Known::default).take(1000).collect();
        cache.insert(&used, (1, 8), block(4000));
        for (at, other) in others.iter().enumerate() {
            assert!(
                has(&cache, &used, (1, 8)),
                "what was used all the time is gone after {at}"
            );
            cache.insert(other, (2, at as u32), block(4000));
        }
        let clock = cache.clock.lock().unwrap();
        assert_eq!(clock.bytes, held(&cache).sum::<usize>());
        assert!(clock.bytes <= 320_000 && clock.bytes > 300_000);
        assert_eq!(clock.reached, held(&cache).count() + clock.empty.len());
        assert_eq!(
            others
                .iter()
                .enumerate()
                .filter(|(at, other)| has(&cache, other, (2, *at as u32)))
                .count()
                + 1,
            held(&cache).count()
        );
    }

    #[test]
    fn many_small_blocks_take_no_more_slots_than_there_are() {
        let cache = Cache::new(CHUNK * LEAST);
        let known: Vec<Known> = std::iter::repeat_with(Known::default)
            .take(3 * CHUNK)
            .collect();
        for (at, known) in known.iter().enumerate() {
            cache.insert(known, (1, at as u32), block(1));
        }
        assert_eq!(held(&cache).count(), CHUNK);
    }

    #[test]
    fn what_took_its_slot_is_not_taken_for_it() {
        let (cache, first, second) = (Cache::new(64 * 4100), Known::default(), Known::default());
        cache.insert(&first, (1, 8), block(4000));
        second
            .0
            .store(first.0.load(Ordering::Relaxed), Ordering::Relaxed);
        assert!(has(&cache, &first, (1, 8)) && !has(&cache, &second, (1, 16)));
    }

    #[test]
    fn a_large_block_is_not_taken_and_no_cache_is_one_too() {
        let (cache, known) = (Cache::new(320_000), Known::default());
        cache.insert(&known, (1, 8), block(10_000));
        assert!(!has(&cache, &known, (1, 8)));
        let none = Cache::new(0);
        none.insert(&known, (1, 8), block(1));
        assert!(!has(&none, &known, (1, 8)));
    }
}
