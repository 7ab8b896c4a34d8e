//! Random stacks of layers: what holds for each layer must hold for what they make together.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use storehouse_conformance::run;
use storehouse_layers::{
    AttributeStore, CacheDiskOptions, CacheOptions, CacheStore, CompleteStore, CompressedOptions,
    CompressedStore, DedupOptions, DedupStore, EncryptedStore, EncryptionKeys, ExpiringOptions,
    ExpiringStore, Fault, FaultStore, Faults, LimitStore, MirrorOptions, MirrorStore, PrefixStore,
    RetryOptions, RetryStore, Shard, ShardOptions, ShardStore, SizeOptions, SizeStore,
    ThrottleOptions, ThrottleStore, TieredOptions, TieredStore, TimeoutOptions, TimeoutStore,
};
use storehouse_objectstore::{ErrorClass, Memory, Operation};

use super::backends::{Inner, over_exclusive_memories};

/// How many stacks a run tries, unless `STOREHOUSE_STACKS` says otherwise.
const STACKS: usize = 6;

#[derive(Clone, Debug)]
enum Stack {
    Memory,
    /// The second is the disk.
    Cache(Box<Stack>, Box<Stack>),
    Prefix(Box<Stack>),
    Limit(Box<Stack>),
    Throttle(Box<Stack>),
    Timeout(Box<Stack>),
    /// Every few operations fail briefly; `RetryStore` must hide it.
    RetryOverFaults(Box<Stack>),
    /// Records that name no objects.
    Complete(Box<Stack>),
    Compressed(Box<Stack>),
    /// The index, and the store of the chunks.
    Dedup(Box<Stack>, Box<Stack>),
    Encrypted(Box<Stack>),
    /// Nothing expires; sweeps run.
    Expiring(Box<Stack>),
    Mirror(Box<Stack>, Box<Stack>),
    Size(Box<Stack>, Box<Stack>),
    Shard(Box<Stack>, Box<Stack>),
    /// Fast before slow; written back, or not.
    Tiered(Box<Stack>, Box<Stack>, bool),
}

fn stack() -> impl Strategy<Value = Stack> {
    Just(Stack::Memory).prop_recursive(5, 12, 2, |inner| {
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            (one(), one()).prop_map(|(inner, disk)| Stack::Cache(inner, disk)),
            one().prop_map(Stack::Prefix),
            one().prop_map(Stack::Limit),
            one().prop_map(Stack::Throttle),
            one().prop_map(Stack::Timeout),
            one().prop_map(Stack::RetryOverFaults),
            one().prop_map(Stack::Complete),
            one().prop_map(Stack::Compressed),
            (one(), one()).prop_map(|(index, chunks)| Stack::Dedup(index, chunks)),
            one().prop_map(Stack::Encrypted),
            one().prop_map(Stack::Expiring),
            (one(), one()).prop_map(|(a, b)| Stack::Mirror(a, b)),
            (one(), one()).prop_map(|(small, large)| Stack::Size(small, large)),
            (one(), one()).prop_map(|(a, b)| Stack::Shard(a, b)),
            (one(), one(), any::<bool>())
                .prop_map(|(fast, slow, back)| Stack::Tiered(fast, slow, back)),
        ]
    })
}

impl Stack {
    fn leaves(&self) -> usize {
        match self {
            Self::Memory => 1,
            Self::Prefix(inner)
            | Self::Limit(inner)
            | Self::Throttle(inner)
            | Self::Timeout(inner)
            | Self::RetryOverFaults(inner)
            | Self::Complete(inner)
            | Self::Compressed(inner)
            | Self::Encrypted(inner)
            | Self::Expiring(inner) => inner.leaves(),
            Self::Cache(a, b)
            | Self::Dedup(a, b)
            | Self::Mirror(a, b)
            | Self::Size(a, b)
            | Self::Shard(a, b)
            | Self::Tiered(a, b, _) => a.leaves() + b.leaves(),
        }
    }

