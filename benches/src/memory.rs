//! Memory over an idle process: one blob of 4 GiB in and out, and 1,000 small puts at once.
//!
//! Each figure is from a process of its own, as the system accounts it: the high-water mark of
//! resident memory during the operation, less what was resident before it. The S3 server is another
//! process: the one that `STOREHOUSE_TEST_S3_*` names, or an s3s-fs.

mod child;
mod server;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Contender, Options, Report, Table};

pub(crate) use child::run as child;
pub(crate) use server::{run as server, support};

/// What a child does; its name on the command line.
const OPERATIONS: &[(&str, &str, f64)] = &[
    ("put", "put of one blob", 48.0),
    ("get", "get of that blob", 48.0),
    (
        "many",
        "1,000 puts of 64 KiB at once, their bodies included",
        128.0,
    ),
];

pub(crate) fn run(options: &Options) -> Report {
    let dir = options.tempdir();
    let server = server::Server::start(&dir.path().join("s3"));
    let mib: u64 = options.pick(4096, 256);
    let mut report = Report::default();
    for (backend, title) in [("flatfs", "flatfs"), ("s3", server.name())] {
        let contenders = OPERATIONS
            .iter()
            .map(|&(operation, name, _)| {
                Contender::new(name, || {
                    measure(backend, operation, mib, dir.path(), &server)
                })
            })
            .collect();
        let table = Table::measure("MiB over idle", 1, contenders);
        for &(_, name, bound) in OPERATIONS {
            report.at_most(&format!("{title}: {name}, MiB"), table.most(name), bound);
        }
        report.table(&format!("{title}, a blob of {mib} MiB"), table);
    }
    report
}

fn measure(backend: &str, operation: &str, mib: u64, dir: &Path, server: &server::Server) -> f64 {
    let mut child = Command::new(std::env::current_exe().expect("this program's path"));
    child
        .args(["child", backend, operation, &mib.to_string()])
        .arg(dir.join("flatfs"))
        .stdout(Stdio::piped());
    server.tell(&mut child);
    let output = child.output().expect("a child process");
    assert!(
        output.status.success(),
        "{backend} {operation}: the child failed"
    );
    let figures: Value = serde_json::from_slice(&output.stdout).expect("the child's figures");
    let bytes = |name: &str| figures[name].as_u64().expect("a figure") as f64;
    (bytes("peak") - bytes("idle")) / f64::from(1 << 20)
}
