//! The hash tree of groups, and where its nodes stand.

use std::ops::Range;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// A group's content, in bytes.
pub(super) const GROUP: u64 = 16 * 1024;

/// The length of what stands at the end of an object, in bytes.
pub(super) const TRAILER: usize = 64;

const MAGIC: [u8; 8] = [0x89, b'S', b'H', b'V', b'\r', b'\n', 0x1a, 1];

/// A node of the tree, or the hash.
pub(super) type Node = [u8; 32];

const NODE: u64 = 32;

/// The number of groups of a content: one at least.
pub(super) fn groups(size: u64) -> u64 {
    size.div_ceil(GROUP).max(1)
}

/// The number of nodes in each level, from that of the groups to the two below the root.
fn levels(groups: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(groups), |len| Some(len.div_ceil(2))).take_while(|len| *len > 1)
}

/// The length of the tree of a content, in bytes.
pub(super) fn tree_len(size: u64) -> u64 {
    levels(groups(size)).sum::<u64>() * NODE
}

/// The size of the inner object.
pub(super) fn stored_len(size: u64, outboards: bool) -> u64 {
    size + if outboards { tree_len(size) } else { 0 } + TRAILER as u64
}

/// The size of the content of an inner object; `None` if no content gives one of this size.
pub(super) fn content_len(stored: u64, outboards: bool) -> Option<u64> {
    let most = stored.checked_sub(TRAILER as u64)?;
    if !outboards {
        return Some(most);
    }
    // Too large by less than the tree, which grows by at most 1/256 of the content.
    let (mut low, mut high) = (most - most / 128 - most.min(64), most);
    while low < high {
        let middle = low + (high - low) / 2;
        if stored_len(middle, true) < stored {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (stored_len(low, true) == stored).then_some(low)
}

/// The hash of a group that is not the only one.
pub(super) fn hash_group(place: u64, content: &[u8]) -> Node {
    blake3::Hasher::new()
        .set_input_offset(place * GROUP)
        .update(content)
        .finalize_non_root()
}

/// The level above.
fn parents(level: &[Node]) -> Vec<Node> {
    level
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => merge_subtrees_non_root(left, right, Mode::Hash),
            alone => alone[0],
        })
        .collect()
}

/// Hashes a content as it streams.
#[derive(Debug)]
pub(super) struct TreeHasher {
    hasher: blake3::Hasher,
    received: u64,
    /// The groups that are complete, unless there is only one.
    nodes: Vec<Node>,
    size: u64,
}

impl TreeHasher {
    /// For a content of `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            received: 0,
            nodes: Vec::new(),
            size,
        }
    }

    pub(super) fn update(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let room = GROUP - self.received % GROUP;
            let (now, later) = piece.split_at(piece.len().min(room as usize));
            self.hasher.update(now);
            self.received += now.len() as u64;
            piece = later;
            let ended = self.received.is_multiple_of(GROUP) || self.received == self.size;
            if ended && self.size > GROUP {
                self.nodes.push(self.hasher.finalize_non_root());
                self.hasher = blake3::Hasher::new();
                if self.received < self.size {
                    self.hasher.set_input_offset(self.received);
                }
            }
        }
    }

    /// The nodes of the tree, in their order, and the hash.
    pub(super) fn finish(self) -> (Vec<u8>, Node) {
        if self.size <= GROUP {
            return (Vec::new(), *self.hasher.finalize().as_bytes());
        }
        let mut level = self.nodes;
        let mut tree = level.concat();
        while level.len() > 2 {
            level = parents(&level);
            tree.extend_from_slice(&level.concat());
        }
        let hash = match &level[..] {
            [left, right] => *merge_subtrees_root(left, right, Mode::Hash).as_bytes(),
            // Less than was declared: nothing that could be right.
            _ => Node::default(),
        };
        (tree, hash)
    }
}

/// What stands at the end of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) size: u64,
    pub(super) outboards: bool,
    pub(super) hash: Node,
}

impl Trailer {
    pub(super) fn to_bytes(self) -> [u8; TRAILER] {
        let mut bytes = [0; TRAILER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.size.to_le_bytes());
        bytes[16..24].copy_from_slice(&u64::from(self.outboards).to_le_bytes());
        bytes[24..56].copy_from_slice(&self.hash);
        let sum = blake3::hash(&bytes[..56]);
        bytes[56..].copy_from_slice(&sum.as_bytes()[..8]);
        bytes
    }

    /// The trailer at the end of `bytes`, of an object of this content.
    pub(super) fn parse(bytes: &[u8], size: u64, outboards: bool) -> Result<Self, &'static str> {
        let Some(bytes) = bytes.last_chunk::<TRAILER>() else {
            return Err("it is shorter than a trailer");
        };
        let mut hash = Node::default();
        hash.copy_from_slice(&bytes[24..56]);
        let trailer = |outboards| Self {
            size,
            outboards,
            hash,
        };
        if trailer(outboards).to_bytes() == *bytes {
            return Ok(trailer(outboards));
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let other = Self {
            size: number(8),
            outboards: !outboards,
            hash,
        };
        if other.to_bytes() == *bytes {
            return Err("it was written with another setting of `outboards`");
        }
        Err("its trailer is damaged, or no trailer")
    }
}

