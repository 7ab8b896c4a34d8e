//! What storehouse costs, next to its peers and to the machine underneath.
//!
//! `cargo run --release -p storehouse-benches -- NAME [--json] [--quick] [--dir DIR]` runs one
//! benchmark: storehouse, its peers and a raw loop take turns, round after round, so that whatever
//! else the machine does hits all of them. `-- list` names the benchmarks.

mod churn;
mod codec;
mod cold_gets;
mod dedup_put;
mod delay;
mod filled;
mod get;
mod harness;
mod http;
mod journal;
mod layers;
mod listing;
mod memory;
mod mirror_reads;
mod node_memory;
mod peers;
mod ranges;
mod raw;
mod records;
mod s3_scan;
mod scan;
mod small_puts;
mod stream;
mod verified_put;

use std::process::ExitCode;

use harness::{Options, Report};

type Bench = fn(&Options) -> Report;

const BENCHES: &[(&str, &str, Bench)] = &[
    (
        "ranges",
        "hot 4 KiB ranges, one after another and 32 at once",
        ranges::run,
    ),
    ("stream", "a cached object of 64 MiB, streamed", stream::run),
    (
        "small-puts",
        "durable puts of 1 KiB from 64 writers",
        small_puts::run,
    ),
    (
        "listing",
        "listing 1,000,000 blobs with their sizes",
        listing::run,
    ),
    (
        "memory",
        "memory over idle: a blob of 4 GiB in and out, 1,000 puts at once",
        memory::run,
    ),
    (
        "verified-put",
        "a blob of 256 MiB: hashed, written and durable",
        verified_put::run,
    ),
    (
        "dedup-put",
        "an object of 256 MiB: cut into chunks, hashed, each stored once",
        dedup_put::run,
    ),
    (
        "journal",
        "receipts appended to the journal, synced each and not synced",
        journal::run,
    ),
    (
        "records",
        "durable puts of small records among 1,000,000",
        records::run,
    ),
    (
        "get",
        "one small record among 1,000 and 1,000,000",
        get::run,
    ),
    ("scan", "reading all of 100,000 allocations", scan::run),
    (
        "s3-scan",
        "reading all allocations of an S3 server that is 5 ms away",
        s3_scan::run,
    ),
    ("codec", "an allocation's bytes, made and read", codec::run),
    (
        "http",
        "ranges of a hot blob over HTTP, against nginx",
        http::run,
    ),
    (
        "node-memory",
        "a node under 1,000 slow readers, and 32 uploads and downloads of 256 MiB",
        node_memory::run,
    ),
    (
        "cold-gets",
        "what gets that wait for the disk do to other tasks",
        cold_gets::run,
    ),
    ("layers", "what a layer costs over its store", layers::run),
    (
        "mirror-reads",
        "reads of two servers as one",
        mirror_reads::run,
    ),
    (
        "churn",
        "3,000,000 records written, replaced twice and deleted: files and memory",
        churn::run,
    ),
];

fn main() -> ExitCode {
    let mut name = None;
    let mut options = Options::default();
    let mut args = std::env::args().skip(1).peekable();
    // What `memory` and `http` measure runs in processes of its own.
    match args.peek().map(String::as_str) {
        Some("child") => {
            memory::child(&args.skip(1).collect::<Vec<_>>());
            return ExitCode::SUCCESS;
        }
        Some("churn-child") => {
            churn::child(&args.skip(1).collect::<Vec<_>>());
            return ExitCode::SUCCESS;
        }
        Some("server") => {
            memory::server();
            return ExitCode::SUCCESS;
        }
        Some("http-child") => {
            http::child(&args.skip(1).collect::<Vec<_>>());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--quick" => options.quick = true,
            "--dir" => options.dir = args.next().map(Into::into),
            other if name.is_none() && !other.starts_with('-') => name = Some(arg),
            other => return usage(&format!("what is {other:?}?")),
        }
    }
    match name.as_deref() {
        None => usage("which benchmark?"),
        Some("list") => {
            BENCHES
                .iter()
                .for_each(|(name, about, _)| println!("{name:<14} {about}"));
            ExitCode::SUCCESS
        }
        Some(name) => match BENCHES.iter().find(|(known, ..)| *known == name) {
            Some((_, about, run)) => {
                let report = run(&options);
                report.print(name, about, &options);
                if options.quick || report.met() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                }
            }
            None => usage(&format!("there is no benchmark {name:?}")),
        },
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!(
        "{problem}\nusage: cargo run --release -p storehouse-benches -- NAME [--json] [--quick] [--dir DIR]\n       … -- list\n"
    );
    for (name, about, _) in BENCHES {
        eprintln!("  {name:<14} {about}");
    }
    ExitCode::FAILURE
}
