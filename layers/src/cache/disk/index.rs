//! Which blocks are on disk, and which of them make room for others.
//!
//! The order of eviction is that of SIEVE (Zhang et al., NSDI 2024): a hand passes over the blocks
//! from the oldest to the newest, spares those that were used since it last came by, and takes the
//! others. Where it found none to take, it does not pass again until a lease ends.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::format::DiskId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockState {
    Live,
    /// Not to be read. Its bytes count until it is gone.
    Dead,
    /// It is being deleted.
    Leaving,
}

#[derive(Debug)]
struct Slot {
    id: DiskId,
    size: u64,
    since: Instant,
    place: u64,
    used: bool,
    state: BlockState,
}

/// What is known of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Live,
    /// It was, and is to be removed.
    Old,
    Not,
}

#[derive(Debug, Default)]
pub(super) struct Index {
    slots: HashMap<u128, Slot>,
    /// By the order in which they came.
    order: BTreeMap<u64, u128>,
    objects: HashMap<u128, usize>,
    bytes: u64,
    next: u64,
    hand: u64,
    /// Blocks at places below this one are leased or leaving, as long as no lease ends: the hand
    /// found so when this many had ended.
    kept_below: (u64, u64),
}

impl Index {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether any block of this object may be there.
    pub(super) fn has_object(&self, object: u128) -> bool {
        self.objects.contains_key(&object)
    }

    pub(super) fn has(&self, id: &DiskId) -> bool {
        self.slots.contains_key(&id.block)
    }

    pub(super) fn is_live(&self, id: &DiskId) -> bool {
        let slot = self.slots.get(&id.block);
        slot.is_some_and(|slot| slot.state == BlockState::Live)
    }

    /// Looks a block up that is about to be read.
    pub(super) fn look_up(&mut self, id: &DiskId, max_age: Duration) -> Found {
        match self.slots.get_mut(&id.block) {
            Some(slot) if slot.state == BlockState::Live => {
                if slot.since.elapsed() >= max_age {
                    slot.state = BlockState::Dead;
                    self.kept_below.1 = self.kept_below.1.min(slot.place);
                    return Found::Old;
                }
                slot.used = true;
                Found::Live
            }
            _ => Found::Not,
        }
    }

    /// Adds a block, in place of one of its name.
    pub(super) fn insert(&mut self, id: DiskId, size: u64, since: Instant) {
        self.remove(&id);
        let place = self.next;
        self.next += 1;
        self.order.insert(place, id.block);
        *self.objects.entry(id.object).or_default() += 1;
        self.bytes += size;
        let slot = Slot {
            id,
            size,
            since,
            place,
            used: false,
            state: BlockState::Live,
        };
        self.slots.insert(id.block, slot);
    }

    pub(super) fn remove(&mut self, id: &DiskId) {
        let Some(slot) = self.slots.remove(&id.block) else {
            return;
        };
        self.order.remove(&slot.place);
        self.bytes -= slot.size;
        if let Some(count) = self.objects.get_mut(&slot.id.object) {
            *count -= 1;
            if *count == 0 {
                self.objects.remove(&slot.id.object);
            }
        }
    }

    /// From now on the block is not read. It counts until it is removed.
    pub(super) fn kill(&mut self, id: &DiskId) {
        if let Some(slot) = self.slots.get_mut(&id.block) {
            slot.state = BlockState::Dead;
            self.kept_below.1 = self.kept_below.1.min(slot.place);
        }
    }

    /// Blocks that were being deleted when that was broken off are to be deleted again.
    pub(super) fn take_back_leaving(&mut self) {
        for slot in self.slots.values_mut() {
            if slot.state == BlockState::Leaving {
                slot.state = BlockState::Dead;
                self.kept_below.1 = self.kept_below.1.min(slot.place);
            }
        }
    }

    /// The next blocks to delete, at most `most`, until so few bytes and blocks are left.
    /// `released` leases had ended before.
    pub(super) fn take_victims(
        &mut self,
        (bytes, blocks): (u64, usize),
        most: usize,
        released: u64,
        is_leased: impl Fn(u128) -> bool,
    ) -> Vec<DiskId> {
        let mut victims = Vec::new();
        let (mut left_bytes, mut left_blocks) = (self.bytes, self.slots.len());
        if self.kept_below.0 != released {
            self.kept_below = (released, 0);
        }
        // Once round clears that they were used, another time takes them. By the third start from
        // the oldest the hand was at each twice.
        let (mut steps, mut starts) = (2 * self.slots.len(), 0);
        while (left_bytes > bytes || left_blocks > blocks) && victims.len() < most {
            let step = self.step(&mut starts).filter(|_| steps > 0 && starts < 3);
            let Some(slot) = step else {
                self.kept_below.1 = self.next;
                break;
            };
            steps -= 1;
            match slot.state {
                BlockState::Leaving => continue,
                BlockState::Live if is_leased(slot.id.object) => continue,
                BlockState::Live if slot.used => {
                    slot.used = false;
                    continue;
                }
                BlockState::Live | BlockState::Dead => slot.state = BlockState::Leaving,
            }
            left_bytes -= slot.size;
            left_blocks -= 1;
            victims.push(slot.id);
        }
        victims
    }