    /// The stack over these stores, which it takes from the end.
    fn over(&self, leaves: &mut Vec<Inner>) -> Inner {
        match self {
            Self::Memory => leaves.pop().expect("a store for each end"),
            Self::Cache(inner, disk) => {
                let (disk, inner) = (disk.over(leaves), inner.over(leaves));
                // Little memory, so that the disk is used.
                let options = CacheOptions::default().max_bytes(1000);
                let on_disk = CacheDiskOptions::default().max_bytes(10_000);
                Arc::new(CacheStore::with_disk(inner, options, disk, on_disk))
            }
            Self::Prefix(inner) => {
                Arc::new(PrefixStore::new(inner.over(leaves), "under/").expect("a prefix"))
            }
            Self::Limit(inner) => Arc::new(LimitStore::new(inner.over(leaves), 3)),
            Self::Throttle(inner) => {
                let options = ThrottleOptions::default()
                    .read_bytes(1 << 40)
                    .write_operations(1_000_000);
                Arc::new(ThrottleStore::new(inner.over(leaves), options))
            }
            Self::Timeout(inner) => Arc::new(TimeoutStore::with_options(
                inner.over(leaves),
                TimeoutOptions::default(),
            )),
            Self::RetryOverFaults(inner) => {
                let faulty = FaultStore::with_faults(inner.over(leaves), faults());
                let options = RetryOptions::default()
                    .attempts(8)
                    .min_pause(Duration::from_micros(10))
                    .max_pause(Duration::from_micros(50));
                Arc::new(RetryStore::with_options(faulty, options))
            }
            Self::Complete(inner) => {
                let (objects, none) = (Memory::new(), |_: &[u8]| Ok(Vec::new()));
                Arc::new(CompleteStore::new(inner.over(leaves), objects, none))
            }
            Self::Compressed(inner) => {
                let options = CompressedOptions::default().frame_size(16 << 10);
                let inner = inner.over(leaves);
                Arc::new(CompressedStore::new(inner, options).expect("options in their bounds"))
            }
            Self::Dedup(index, chunks) => {
                let (chunks, index) = (chunks.over(leaves), index.over(leaves));
                let options = DedupOptions::default().chunk_size(4096).inline(20);
                Arc::new(DedupStore::new(index, chunks, options).expect("options in their bounds"))
            }
            Self::Encrypted(inner) => {
                let keys = EncryptionKeys::new("2026", [7; 32]).expect("an id");
                Arc::new(EncryptedStore::new(inner.over(leaves), keys))
            }
            Self::Expiring(inner) => {
                let options = ExpiringOptions::default().sweep_every(Duration::from_millis(5));
                let inner = AttributeStore::new(inner.over(leaves));
                Arc::new(ExpiringStore::new(inner, options).expect("it keeps attributes"))
            }
            Self::Mirror(a, b) => {
                let replicas = [a.over(leaves), b.over(leaves)];
                let options = MirrorOptions::default();
                Arc::new(MirrorStore::new(replicas, options).expect("two stores of one order"))
            }
            Self::Size(small, large) => {
                let (large, small) = (large.over(leaves), small.over(leaves));
                let options = SizeOptions::default().largest_small(99);
                Arc::new(SizeStore::new(small, large, options).expect("two stores of one order"))
            }
            Self::Shard(a, b) => {
                let shards = [("a", a.over(leaves)), ("b", b.over(leaves))];
                let shards = shards.map(|(name, store)| Shard::new(name, store));
                Arc::new(ShardStore::new(shards, ShardOptions::default()).expect("two shards"))
            }
            Self::Tiered(fast, slow, back) => {
                let (slow, fast) = (slow.over(leaves), fast.over(leaves));
                // One that is such a store too has keys of its own.
                let fast = PrefixStore::new(fast, "fast-").expect("a prefix");
                let options = TieredOptions::default().write_back(*back);
                Arc::new(TieredStore::with_options(fast, slow, options))
            }
        }
    }
}

/// Brief failures of every operation, before it begins and in the middle of what it gives.
fn faults() -> Faults {
    let faults = Faults::seeded(7);
    for operation in [
        Operation::Get,
        Operation::Put,
        Operation::Head,
        Operation::Delete,
        Operation::List,
    ] {
        faults.add(
            Fault::error(ErrorClass::Transient)
                .on(operation)
                .one_in(6)
                .always(),
        );
    }
    faults.add(Fault::cut(60).on(Operation::Get).one_in(4).always());
    faults.add(Fault::cut(2).on(Operation::List).one_in(4).always());
    faults
}

#[test]
fn random_stacks_are_like_a_sorted_map() {
    let stacks = match std::env::var("STOREHOUSE_STACKS") {
        Ok(text) => text.parse().expect("STOREHOUSE_STACKS is a number"),
        Err(_) => STACKS,
    };
    let mut runner = TestRunner::default();
    for _ in 0..stacks {
        let stack = stack().new_tree(&mut runner).expect("a stack").current();
        // Shown if what follows fails.
        println!("{stack:?}");
        run("model::is_like_a_sorted_map", || async move {
            over_exclusive_memories(stack.leaves(), move |mut leaves| stack.over(&mut leaves))
        });
    }
}