/// The nodes that prove some groups.
#[derive(Debug)]
pub(super) struct Proof {
    total: u64,
    groups: Range<u64>,
}

impl Proof {
    /// For these groups of a content of `size` bytes.
    pub(super) fn new(size: u64, groups_of: Range<u64>) -> Self {
        Self {
            total: groups(size),
            groups: groups_of,
        }
    }

    /// Where the nodes stand in the tree, in bytes.
    pub(super) fn places(&self) -> Vec<Range<u64>> {
        let mut places = Vec::new();
        let (mut low, mut high) = (self.groups.start, self.groups.end);
        let mut at = 0;
        for (level, len) in levels(self.total).enumerate() {
            let left = low - low % 2;
            let right = (high + high % 2).min(len);
            if level == 0 {
                places.push(at + left * NODE..at + right * NODE);
            } else {
                if left < low {
                    places.push(at + left * NODE..at + low * NODE);
                }
                if high < right {
                    places.push(at + high * NODE..at + right * NODE);
                }
            }
            at += len * NODE;
            (low, high) = (left / 2, right.div_ceil(2));
        }
        places
    }

    /// The nodes of the groups, if those at [`Proof::places`] lead to the hash.
    pub(super) fn verify(&self, parts: &[impl AsRef<[u8]>], hash: &Node) -> Option<Vec<Node>> {
        let mut parts = parts.iter().map(|part| nodes_of(part.as_ref()));
        let first = parts.next()??;
        let left = self.groups.start % 2;
        let own =
            first.get(left as usize..(left + self.groups.end - self.groups.start) as usize)?;
        let own = own.to_vec();
        let mut nodes = first;
        let (mut low, mut high) = (self.groups.start, self.groups.end);
        for (level, len) in levels(self.total).enumerate() {
            let left = low - low % 2;
            let right = (high + high % 2).min(len);
            if level > 0 {
                if left < low {
                    nodes.insert(0, *parts.next()??.first()?);
                }
                if high < right {
                    nodes.push(*parts.next()??.first()?);
                }
            }
            if len == 2 {
                let [left, right] = &nodes[..] else {
                    return None;
                };
                let root = merge_subtrees_root(left, right, Mode::Hash);
                return (root == *hash).then_some(own);
            }
            nodes = parents(&nodes);
            (low, high) = (left / 2, right.div_ceil(2));
        }
        None
    }
}

fn nodes_of(bytes: &[u8]) -> Option<Vec<Node>> {
    let (nodes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| nodes.to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(size: u64) -> Vec<u8> {
        (0..size).map(|n| (n / 3 % 251) as u8).collect()
    }

    fn hashed(content: &[u8]) -> (Vec<u8>, Node) {
        let mut hasher = TreeHasher::new(content.len() as u64);
        for piece in content.chunks(1000) {
            hasher.update(piece);
        }
        hasher.finish()
    }

    #[test]
    fn the_hash_is_blake3() {
        for groups in 0..20 {
            for around in [-1, 0, 1] {
                let size = (groups * GROUP).saturating_add_signed(around);
                let content = content(size);
                let (tree, hash) = hashed(&content);
                assert_eq!(hash, *blake3::hash(&content).as_bytes(), "{size}");
                assert_eq!(tree.len() as u64, tree_len(size), "{size}");
            }
        }
    }

    proptest! {
        #[test]
        fn sizes_are_found_again(size in 0..1_u64 << 50, small in 0..1_000_000_u64) {
            for size in [size, small] {
                for outboards in [true, false] {
                    let stored = stored_len(size, outboards);
                    prop_assert_eq!(content_len(stored, outboards), Some(size));
                    prop_assert!(stored_len(size + 1, outboards) > stored);
                }
            }
        }

        #[test]
        fn any_size_is_some_or_none(stored in 0..1_u64 << 63) {
            for outboards in [true, false] {
                if let Some(size) = content_len(stored, outboards) {
                    prop_assert_eq!(stored_len(size, outboards), stored);
                }
            }
        }

        /// Every run of groups is proved, and no flip of a node passes.
        #[test]
        fn proofs_hold_and_break(
            size in GROUP + 1..20 * GROUP,
            run in (0..20_u64, 1..20_u64),
            flip in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u8),
        ) {
            let content = content(size);
            let (tree, hash) = hashed(&content);
            let first = run.0 % groups(size);
            let proof = Proof::new(size, first..(first + run.1).min(groups(size)));
            let cut = |place: &Range<u64>| tree[place.start as usize..place.end as usize].to_vec();
            let mut parts: Vec<_> = proof.places().iter().map(cut).collect();
            let nodes = proof.verify(&parts, &hash).unwrap();
            for (node, place) in nodes.iter().zip(proof.groups.clone()) {
                let at = (place * GROUP) as usize;
                let group = &content[at..content.len().min(at + GROUP as usize)];
                prop_assert_eq!(*node, hash_group(place, group));
            }
            let part = flip.0.index(parts.len());
            let byte = flip.1.index(parts[part].len());
            parts[part][byte] ^= 1 << flip.2;
            prop_assert_eq!(proof.verify(&parts, &hash), None);
        }
    }
}
