//! The index of a table: where its blocks lie, held in memory.
//!
//! A payload is the number of blocks (u32), then for each its place (u64), the bytes of its frame
//! (u32), the length of its separator (u16) and the separator: the shortest text that no key of the
//! block is before and all keys of the block before are before. Little endian.

use bytes::Bytes;

use super::entry::{u16_at, u32_at, u64_at};

const ITEM: usize = 14;

/// Where the blocks lie, in order.
///
/// Searched is a tree over the *heads* of separators: 8 bytes each behind what all of a node share,
/// side by side in memory. So a search waits for some three pieces of memory, where one of the
/// separators themselves would wait for one at nearly every step.
#[derive(Debug, Default)]
pub(super) struct Index {
    separators: Vec<u8>,
    items: Vec<Item>,
    /// The root's last. Entry `i` of a level is for the first of node `i` in the level below, and
    /// in the lowest for block `i`.
    levels: Vec<Level>,
}

/// How many entries a node has, unless it is the last of its level.
const NODE: usize = 64;

/// Nodes one behind the other.
#[derive(Debug)]
struct Level {
    heads: Vec<u64>,
    /// Of each node, how many bytes its separators begin with alike.
    shared: Vec<u16>,
}

/// Collects the places of blocks, in order.
#[derive(Debug, Default)]
pub(super) struct IndexBuilder {
    separators: Vec<u8>,
    items: Vec<Item>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    separator: u32,
    separator_len: u16,
    len: u32,
    at: u64,
}

impl Item {
    fn separator<'a>(&self, separators: &'a [u8]) -> &'a [u8] {
        &separators[self.separator as usize..][..usize::from(self.separator_len)]
    }
}

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockAt {
    pub(super) at: u64,
    /// Bytes of the whole frame; 0 if there should be a block, but it is damaged.
    pub(super) len: u32,
}

impl IndexBuilder {
    pub(super) fn push(&mut self, separator: &[u8], block: BlockAt) {
        let start = self.separators.len() as u32;
        self.separators.extend_from_slice(separator);
        self.items.push(Item {
            separator: start,
            separator_len: separator.len() as u16,
            len: block.len,
            at: block.at,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.items.len() as u32).to_le_bytes());
        for item in &self.items {
            out.extend_from_slice(&item.at.to_le_bytes());
            out.extend_from_slice(&item.len.to_le_bytes());
            out.extend_from_slice(&item.separator_len.to_le_bytes());
            out.extend_from_slice(item.separator(&self.separators));
        }
    }

    pub(super) fn finish(self) -> Index {
        let Self { separators, items } = self;
        let mut index = Index {
            separators,
            items,
            levels: Vec::new(),
        };
        let mut step = 1;
        while step == 1 || index.items.len() > step {
            let level = index.level(step);
            index.levels.push(level);
            step *= NODE;
        }
        index
    }
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn block(&self, number: usize) -> Option<BlockAt> {
        self.items.get(number).map(|item| BlockAt {
            at: item.at,
            len: item.len,
        })
    }

    /// The number of the block that has `key` if any has; the first one for what is before all.
    pub(super) fn find(&self, key: &[u8]) -> usize {
        let (mut node, mut step) = (0, NODE.pow(self.levels.len() as u32));
        for level in self.levels.iter().rev() {
            step /= NODE;
            node = self.find_in(level, step, node, key);
        }
        node
    }

