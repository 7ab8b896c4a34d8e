//! Running decoders by name.

use crate::{decoders, seeds};

/// Runs the decoder of this name.
pub fn run(name: &str, data: &[u8]) {
    let decoder = decoders::DECODERS.iter().find(|(known, _)| *known == name);
    (decoder.expect("a decoder of that name").1)(data);
}

/// The names of all decoders.
pub fn names() -> impl Iterator<Item = &'static str> {
    decoders::DECODERS.iter().map(|(name, _)| *name)
}

/// Runs the decoder of this name on `inputs` mutated inputs.
pub fn mutate(name: &str, inputs: u64, seed: u64) {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../stores/tests/vectors");
    let seeds = seeds::seeds(vectors.as_ref(), name);
    let mut numbers = seeds::Numbers(seed | 1);
    for _ in 0..inputs {
        run(name, &seeds::mutated(&mut numbers, &seeds));
    }
}

/// Writes the good inputs of the decoder of this name into a directory, for libFuzzer to begin
/// with.
pub fn write_corpus(name: &str, dir: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../stores/tests/vectors");
    for (index, seed) in seeds::seeds(vectors.as_ref(), name).into_iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{index:03}")), seed)?;
    }
    Ok(())
}