    /// The block under the hand, which moves on, among those that may be taken. Counts when it
    /// starts from the oldest.
    fn step(&mut self, starts: &mut u32) -> Option<&mut Slot> {
        let least = self.kept_below.1;
        let mut next = self.order.range(self.hand.max(least)..).next();
        if next.is_none() {
            *starts += 1;
            next = self.order.range(least..).next();
        }
        let (place, block) = next?;
        self.hand = place + 1;
        self.slots.get_mut(block)
    }

    /// The blocks that are too old or dead, at most `most`.
    pub(super) fn take_old(&mut self, max_age: Duration, most: usize) -> Vec<DiskId> {
        let mut old = Vec::new();
        for slot in self.slots.values_mut() {
            if old.len() == most {
                break;
            }
            if slot.state == BlockState::Dead
                || (slot.state == BlockState::Live && slot.since.elapsed() >= max_age)
            {
                slot.state = BlockState::Leaving;
                old.push(slot.id);
            }
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const AGE: Duration = Duration::from_secs(60);

    fn id(n: u128) -> DiskId {
        DiskId {
            object: n / 2,
            block: n,
        }
    }

    fn with(count: u128) -> Index {
        let mut index = Index::default();
        for n in 0..count {
            index.insert(id(n), 10, Instant::now());
        }
        index
    }

    #[tokio::test(start_paused = true)]
    async fn those_not_used_go_first_and_the_leased_not_at_all() {
        let mut index = with(10);
        for n in [0, 2, 4] {
            assert_eq!(index.look_up(&id(n), AGE), Found::Live);
        }
        let leased = |object| object == 3;
        // 0, 2 and 4 were used, 6 and 7 are leased.
        let first = index.take_victims((60, 10), 100, 0, leased);
        assert_eq!(first, [id(1), id(3), id(5), id(8)]);
        for id in &first {
            assert_eq!(index.look_up(id, AGE), Found::Not);
            index.remove(id);
        }
        assert_eq!((index.bytes(), index.len()), (60, 6));
        let all = index.take_victims((0, 0), 100, 0, leased);
        assert_eq!(all, [id(9), id(0), id(2), id(4)]);
        // One that could not be deleted counts, and is tried again.
        assert_eq!(index.bytes(), 60);
        index.kill(&id(9));
        assert_eq!(index.take_victims((0, 0), 100, 0, leased), [id(9)]);
        assert!(index.has_object(0) && !index.has_object(10));
    }

    #[tokio::test(start_paused = true)]
    async fn the_hand_does_not_pass_over_leased_blocks_again() {
        let mut index = with(1000);
        let asked = Cell::new(0);
        let take = |index: &mut Index, released, free: u128| {
            asked.set(0);
            let victims = index.take_victims((0, 0), 100, released, |object| {
                asked.set(asked.get() + 1);
                object != free / 2
            });
            (victims, asked.get())
        };
        let none = 5000;
        assert_eq!(take(&mut index, 0, none), (vec![], 2000));
        assert_eq!(take(&mut index, 0, none), (vec![], 0));
        // What comes later is looked at, and taken.
        index.insert(id(2000), 10, Instant::now());
        assert_eq!(index.look_up(&id(2000), AGE), Found::Live);
        assert_eq!(take(&mut index, 0, 2000), (vec![id(2000)], 2));
        index.remove(&id(2000));
        assert_eq!(take(&mut index, 0, none), (vec![], 0));
        // So is what is dead since, and all once a lease has ended.
        index.kill(&id(998));
        let (victims, asked) = take(&mut index, 0, none);
        assert_eq!(victims, [id(998)]);
        assert!(asked <= 4, "{asked}");
        assert_eq!(take(&mut index, 1, 7).0, [id(6), id(7)]);
    }

    #[tokio::test(start_paused = true)]
    async fn old_blocks_are_not_read_and_are_taken() {
        let mut index = with(3);
        tokio::time::advance(AGE).await;
        index.insert(id(1), 10, Instant::now());
        assert_eq!(index.look_up(&id(0), AGE), Found::Old);
        assert_eq!(index.look_up(&id(0), AGE), Found::Not);
        assert_eq!(index.look_up(&id(1), AGE), Found::Live);
        let mut old = index.take_old(AGE, 100);
        old.sort_by_key(|id| id.block);
        assert_eq!(old, [id(0), id(2)]);
        assert_eq!(index.take_old(AGE, 100), []);
        index.take_back_leaving();
        assert_eq!(index.take_old(AGE, 100).len(), 2);
    }
}
