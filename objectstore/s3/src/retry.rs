//! The one rule for what is sent again, and when.
//!
//! | failure | sent again |
//! |---|---|
//! | no connection could be made | always, unless the certificate is refused |
//! | the connection broke, the server fell silent, or the answer was cut off | if the request is idempotent, or nothing of it was sent |
//! | the server says that it did nothing (`SlowDown`, 408, 421, 425, 429, …) | always |
//! | another failure of the server that may pass (500, 502, 503, 504) | if the request is idempotent |
//! | anything else | never |
//!
//! An `<Error>` in an answer of status 200 counts by its code. The pause doubles with each attempt
//! and is drawn at random; `Retry-After` can only make it longer. No attempt begins once the budget
//! is used up, and a pause that would use it up ends the request at once.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::error::{Cause, Failure};
use crate::options::S3Options;

/// The longest pause that is chosen here; a server can ask for a longer one.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Whether a request may be sent again after the server may have acted on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It is idempotent.
    #[default]
    Always,
    /// Only if the server cannot have acted on it.
    IfUntouched,
}

#[derive(Clone, Debug)]
pub(crate) struct RetryPolicy {
    max_attempts: u32,
    budget: Duration,
    backoff: Duration,
}

impl RetryPolicy {
    pub(crate) fn new(options: &S3Options) -> Self {
        Self {
            max_attempts: options.max_attempts.max(1),
            budget: options.retry_budget,
            backoff: options.retry_backoff.min(MAX_PAUSE),
        }
    }

    /// Starts the budget of one request. `limit`: at most this many attempts.
    pub(crate) fn start(&self, limit: Option<u32>) -> Retries {
        let attempts = self.max_attempts.min(limit.unwrap_or(u32::MAX));
        // Half of the pause is fixed; backon's jitter adds up to as much again.
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.backoff / 2)
            .with_max_delay(MAX_PAUSE / 2)
            .with_max_times(attempts as usize - 1)
            .with_jitter()
            .build();
        Retries {
            pauses,
            deadline: Instant::now().checked_add(self.budget),
        }
    }
}

/// The remaining attempts of one request.
#[derive(Debug)]
pub(crate) struct Retries {
    pauses: ExponentialBackoff,
    /// `None`: never.
    deadline: Option<Instant>,
}

impl Retries {
    /// With the budget of a request that this one is part of, if `deadline` is the end of one.
    pub(crate) fn until(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline.or(self.deadline);
        self
    }

    /// When the budget ends; `None`: never.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The pause before the next attempt, or `None` if there is none.
    pub(crate) fn next(&mut self, failure: &Failure, repeat: Repeat) -> Option<Duration> {
        if !is_repeatable(failure, repeat) {
            return None;
        }
        let asked = failure.refusal().and_then(|refusal| refusal.retry_after);
        self.pause(asked)
    }

    /// The same for what is begun anew, whatever ended it. `asked`: what the server wants at least.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let pause = self.pauses.next()?.max(asked.unwrap_or_default());
        let in_time = match (self.deadline, Instant::now().checked_add(pause)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(deadline), Some(start)) => start < deadline,
        };
        in_time.then_some(pause)
    }
}

fn is_repeatable(failure: &Failure, repeat: Repeat) -> bool {
    let idempotent = repeat == Repeat::Always;
    match failure {
        Failure::Broken(broken) => match broken.cause {
            Cause::Connect => true,
            Cause::Cut | Cause::Stalled => idempotent || !broken.sent,
            Cause::Certificate | Cause::TooLong => false,
        },
        Failure::Refused(refusal) => refusal.did_nothing() || idempotent && refusal.is_transient(),
        Failure::Wrong(_) | Failure::Unsent(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;
    use crate::error::Refusal;

    fn policy(max_attempts: u32, budget: Duration) -> RetryPolicy {
        let mut options = S3Options::default();
        (options.max_attempts, options.retry_budget) = (max_attempts, budget);
        RetryPolicy::new(&options)
    }

    fn busy(retry_after: Option<&'static str>) -> Failure {
        let headers: HeaderMap = retry_after
            .map(|value| (RETRY_AFTER, HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, &headers, b"");
        Failure::Refused(Box::new(refusal))
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_and_budget_end_it() {
        for (attempts, expected) in [(0, 0), (1, 0), (2, 1), (5, 4)] {
            let mut retries = policy(attempts, Duration::from_secs(3600)).start(None);
            let count = std::iter::from_fn(|| retries.next(&busy(None), Repeat::IfUntouched));
            assert_eq!(count.count(), expected);
        }
        let mut retries = policy(9, Duration::from_secs(10)).start(None);
        retries.next(&busy(None), Repeat::Always).unwrap();
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(retries.next(&busy(None), Repeat::Always), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_can_ask_for_a_longer_pause_within_the_budget() {
        let mut retries = policy(9, Duration::from_secs(60)).start(None);
        let pause = retries.next(&busy(Some("30")), Repeat::Always).unwrap();
        assert!(pause >= Duration::from_secs(30), "{pause:?}");
        for beyond in [
            "61",
            "18446744073709551615",
            "Sat, 06 Nov 2094 08:49:37 GMT",
        ] {
            assert_eq!(retries.next(&busy(Some(beyond)), Repeat::Always), None);
        }
    }
}
