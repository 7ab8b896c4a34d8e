//! Frames, logs, blocks and manifests, whatever the bytes.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::block::{Block, BlockBuilder};
use super::super::disk::Disk;
use super::super::entry::Entry;
use super::super::fault::Fault;
use super::super::frame::{self, Found, Kind, Origin};
use super::super::index::Index;
use super::super::log::{self, Log};
use super::super::manifest::Manifest;
use super::super::table::{Table, TableId, file_name};
use super::sim::SimDisk;

const ORIGIN: Origin = Origin { store: 77, file: 1 };

fn entry(sequence: u64, key: &[u8], value: Option<&[u8]>) -> Entry {
    let mut bytes = Vec::new();
    Entry::encode(&mut bytes, sequence, 5, key, value);
    Entry::at(&bytes.into(), 0).unwrap()
}

/// A log of one group for each of `groups`, with one record each.
fn log_of(groups: &[Vec<u8>]) -> (Arc<SimDisk>, Vec<u64>) {
    let disk = Arc::new(SimDisk::default());
    let mut log = Log::create(disk.as_ref(), ORIGIN.store, ORIGIN.file, 0, None).unwrap();
    let mut ends = vec![log.synced()];
    for (i, value) in groups.iter().enumerate() {
        let mut group = frame::start();
        Entry::encode(&mut group, i as u64 + 1, 5, b"key", Some(value));
        log.append(&mut group).unwrap();
        log.sync().unwrap();
        ends.push(log.synced());
    }
    (disk, ends)
}

