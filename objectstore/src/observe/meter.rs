//! The names, and the handles behind them.

use std::fmt;
use std::sync::{Arc, Once, OnceLock};

use metrics::{
    Counter, Gauge, Histogram, Label, SharedString, Unit, counter, describe_counter,
    describe_gauge, describe_histogram, gauge, histogram,
};

use super::operation_outcome::OperationOutcome;
use crate::ErrorClass;

/// The target of every span and event.
pub const TARGET: &str = "storehouse";

const OPERATIONS: &str = "storehouse_operations_total";
const ERRORS: &str = "storehouse_errors_total";
const BYTES: &str = "storehouse_bytes_total";
const ITEMS: &str = "storehouse_items_total";
const IN_FLIGHT: &str = "storehouse_operations_in_flight";
const ANSWER: &str = "storehouse_operation_seconds";
const WHOLE: &str = "storehouse_stream_seconds";

/// What counts one operation of one store. Clones share it.
///
/// ```
/// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
/// use storehouse_objectstore::observe::Meter;
///
/// let recorder = DebuggingRecorder::new();
/// let seen = recorder.snapshotter();
/// metrics::with_local_recorder(&recorder, || {
///     let meter = Meter::new("blobs", "memory", "list");
///     assert_eq!((meter.store(), meter.backend()), ("blobs", "memory"));
///     assert_eq!(meter.operation(), "list");
///     meter.item();
///     meter.bytes_in(5);
///     meter.bytes_out(7);
/// });
/// let counters = seen.snapshot().into_vec().into_iter();
/// let counters: Vec<_> = counters.map(|(_, _, _, value)| value).collect();
/// assert!([1, 5, 7].iter().all(|n| counters.contains(&DebugValue::Counter(*n))));
/// ```
#[derive(Clone)]
pub struct Meter(Arc<Inner>);

struct Inner {
    store: SharedString,
    backend: SharedString,
    operation: &'static str,
    outcomes: [OnceLock<Counter>; OperationOutcome::ALL.len()],
    errors: [OnceLock<Counter>; 3],
    bytes_in: OnceLock<Counter>,
    bytes_out: OnceLock<Counter>,
    items: OnceLock<Counter>,
    in_flight: OnceLock<Gauge>,
    answer: OnceLock<Histogram>,
    whole: OnceLock<Histogram>,
}

impl Meter {
    /// Counts `operation` under the labels `store` (what is kept there, such as `blobs`) and
    /// `backend` (such as `s3`).
    pub fn new(
        store: impl Into<SharedString>,
        backend: impl Into<SharedString>,
        operation: &'static str,
    ) -> Self {
        static DESCRIBED: Once = Once::new();
        DESCRIBED.call_once(describe);
        Self(Arc::new(Inner {
            store: store.into(),
            backend: backend.into(),
            operation,
            outcomes: Default::default(),
            errors: Default::default(),
            bytes_in: OnceLock::new(),
            bytes_out: OnceLock::new(),
            items: OnceLock::new(),
            in_flight: OnceLock::new(),
            answer: OnceLock::new(),
            whole: OnceLock::new(),
        }))
    }

    /// The label `store`.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.0.store
    }

    /// The label `backend`.
    #[must_use]
    pub fn backend(&self) -> &str {
        &self.0.backend
    }

    /// The label `operation`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Counts bytes taken from the caller.
    pub fn bytes_in(&self, bytes: u64) {
        self.0
            .bytes_in
            .get_or_init(|| counter!(BYTES, self.labels(Some(("direction", "in")))))
            .increment(bytes);
    }

    /// Counts bytes given to the caller.
    pub fn bytes_out(&self, bytes: u64) {
        self.0
            .bytes_out
            .get_or_init(|| counter!(BYTES, self.labels(Some(("direction", "out")))))
            .increment(bytes);
    }

    /// Counts one of many: an entry listed, a key deleted.
    pub fn item(&self) {
        self.0
            .items
            .get_or_init(|| counter!(ITEMS, self.labels(None)))
            .increment(1);
    }

    /// Counts an error.
    pub(super) fn error(&self, class: ErrorClass) {
        let (slot, name) = match class {
            ErrorClass::InvalidInput => (0, "invalid_input"),
            ErrorClass::Transient => (1, "transient"),
            ErrorClass::Fatal => (2, "fatal"),
            // Answers, not errors.
            ErrorClass::NotFound | ErrorClass::NotModified | ErrorClass::Conflict => return,
        };
        self.0.errors[slot]
            .get_or_init(|| counter!(ERRORS, self.labels(Some(("class", name)))))
            .increment(1);
    }

    pub(super) fn outcome(&self, outcome: OperationOutcome) {
        let counter = self.0.outcomes[outcome as usize]
            .get_or_init(|| counter!(OPERATIONS, self.labels(Some(("outcome", outcome.name())))));
        counter.increment(1);
    }

    pub(super) fn in_flight(&self) -> &Gauge {
        self.0
            .in_flight
            .get_or_init(|| gauge!(IN_FLIGHT, self.labels(None)))
    }

    pub(super) fn answer(&self) -> &Histogram {
        self.0
            .answer
            .get_or_init(|| histogram!(ANSWER, self.labels(None)))
    }

    pub(super) fn whole(&self) -> &Histogram {
        self.0
            .whole
            .get_or_init(|| histogram!(WHOLE, self.labels(None)))
    }

    fn labels(&self, more: Option<(&'static str, &'static str)>) -> Vec<Label> {
        let own = [
            ("store", self.0.store.clone()),
            ("backend", self.0.backend.clone()),
            ("operation", self.0.operation.into()),
        ];
        let more = more.map(|(name, value)| (name, SharedString::from(value)));
        own.into_iter()
            .chain(more)
            .map(|(name, value)| Label::new(name, value))
            .collect()
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Meter({} {} {})",
            self.0.store, self.0.backend, self.0.operation
        )
    }
}

/// Units and help texts, for the recorder that is there.
fn describe() {
    describe_counter!(
        OPERATIONS,
        Unit::Count,
        "Operations that ended, by their outcome."
    );
    describe_counter!(
        ERRORS,
        Unit::Count,
        "Errors by their class, those within bodies and listings too. A missing object and a condition that does not hold are none."
    );
    describe_counter!(
        BYTES,
        Unit::Bytes,
        "Bytes of bodies taken from callers (in) and given to them (out)."
    );
    describe_counter!(
        ITEMS,
        Unit::Count,
        "Entries listed and keys deleted, by operations on many."
    );
    describe_gauge!(
        IN_FLIGHT,
        Unit::Count,
        "Operations that have begun and not ended."
    );
    describe_histogram!(
        ANSWER,
        Unit::Seconds,
        "Time from the start of an operation to its answer."
    );
    describe_histogram!(
        WHOLE,
        Unit::Seconds,
        "Time from the start of an operation to the end of the body or listing that it gave, the caller's own pauses included."
    );
}
