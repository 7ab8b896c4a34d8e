//! A length that lies does not make a decoder set memory aside for it. Alone in its process, because it counts what is allocated in it.

mod common;
#[path = "common/decoders.rs"]
#[allow(dead_code)]
mod decoders;
#[path = "common/seeds.rs"]
mod seeds;

use std::alloc::System;

use bytes::Bytes;
use seeds::{Numbers, mutated, seeds};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use storehouse_genericstore::car::{Archive, CarLimits, CarReader};
use storehouse_stores::{Acceptance, Allocation, Consolidation, Delegation, Did, Receipt};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All that is ever allocated, freed or not, for each byte of input; and so much besides.
const MULTIPLE: usize = 32;
const BESIDES: usize = 8 << 10;

type Decode = (&'static str, fn(&Bytes));

const DECODE: [Decode; 7] = [
    ("allocation", |data| drop(Allocation::decode(data))),
    ("acceptance", |data| drop(Acceptance::decode(data))),
    ("consolidation", |data| drop(Consolidation::decode(data))),
    ("delegation", |data| drop(Delegation::decode(data.clone()))),
    ("receipt", |data| drop(Receipt::decode(data.clone()))),
    ("did_bytes", |data| drop(Did::from_bytes(data))),
    ("car", |data| {
        drop(Archive::parse(data.clone(), CarLimits::default()));
        if let Ok(mut reader) = CarReader::new(&data[..], CarLimits::default()) {
            while let Ok(Some(_)) = reader.next_block() {}
        }
    }),
];

#[test]
fn memory_is_in_proportion_to_input() {
    for (name, decode) in DECODE {
        let seeds = seeds(&common::vectors(), name);
        let mut numbers = Numbers(0xb0b);
        let mut inputs: Vec<Bytes> = (0..2000).map(|_| mutated(&mut numbers, &seeds).into()).collect();
        inputs.extend(seeds.into_iter().map(Bytes::from));
        // Many small values in each other and after each other: what takes the most room for its bytes.
        inputs.extend([
            [&[0x9a, 0, 1, 0, 0][..], &[0xa0; 1 << 16]].concat().into(),
            vec![0x81; 1 << 16].into(),
            vec![0xa1; 1 << 16].into(),
        ]);
        for input in inputs {
            let region = Region::new(ALLOCATOR);
            decode(&input);
            let allocated = region.change().bytes_allocated;
            assert!(allocated <= MULTIPLE * input.len() + BESIDES, "{name}: {allocated} bytes for {}", input.len());
        }
    }
}