fn replayed(disk: &SimDisk, until: Option<u64>) -> Result<Vec<Bytes>, Fault> {
    let mut values = Vec::new();
    log::replay(disk, ORIGIN, until, None, &mut |entry: Entry| {
        values.push(Bytes::copy_from_slice(entry.value()))
    })?;
    Ok(values)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut anywhere, the newest log gives the groups that are whole; one that another log follows
    /// says that something is missing.
    #[test]
    fn a_cut_log(groups in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..8), cut in any::<prop::sample::Index>()) {
        let (disk, ends) = log_of(&groups);
        let end = *ends.last().unwrap();
        prop_assert_eq!(replayed(&disk, Some(end)).unwrap(), groups.clone());
        let cut = cut.index(end as usize);
        disk.change(&log::file_name(1), |bytes| bytes.truncate(cut));
        let whole = ends[1..].iter().filter(|end| **end <= cut as u64).count();
        prop_assert_eq!(replayed(&disk, None).unwrap(), &groups[..whole]);
        prop_assert!(matches!(replayed(&disk, Some(end)), Err(Fault::Damaged(_))));
    }

    /// A flipped bit in any group but the newest log's last is damage, and in that one a torn end.
    #[test]
    fn a_flipped_bit_in_a_log(groups in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..8), place in any::<prop::sample::Index>(), bit in 0..8) {
        let (disk, ends) = log_of(&groups);
        let end = *ends.last().unwrap();
        let place = place.index(end as usize);
        disk.change(&log::file_name(1), |bytes| bytes[place] ^= 1u8 << bit);
        prop_assert!(matches!(replayed(&disk, Some(end)), Err(Fault::Damaged(_))));
        let last = place as u64 >= ends[ends.len() - 2];
        match replayed(&disk, None) {
            Ok(values) => prop_assert!(last && values[..] == groups[..groups.len() - 1]),
            Err(fault) => prop_assert!(!last && matches!(fault, Fault::Damaged(_)), "{:?}", fault),
        }
        // Salvaged, all other groups are there.
        let (mut values, mut damage) = (Vec::new(), Vec::new());
        let mut report = |found| damage.push(found);
        log::replay(disk.as_ref(), ORIGIN, Some(end), Some(&mut report), &mut |entry: Entry| values.push(entry.value().to_vec())).unwrap();
        prop_assert_eq!(damage.len(), 1);
        let hit = ends[1..].iter().position(|end| (place as u64) < *end).unwrap();
        let others: Vec<_> = groups.iter().enumerate().filter(|(i, _)| *i != hit || (place as u64) < ends[0]).map(|(_, value)| value.clone()).collect();
        prop_assert_eq!(values, others);
    }

    /// What is no frame is found to be none, and its length allocates nothing.
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0u64..40) {
        let disk = SimDisk::default();
        disk.create("file").unwrap().write(&bytes, 0).unwrap();
        let file = disk.open("file").unwrap();
        let found = frame::read(file.as_ref(), ORIGIN, at * 8, bytes.len() as u64).unwrap();
        prop_assert!(matches!(found, Found::Nothing));
        prop_assert_eq!(frame::search(file.as_ref(), ORIGIN, 0, bytes.len() as u64).unwrap(), None);
        let bytes = Bytes::from(bytes);
        prop_assert!(frame::payload(&bytes, Kind::Block, ORIGIN, 0).is_none());
        prop_assert!(Manifest::decode(&bytes).is_none());
        // These have no checksum of their own: anything may come of it but a panic.
        let _ = Block::parse(bytes.to_vec(), 0).map(|block| (0..block.len()).filter_map(|i| block.entry(i)).filter(Entry::verified).count());
        let _ = Index::parse(&bytes).map(|index| index.find(b"key"));
        let _ = Entry::at(&bytes, 0).map(|entry| (entry.verified(), entry.key().len(), entry.value().len(), entry.metadata()));
    }

    /// A block finds each of its keys, and where others would be: many that begin alike, behind
    /// what all share.
    #[test]
    fn a_search_in_a_block(
        shared in prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..3),
        texts in prop::collection::btree_set(prop::collection::vec(prop::sample::select(b"\0ab".to_vec()), 1..14), 1..150),
        others in prop::collection::vec(prop::collection::vec(prop::sample::select(b"\0ab".to_vec()), 0..16), 30),
    ) {
        let keys: Vec<Vec<u8>> = texts.iter().map(|text| [&shared[..], text].concat()).collect();
        let mut builder = BlockBuilder::default();
        keys.iter().for_each(|key| builder.push(entry(1, key, None).by_ref()));
        let mut payload = Vec::new();
        builder.finish(&mut payload);
        let block = Block::parse(payload, 0).unwrap();
        for key in others.iter().flat_map(|key| [key.clone(), [&shared[..], key].concat()]).chain(keys.iter().cloned()) {
            let place = keys.partition_point(|other| *other < key);
            prop_assert_eq!(block.find(&key), (place, keys.get(place) == Some(&key)), "{:?} among {:?}", key, keys);
        }
    }

    /// A block gives back its entries, and finds each.
    #[test]
    fn a_block(keys in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..20), 1..40)) {
        let mut builder = BlockBuilder::default();
        let entries: Vec<_> = keys.iter().map(|key| entry(1, key, Some(key))).collect();
        entries.iter().for_each(|entry| builder.push(entry.by_ref()));
        let mut payload = Vec::new();
        builder.finish(&mut payload);
        let block = Block::parse(payload.clone(), 0).unwrap();
        prop_assert_eq!(block.len(), keys.len());
        for (i, key) in keys.iter().enumerate() {
            prop_assert_eq!(block.find(key), (i, true));
            let found = block.entry(i).unwrap();
            prop_assert_eq!(found.key(), &key[..]);
        }
        for cut in 0..payload.len() {
            prop_assert!(Block::parse(payload[..cut].to_vec(), 0).is_none_or(|block| block.len() < keys.len()));
        }
    }

    /// A manifest is read back, and a changed one is none.
    #[test]
    fn a_manifest(numbers in prop::collection::vec(any::<u64>(), 4), tables in prop::collection::vec(any::<(u64, u64, u64)>(), 0..5), place in any::<prop::sample::Index>(), flip in 1u8..) {
        let tables = tables.into_iter().map(|(number, len, entries)| TableId { number, len, entries }).collect();
        let manifest = Manifest { id: numbers[0], next_table: numbers[1], first_log: numbers[2], last_sequence: numbers[3], tables };
        let mut bytes = manifest.encode();
        prop_assert_eq!(Manifest::decode(&bytes), Some(manifest));
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        prop_assert!(Manifest::decode(&bytes).is_none());
    }
}

/// A file of random bytes, or none at all, in a table's place: every read is an error, and none
/// panics.
#[test]
fn a_table_that_is_none() {
    let disk = SimDisk::default();
    let id = TableId {
        number: 3,
        len: 5000,
        entries: 10,
    };
    assert!(matches!(Table::open(&disk, 77, id), Err(Fault::Io(..))));
    disk.create(&file_name(3))
        .unwrap()
        .write(&super::noise::Noise(1).bytes(5000), 0)
        .unwrap();
    let table = Table::open(&disk, 77, id).unwrap();
    assert!(table.damage.is_some());
    let cache = super::super::cache::Cache::new(1 << 20);
    assert!(matches!(
        table.get(b"key", &cache, super::super::table::Wait::Allowed),
        Err(Fault::Damaged(_))
    ));
}
