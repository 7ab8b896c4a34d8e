//! One operation under way.

use std::time::Instant;

use tracing::Span;

use super::log_limit::FULL;
use super::meter::{Meter, TARGET};
use super::operation_outcome::OperationOutcome;
use crate::ErrorClass;

/// An operation that has begun. Dropping it ends it: with what was said of it last, or as cancelled
/// if nothing was.
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

    /// What counts it.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Its span.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The answer is there: the first call takes the time.
    pub fn answered(&mut self) {
        if !self.answered {
            self.answered = true;
            self.meter.answer().record(self.started.elapsed());
        }
    }

    /// A body or a listing comes after the answer: it has not ended yet, and its end is worth a
    /// time of its own.
    pub fn streams(&mut self) {
        self.streams = true;
        self.outcome = OperationOutcome::Cancelled;
    }

    /// Whether something was said of how it ends.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.outcome == OperationOutcome::Cancelled
    }

    /// It did what was asked.
    pub fn succeeded(&mut self) {
        self.answered();
        self.outcome = OperationOutcome::Ok;
    }

    /// It failed, or a part of it. `error` says so in a log: it must hold no secret. `full` is
    /// whether a disk is; that is logged at most once a second.
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
