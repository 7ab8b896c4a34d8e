//! How long the tests run.

/// The environment variable that asks for the long form: `STOREHOUSE_HARNESS=long`.
pub const FORM: &str = "STOREHOUSE_HARNESS";

/// The environment variable of the seed; 1 if it is not set.
pub const SEED: &str = "STOREHOUSE_HARNESS_SEED";

/// One of two numbers, by the form.
#[must_use]
pub fn by_form(short: u64, long: u64) -> u64 {
    if std::env::var(FORM).is_ok_and(|form| form == "long") {
        long
    } else {
        short
    }
}

/// The seed of a test.
#[must_use]
pub fn seed() -> u64 {
    std::env::var(SEED)
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1)
}
