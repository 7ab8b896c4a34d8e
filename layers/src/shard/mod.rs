//! Objects spread over several stores by their keys.
//!
//! Each key belongs to one shard, its *owner*, by weighted rendezvous hashing: every shard gets a
//! score for the key, and the best score wins. So an added shard takes its share from all others,
//! and no other object moves.
//!
//! | operation | requests of the inner stores if [settled](ShardOptions::settled) | otherwise | memory |
//! |---|---|---|---|
//! | put | one put to the owner | then a delete to every other shard (none if [`content_addressed`][c]) | as the inner store's |
//! | put under a condition | the same | besides, heads of the other shards, twice | |
//! | get, head | one to the owner | then, if it is not there, one to each other shard in the order of their scores | as the inner store's |
//! | delete | one to the owner | one to each shard, the owner last | |
//! | list | one listing of each shard, merged in order | the same | a page of each shard |
//! | [`ShardStore::rebalance`] | | one listing of each shard; for each object that moves a get, a put, some heads and a delete | a piece of each object that moves |
//!
//! A crash loses nothing acknowledged. In the middle of a put or of a move it can leave a second
//! copy under a key: the one in the shard of the better score is the object, and `rebalance`
//! removes the other.
//!
//! # Changing the shards
//!
//! A store opened with other shards than before is not settled: objects lie where the old shards
//! say. It finds them there, and [`ShardStore::rebalance`] moves them while others read and write.
//! To remove a shard, open the store with its weight 0, rebalance, and then open it without that
//! shard. All processes must use the new shards before one of them rebalances. An object that moves
//! gets a new ETag and a new time.
//!
//! # The hash
//!
//! The score of the shard named *n* with weight *w* for the key *k* is −log₂(*h* / 2⁶⁴) / *w*,
//! where *h* is the 64-bit XXH3 with seed 0 of the bytes of *n*, one zero byte and the bytes of
//! *k*, or 1 if that is 0. The lowest score wins; of equal ones, the name that comes first in byte
//! order. The logarithm is computed with integers to 40 binary places (by squaring the 64-bit
//! mantissa, cut off after each step), so it is the same on every machine. Weights are 32-bit
//! integers.
//!
//! | key | owner among `a` 1, `b` 1, `c` 1 | among `a` 1, `b` 1, `c` 4 |
//! |---|---|---|
//! | `key-0` | `b` | `b` |
//! | `key-1` | `b` | `b` |
//! | `key-2` | `a` | `a` |
//! | `key-3` | `a` | `a` |
//! | `a/b` | `c` | `c` |
//! | `鍵` | `a` | `c` |
//!
//! # When another engine is the better answer
//!
//! A shard that is lost takes its objects with it. Where disks or machines come and go, or objects
//! need copies, a cluster that places and repairs them by itself (Garage, Ceph, a cloud's own
//! service) is the better answer, and storehouse's S3 backend works with it.
//!
//! [c]: storehouse_objectstore::PutOptions::content_addressed

mod options;
mod place;
mod rebalance;
mod shared;
mod store;

pub use options::{Shard, ShardOptions};
pub use rebalance::Rebalanced;
pub use store::ShardStore;
