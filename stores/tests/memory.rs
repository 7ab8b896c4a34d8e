//! A length that lies does not make a decoder set memory aside for it, and no bytes unpack to many
//! times what they are. Alone in its process, because it counts what is allocated in it.

mod common;
#[path = "common/decoders.rs"]
#[allow(dead_code)]
mod decoders;
#[path = "common/seeds.rs"]
mod seeds;

use std::alloc::System;

use bytes::Bytes;
use decoders::{receipt_archive, table, ucan_archive, write_database};
use seeds::{Numbers, mutated, seeds};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use storehouse_formats::car::{Archive, CarLimits, CarReader};
use storehouse_formats::dag_cbor::{Reader, Writer};
use storehouse_formats::leveldb::Database;
use storehouse_stores::{Acceptance, Allocation, Cid, Consolidation, Delegation, Did, Receipt};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All that is ever allocated, freed or not, for each byte of input; and so much besides.
const MULTIPLE: usize = 32;
const BESIDES: usize = 8 << 10;

/// Name, decoder, and what is made of an input before it is decoded.
type Decode = (&'static str, fn(&Bytes), fn(Vec<u8>) -> Bytes);

const DECODE: [Decode; 10] = [
    (
        "allocation",
        |data| drop(Allocation::decode(data)),
        Bytes::from,
    ),
    (
        "acceptance",
        |data| drop(Acceptance::decode(data)),
        Bytes::from,
    ),
    (
        "consolidation",
        |data| drop(Consolidation::decode(data)),
        Bytes::from,
    ),
    (
        "delegation",
        |data| drop(Delegation::decode(data.clone())),
        Bytes::from,
    ),
    (
        "ucan_block",
        |data| drop(Delegation::decode(data.clone())),
        |block| ucan_archive(&block),
    ),
    (
        "receipt",
        |data| drop(Receipt::decode(data.clone())),
        Bytes::from,
    ),
    (
        "receipt_block",
        |data| drop(Receipt::decode(data.clone())),
        |block| receipt_archive(&block),
    ),
    ("did_bytes", |data| drop(Did::from_bytes(data)), Bytes::from),
    (
        "dag_cbor",
        |data| drop(Reader::new(data).raw()),
        Bytes::from,
    ),
    (
        "car",
        |data| {
            drop(Archive::parse(data.clone(), CarLimits::default()));
            if let Ok(mut reader) = CarReader::new(&data[..], CarLimits::default()) {
                while let Ok(Some(_)) = reader.next_block() {}
            }
        },
        Bytes::from,
    ),
];

/// One test, because what another does at the same time would be counted too.
#[test]
fn memory_is_in_proportion_to_input() {
    for (name, decode, wrap) in DECODE {
        let seeds = seeds(&common::vectors(), name);
        let mut numbers = Numbers(0xb0b);
        let mut inputs: Vec<Vec<u8>> = (0..2000).map(|_| mutated(&mut numbers, &seeds)).collect();
        inputs.extend(seeds);
        inputs.extend(small_values());
        match name {
            "car" => inputs.push(tiny_blocks()),
            "ucan_block" => inputs.extend(small_values().into_iter().flat_map(ucans_around)),
            "receipt_block" => inputs.extend(small_values().into_iter().flat_map(receipts_around)),
            _ => {}
        }
        for input in inputs {
            let input = wrap(input);
            let region = Region::new(ALLOCATOR);
            decode(&input);
            let allocated = region.change().bytes_allocated;
            assert!(
                allocated <= MULTIPLE * input.len() + BESIDES,
                "{name}: {allocated} bytes for {}",
                input.len()
            );
        }
    }
    // What was made to be the worst is one: else it would prove nothing.
    for block in small_values().into_iter().take(4) {
        for block in ucans_around(block.clone()).into_iter().take(2) {
            Delegation::decode(ucan_archive(&block)).unwrap();
        }
        for block in receipts_around(block).into_iter().take(2) {
            Receipt::decode(receipt_archive(&block)).unwrap();
        }
    }
    assert_eq!(
        Archive::parse(tiny_blocks().into(), CarLimits::default())
            .unwrap()
            .blocks()
            .len(),
        10_000
    );
    leveldb();
}

/// Many small values in each other and after each other: what takes the most room for its bytes.
/// The first four are dag-cbor.
fn small_values() -> Vec<Vec<u8>> {
    let mut keys = Writer::default();
    keys.map(10_000);
    // In no order.
    (0..10_000_u32).for_each(|number| {
        keys.text(&format!("{:x}", number.wrapping_mul(0x9e37_79b1)));
        keys.null();
    });
    vec![
        [&[0x9a, 0, 1, 0, 0][..], &[0xa0; 1 << 16]].concat(),
        [&[0x9a, 0, 1, 0, 0][..], &[0x60; 1 << 16]].concat(),
        [vec![0x81; 125], vec![0x80]].concat(),
        keys.into_bytes(),
        vec![0x81; 1 << 16],
        vec![0xa1; 1 << 16],
        [&[0xba, 0, 1, 0, 0][..], &[0x60, 0].repeat(1 << 16)].concat(),
    ]
}

/// The smallest CIDs that there are, with their blocks, which are empty.
fn tiny_blocks() -> Vec<u8> {
    let header = Archive::build(&[storehouse_formats::car::dag_cbor_cid_of(b"")], &[]);
    [&header[..], &[4, 1, 0x71, 0, 0][..].repeat(10_000)[..]].concat()
}

fn tiny_links(writer: &mut Writer) {
    writer.list(10_000);
    let cid = Cid::from_bytes(&[1, 0x71, 0, 0]).unwrap();
    (0..10_000).for_each(|_| writer.link(&cid));
}

/// A UCAN's blocks with this value wherever any value can be, and with lists of small things.
fn ucans_around(value: Vec<u8>) -> Vec<Vec<u8>> {
    let did = [&[0xed, 1][..], &[7; 32]].concat();
    let signature = [&[0xed, 0xa1, 3, 64][..], &[0; 64]].concat();
    let ucan = |capabilities: usize, nb: Option<&[u8]>, fact: &[u8], links: bool| {
        let mut writer = Writer::default();
        writer.map(8);
        writer.text("s");
        writer.bytes(&signature);
        writer.text("v");
        writer.text("0.9.1");
        writer.text("att");
        writer.list(capabilities);
        for _ in 0..capabilities {
            writer.map(2 + usize::from(nb.is_some()));
            if let Some(nb) = nb {
                writer.text("nb");
                writer.raw(nb);
            }
            writer.text("can");
            writer.text("");
            writer.text("with");
            writer.text("");
        }
        for field in ["aud", "iss"] {
            writer.text(field);
            writer.bytes(&did);
        }
        writer.text("exp");
        writer.null();
        writer.text("fct");
        writer.list(1);
        writer.map(1);
        writer.text("x");
        writer.raw(fact);
        writer.text("prf");
        if links {
            tiny_links(&mut writer)
        } else {
            writer.list(0)
        }
        writer.into_bytes()
    };
    vec![
        ucan(1, Some(&value), &[0], false),
        ucan(1, None, &value, false),
        ucan(10_000, None, &value, true),
    ]
}

/// The same for receipts.
fn receipts_around(value: Vec<u8>) -> Vec<Vec<u8>> {
    let cid = storehouse_formats::car::dag_cbor_cid_of(b"");
    let receipt = |out: &[u8], meta: &[u8], links: bool| {
        let list = |writer: &mut Writer| {
            if links {
                tiny_links(writer)
            } else {
                writer.list(0)
            }
        };
        let mut writer = Writer::default();
        writer.map(2);
        writer.text("ocm");
        writer.map(5);
        writer.text("fx");
        writer.map(1);
        writer.text("fork");
        list(&mut writer);
        writer.text("out");
        writer.map(1);
        writer.text("ok");
        writer.raw(out);
        writer.text("prf");
        list(&mut writer);
        writer.text("ran");
        writer.link(&cid);
        writer.text("meta");
        writer.map(1);
        writer.text("x");
        writer.raw(meta);
        writer.text("sig");
        writer.bytes(&[0xed, 0xa1, 3, 0]);
        writer.into_bytes()
    };
    vec![
        receipt(&value, &[0], false),
        receipt(&[0], &value, false),
        receipt(&value, &value, true),
    ]
}

/// Databases are read as a stream: what opening one and giving each record allocates is bounded by
/// its files, and not by what they might unpack to.
fn leveldb() {
    // Both lengths in three bytes, no value, and the version behind the key.
    let entry = |shared: usize, key: &[u8]| {
        let length = |len: usize| {
            [
                0x80 | (len & 0x7f) as u8,
                0x80 | (len >> 7 & 0x7f) as u8,
                (len >> 14) as u8,
            ]
        };
        [
            &length(shared)[..],
            &length(key.len() + 8),
            &[0],
            key,
            &[1, 1, 0, 0, 0, 0, 0, 0],
        ]
        .concat()
    };
    let restarts = vec![0, 0, 0, 0, 1, 0, 0, 0];
    // Keys of 40,000 bytes that share all but the last two.
    let long_keys = (1..10_000_u16).map(|number| entry(40_000, &number.to_be_bytes()));
    let long_keys = [
        entry(0, &[&[b'k'; 40_000][..], &[0, 0]].concat()),
        long_keys.collect::<Vec<_>>().concat(),
        restarts.clone(),
    ]
    .concat();
    let tables = [
        // 64 MiB, it says.
        table(1, &[0x80, 0x80, 0x80, 0x20, 0, 0]),
        table(0, &long_keys),
        table(0, &[entry(0, b"a"), restarts].concat()),
    ];
    let given = tables.map(|table| {
        let dir = tempfile::tempdir().unwrap();
        write_database(dir.path(), &[], &table);
        let region = Region::new(ALLOCATOR);
        let checked = |region: &Region<'_, System>| {
            let allocated = region.change().bytes_allocated;
            assert!(
                allocated <= MULTIPLE * table.len() + (64 << 10),
                "{allocated} bytes for a table of {}",
                table.len()
            );
        };
        let database = Database::open(dir.path()).unwrap();
        let Ok(mut records) = database.records() else {
            checked(&region);
            return 0;
        };
        for count in 0.. {
            let region = Region::new(ALLOCATOR);
            let next = records.next();
            checked(&region);
            if next.is_none_or(|record| record.is_err()) {
                return count;
            }
        }
        0
    });
    assert_eq!(given, [0, 10_000, 1]);
}
