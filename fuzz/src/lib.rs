//! The decoders, with what must hold of them: the same as the property tests run.

#[path = "../../stores/tests/common/decoders.rs"]
mod decoders;
mod run;
#[path = "../../stores/tests/common/seeds.rs"]
mod seeds;

pub use run::{mutate, names, run, write_corpus};
