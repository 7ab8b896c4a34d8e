//! The examples of every crate compile for somebody who depends on `storehouse` alone.
//! They run where they stand, as doc tests.

#![allow(
    clippy::all,
    dead_code,
    unused,
    missing_docs,
    unreachable_pub,
    reason = "code as it stands in documentation"
)]

include!(concat!(env!("OUT_DIR"), "/examples.rs"));

#[test]
fn examples_were_found() {
    assert!(EXAMPLES >= 450, "only {EXAMPLES} examples were compiled");
}