    /// The last entry of a node whose separator is not behind `key`, or its first entry.
    fn find_in(&self, level: &Level, step: usize, node: usize, key: &[u8]) -> usize {
        let first = node * NODE;
        let end = (first + NODE).min(level.heads.len());
        // Within a node, what it is told apart by begins at its second entry: that `key` is not
        // before the first is known.
        let Some(heads) = level.heads.get(first + 1..end) else {
            return first;
        };
        let shared = usize::from(level.shared[node]);
        if self.is_open(level, node) && !heads.is_empty() {
            let common = &self.separator((first + 1) * step)[..shared];
            if !key.starts_with(common) {
                return if key < common { first } else { end - 1 };
            }
        }
        let wanted = head(key.get(shared..).unwrap_or_default());
        let (less, same) = heads.iter().fold((0, 0), |(less, same), head| {
            (
                less + usize::from(*head < wanted),
                same + usize::from(*head == wanted),
            )
        });
        // The same head may be a separator's that goes on otherwise.
        let (mut low, mut high) = (first + less, first + less + same);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.separator(middle * step) <= key {
                low = middle
            } else {
                high = middle - 1
            }
        }
        low
    }

    /// Whether a key that belongs into this node need not begin with what its separators share:
    /// keys in other nodes lie between two separators that do.
    fn is_open(&self, level: &Level, node: usize) -> bool {
        node == 0 || node + 1 == level.shared.len()
    }

    /// The level whose entries are for every `step`-th block.
    fn level(&self, step: usize) -> Level {
        let entries = self.items.len().div_ceil(step);
        let mut level = Level {
            heads: Vec::with_capacity(entries),
            shared: vec![0; entries.div_ceil(NODE)],
        };
        for node in 0..level.shared.len() {
            let (first, end) = (node * NODE, ((node + 1) * NODE).min(entries));
            let (from, to) = if self.is_open(&level, node) {
                ((first + 1).min(end - 1), end - 1)
            } else {
                (first, end)
            };
            // In order, so that what these two share all between them share.
            let shared = common(self.separator(from * step), self.separator(to * step));
            level.shared[node] = shared as u16;
            level.heads.extend((first..end).map(|entry| {
                head(
                    self.separator(entry * step)
                        .get(shared..)
                        .unwrap_or_default(),
                )
            }));
        }
        level
    }

    fn separator(&self, number: usize) -> &[u8] {
        self.items
            .get(number)
            .map_or(&[], |item| item.separator(&self.separators))
    }

    /// `None` if this is no index.
    pub(super) fn parse(payload: &Bytes) -> Option<Self> {
        let (count, mut rest) = payload.split_at_checked(4)?;
        let mut index = IndexBuilder::default();
        for _ in 0..u32_at(count, 0) {
            let (item, more) = rest.split_at_checked(ITEM)?;
            let (separator, more) = more.split_at_checked(usize::from(u16_at(item, 12)))?;
            index.push(
                separator,
                BlockAt {
                    at: u64_at(item, 0),
                    len: u32_at(item, 8),
                },
            );
            rest = more;
        }
        rest.is_empty().then(|| index.finish())
    }
}

/// The first 8 bytes, so that heads are ordered as texts are, as far as they tell them apart.
pub(super) fn head(text: &[u8]) -> u64 {
    let mut head = [0; 8];
    match text.first_chunk() {
        Some(first) => head = *first,
        None => head[..text.len()].copy_from_slice(text),
    }
    u64::from_be_bytes(head)
}

/// How many bytes two texts begin with alike.
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The shortest beginning of `key` that is not before it and that `before` is before. `before` must
/// be before `key`.
pub(super) fn separator<'a>(before: &[u8], key: &'a [u8]) -> &'a [u8] {
    &key[..key.len().min(common(before, key) + 1)]
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn built(separators: &[Vec<u8>]) -> Index {
        let mut builder = IndexBuilder::default();
        for (at, separator) in (0..).zip(separators) {
            builder.push(separator, BlockAt { at, len: 1 });
        }
        builder.finish()
    }

    proptest! {
        /// Several levels, and stores side by side, as one database has them.
        #[test]
        fn finds_among_many(keys in vec((0..3_usize, vec(prop::sample::select(b"abcd".to_vec()), 0..9)), 20), count in 1..9000_usize) {
            let of = |store: usize| [&b"allocation/zQm"[..], b"allocation/zQn", b"claim/bafyrei"][store];
            let mut texts: Vec<Vec<u8>> = (0..count)
                .map(|i| [of(i % 3), &(0..8).map(|at| b"abcd"[(i.wrapping_mul(0x9E37_79B9) >> (3 * at)) & 3]).collect::<Vec<u8>>()].concat())
                .collect();
            texts.sort();
            texts.dedup();
            texts[0] = Vec::new();
            let index = built(&texts);
            for key in keys.iter().map(|(store, key)| [of(*store), key].concat()).chain(texts.iter().cloned()) {
                prop_assert_eq!(index.find(&key), texts.partition_point(|text| *text <= key).saturating_sub(1));
            }
        }

        /// Texts of few letters, NUL among them, behind what all share: many heads are the same,
        /// and some end early.
        #[test]
        fn finds_what_a_search_of_whole_separators_finds(
            shared in vec(prop::sample::select(b"ab".to_vec()), 0..4),
            texts in btree_set(vec(prop::sample::select(b"\0ab".to_vec()), 0..12), 0..40),
            keys in vec(vec(prop::sample::select(b"\0ab".to_vec()), 0..16), 20),
        ) {
            let mut separators: Vec<Vec<u8>> = texts.iter().map(|text| [&shared[..], text].concat()).collect();
            separators.insert(0, Vec::new());
            separators.dedup();
            let index = built(&separators);
            for key in keys.iter().flat_map(|key| [key.clone(), [&shared[..], key].concat()]).chain(separators.iter().cloned()) {
                let there = separators.partition_point(|separator| *separator <= key).saturating_sub(1);
                prop_assert_eq!(index.find(&key), there, "{:?} among {:?}", key, separators);
            }
        }
    }

    #[test]
    fn an_index_of_nothing_and_of_one() {
        assert_eq!(Index::default().find(b"key"), 0);
        assert_eq!(Index::default().block(0), None);
        assert_eq!(built(&[b"m".to_vec()]).find(b"a"), 0);
        assert_eq!(built(&[b"m".to_vec()]).find(b"z"), 0);
    }
}
