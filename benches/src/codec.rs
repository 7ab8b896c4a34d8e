//! An allocation's bytes, made and read.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use storehouse_formats::Cid;
use storehouse_stores::Allocation;

use crate::filled;
use crate::harness::{Contender, Options, Report, Table};

const OURS: &str = "Allocation";
const DERIVED: &str = "serde_ipld_dagcbor, derived";

/// An allocation as serde would have it; it checks nothing but the kinds of values.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct Derived {
    blob: DerivedBlob,
    cause: Cid,
    space: ByteBuf,
    expires: u64,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct DerivedBlob {
    size: u64,
    digest: ByteBuf,
}

pub(crate) fn run(options: &Options) -> Report {
    let records: Vec<Allocation> = (0..1000).map(filled::allocation).collect();
    let bytes: Vec<_> = records.iter().map(Allocation::encode).collect();
    let derived: Vec<Derived> = bytes
        .iter()
        .map(|bytes| serde_ipld_dagcbor::from_slice(bytes).expect("the same format"))
        .collect();
    for (derived, bytes) in derived.iter().zip(&bytes) {
        assert_eq!(
            serde_ipld_dagcbor::to_vec(derived).expect("bytes"),
            bytes[..],
            "the same bytes"
        );
    }
    let times = options.pick(200, 20);
    let mut report = Report::default();
    let encode = Table::measure(
        "ns a record",
        options.pick(15, 3),
        vec![
            Contender::new(DERIVED, || {
                each(times, &derived, |derived| {
                    drop(std::hint::black_box(serde_ipld_dagcbor::to_vec(derived)))
                })
            }),
            Contender::new(OURS, || {
                each(times, &records, |record| {
                    drop(std::hint::black_box(record.encode()))
                })
            }),
        ],
    );
    let decode = Table::measure(
        "ns a record",
        options.pick(15, 3),
        vec![
            Contender::new(DERIVED, || {
                each(times, &bytes, |bytes| {
                    drop(std::hint::black_box(serde_ipld_dagcbor::from_slice::<
                        Derived,
                    >(bytes)))
                })
            }),
            Contender::new(OURS, || {
                each(times, &bytes, |bytes| {
                    drop(std::hint::black_box(Allocation::decode(bytes)))
                })
            }),
        ],
    );
    for (what, table) in [("encode", encode), ("decode", decode)] {
        report.at_most(
            &format!("{what}: of serde_ipld_dagcbor's time"),
            table.ratio(OURS, DERIVED),
            1.0,
        );
        report.table(what, table);
    }
    report
}

fn each<T>(times: usize, all: &[T], mut run: impl FnMut(&T)) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        all.iter().for_each(&mut run);
    }
    started.elapsed().as_secs_f64() * 1e9 / (times * all.len()) as f64
}
