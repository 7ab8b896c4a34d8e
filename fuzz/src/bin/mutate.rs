//! Mutated inputs for every decoder, without libFuzzer: `cargo run --release --no-default-features
//! --features mutate --bin mutate -- [INPUTS] [SEED] [DECODER…]`. With `--corpus` instead, it
//! writes the good inputs into `corpus/DECODER`.

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .peek()
        .is_some_and(|argument| argument == "--corpus")
    {
        return storehouse_fuzz::names().try_for_each(|name| {
            storehouse_fuzz::write_corpus(name, std::path::Path::new("corpus").join(name).as_ref())
        });
    }
    let inputs = arguments.next().map_or(1_000_000, |inputs| {
        inputs.parse().expect("the number of inputs")
    });
    let seed = arguments
        .next()
        .map_or(0x5eed, |seed| seed.parse().expect("a seed"));
    let only: Vec<_> = arguments.collect();
    for name in storehouse_fuzz::names()
        .filter(|name| only.is_empty() || only.iter().any(|only| only == name))
    {
        let start = std::time::Instant::now();
        storehouse_fuzz::mutate(name, inputs, seed);
        println!(
            "{name}: {inputs} inputs without a finding, {:.0?}",
            start.elapsed()
        );
    }
    Ok(())
}
