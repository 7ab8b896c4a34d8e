//! What a store is known to do otherwise, and how much the suite may ask of it.

use std::time::Duration;

/// How a store is known to differ from the contract, and how much work the suite may give it. The
/// default is a local store that keeps every rule.
///
/// Each deviation is asserted, not skipped: a store that stops deviating fails the case until its
/// profile says so.
#[derive(Clone, Debug)]
pub struct Profile {
    /// How much the suite may ask.
    pub pace: Pace,
    /// What becomes of a key that lies "under" another, as `a/b` does under `a`.
    pub nesting: Nesting,
    /// Of several conditional puts at once, just one wins (rule 5). If false, more than one may.
    pub atomic_conditions: bool,
    /// Concurrent reads, writes and deletes of one key are linearizable (rules 2, 6 and 7). If
    /// false, the cases check only that what is read at rest is whole and was written.
    pub linearizable: bool,
    /// A put or delete waits until those who read the object have read it to its end (rule 7), if
    /// it is more than connections buffer. If true, the case asserts that it waits, and that it
    /// happens once they have.
    pub writers_wait: bool,
    /// The data can be open for writing once only (rule 14): opening it a second time is
    /// [`InUse`](storehouse_objectstore::Error::InUse).
    pub exclusive: bool,
    /// Whole bodies are held in memory until they commit, so there is no
    /// [window](Profile::put_window) and nothing to leave behind.
    pub holds_bodies: bool,
    /// The most bytes of one put's body that the store holds at a time (rule 9). A case puts twice
    /// as many.
    pub put_window: u64,
    /// The store has [batches](storehouse_objectstore::ObjectStore::batches).
    pub batches: bool,
    /// How long the suite waits for what must happen at all: an upload aborted in the background,
    /// an end to operations that could wait for each other. Only a detector of what never happens.
    /// A case as a whole has five times as long.
    pub patience: Duration,
    /// Keys that are refused although the [`Capabilities`](storehouse_objectstore::Capabilities)
    /// accept them: a put of one fails, and nothing shows.
    pub refuses: fn(&str) -> bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            pace: Pace::DISK,
            nesting: Nesting::Independent,
            atomic_conditions: true,
            linearizable: true,
            writers_wait: false,
            exclusive: false,
            holds_bodies: false,
            put_window: 8 * 1024 * 1024,
            batches: false,
            patience: Duration::from_secs(60),
            refuses: |_| false,
        }
    }
}

/// What a store makes of two keys, one of which is the other plus `/…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// Two keys like any others, as the contract says.
    Independent,
    /// Both can be read, but the longer one is in no listing while the shorter exists.
    HiddenFromListings,
    /// One of them exists at a time: a put of the other fails and leaves the first as it is.
    Collide,
}

/// How much the suite may ask of a store: the cases stay the same, their numbers shrink.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many objects a case may write that wants many: more than a page of a listing or of a
    /// bulk delete, where that is affordable.
    pub many: usize,
    /// The largest object that a case may write, in bytes. Entries of the table of sizes above it
    /// are left out.
    pub largest: u64,
    /// How many times a case may repeat a race or a cancellation, each some ten requests.
    pub rounds: usize,
    /// How many random sequences of operations the model test runs.
    pub model_runs: u32,
    /// How many operations one such sequence has at most.
    pub model_steps: usize,
}

impl Pace {
    /// For a store in memory: some 100,000 requests a second.
    pub const MEMORY: Self = Self {
        many: 2_500,
        largest: 16 * 1024 * 1024 + 1,
        rounds: 64,
        model_runs: 128,
        model_steps: 40,
    };
    /// For a store on a local disk: some 1,000 durable writes a second.
    pub const DISK: Self = Self {
        many: 1_100,
        largest: 16 * 1024 * 1024 + 1,
        rounds: 24,
        model_runs: 24,
        model_steps: 30,
    };
    /// For a server: some 100 requests a second.
    pub const SERVER: Self = Self {
        many: 120,
        largest: 16 * 1024 * 1024 + 1,
        rounds: 8,
        model_runs: 8,
        model_steps: 20,
    };
}
