//! One operation under way.

use std::time::Instant;

use tracing::Span;

use super::log_limit::FULL;
use super::meter::{Meter, TARGET};
use super::operation_outcome::OperationOutcome;
use crate::ErrorClass;

/// An operation that has begun. Dropping it ends it: with what was said of it last, or as cancelled
/// if nothing was.
///
/// ```
/// use storehouse_objectstore::observe::{Meter, OperationOutcome, OperationSpan};
/// use storehouse_objectstore::{Error, Key, Operation};
///
/// let meter = Meter::new("blobs", "memory", "get");
/// let mut get = OperationSpan::start(&meter, tracing::info_span!("get"));
/// assert_eq!(get.meter().operation(), "get");
/// get.answered(); // the body follows
/// get.streams();
/// assert!(get.is_open(), "dropped now, it counts as cancelled");
/// get.succeeded();
/// assert!(!get.is_open());
///
/// let mut head = OperationSpan::start(&meter, tracing::Span::none());
/// assert!(head.span().is_none());
/// let missing = Error::not_found(Operation::Head, &Key::new("a").unwrap());
/// assert!(head.ended::<()>(Err(missing)).is_err());
///
/// let mut put = OperationSpan::start(&meter, tracing::Span::none());
/// put.failed(OperationOutcome::Transient, true, &"the disk is full");
/// assert!(!put.is_open());
/// ```
#[derive(Debug)]
pub struct OperationSpan {
    meter: Meter,
    span: Span,
    started: Instant,
    answered: bool,
    streams: bool,
    outcome: OperationOutcome,
}

impl OperationSpan {
    /// Begins an operation, within `span`.
    #[must_use]
    pub fn start(meter: &Meter, span: Span) -> Self {
        meter.in_flight().increment(1.0);
        Self {
            meter: meter.clone(),
            span,
            started: Instant::now(),
            answered: false,
            streams: false,
            outcome: OperationOutcome::Cancelled,
        }
    }

    /// The meter that counts it.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Its span.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Says that the answer is there. The first call records the time until then.
    pub fn answered(&mut self) {
        if !self.answered {
            self.answered = true;
            self.meter.answer().record(self.started.elapsed());
        }
    }

    /// Says that a body or a listing follows the answer: the operation has not ended yet, and the
    /// time until it has is recorded too.
    pub fn streams(&mut self) {
        self.streams = true;
        self.outcome = OperationOutcome::Cancelled;
    }

    /// Whether it has not been said yet how it ends. Dropped now, it counts as cancelled.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome == OperationOutcome::Cancelled
    }

    /// Says that it did what was asked.
    pub fn succeeded(&mut self) {
        self.answered();
        self.outcome = OperationOutcome::Ok;
    }

    /// Says that it failed, or a part of it. `error` goes into a log, so it must hold no secret.
    /// `full` is whether a disk is full; that is logged at most once a second.
    pub fn failed(&mut self, outcome: OperationOutcome, full: bool, error: &dyn std::fmt::Display) {
        self.answered();
        self.outcome = outcome;
        let class = match outcome {
            OperationOutcome::InvalidInput => ErrorClass::InvalidInput,
            OperationOutcome::Transient => ErrorClass::Transient,
            OperationOutcome::Fatal => ErrorClass::Fatal,
            OperationOutcome::Ok
            | OperationOutcome::NotFound
            | OperationOutcome::Condition
            | OperationOutcome::Cancelled => return,
        };
        self.meter.error(class);
        let (store, backend) = (self.meter.store(), self.meter.backend());
        match class {
            ErrorClass::InvalidInput => {
                tracing::debug!(target: TARGET, parent: &self.span, store, backend, %error, "refused")
            }
            _ if full => {
                if let Some(more) = FULL.pass(Instant::now()) {
                    tracing::warn!(target: TARGET, parent: &self.span, store, backend, more, %error, "failed")
                }
            }
            _ => {
                tracing::warn!(target: TARGET, parent: &self.span, store, backend, %error, "failed")
            }
        }
    }

    /// Passes an object store's result on, and says how it went.
    ///
    /// # Errors
    /// The result's own.
    pub fn ended<T>(&mut self, result: crate::Result<T>) -> crate::Result<T> {
        match &result {
            Ok(_) => self.succeeded(),
            Err(error) => self.failed(OperationOutcome::of(error), error.is_full(), error),
        }
        result
    }
}

impl Drop for OperationSpan {
    fn drop(&mut self) {
        self.meter.in_flight().decrement(1.0);
        self.meter.outcome(self.outcome);
        let elapsed = self.started.elapsed();
        if self.streams {
            self.meter.whole().record(elapsed);
        }
        tracing::debug!(target: TARGET, parent: &self.span, outcome = self.outcome.name(), seconds = elapsed.as_secs_f64(), "ended");
    }
}
