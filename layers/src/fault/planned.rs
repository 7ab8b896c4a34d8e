//! What happens to one operation.

use std::time::Duration;

use storehouse_objectstore::{Error, Result};

/// The faults of one operation.
#[derive(Debug, Default)]
pub(super) struct Planned {
    pub(super) delay: Duration,
    /// In place of the operation.
    pub(super) before: Option<Error>,
    /// In place of its answer.
    pub(super) after: Option<Error>,
    /// What breaks its stream, after how many bytes or entries, in this order.
    pub(super) breaks: Vec<(u64, Break)>,
    /// Offsets in the object, and what the byte there is XORed with.
    pub(super) flips: Vec<(u64, u8)>,
}

/// What happens to a stream at one place.
#[derive(Debug)]
pub(super) enum Break {
    Cut(Error),
    End,
    Stall(Duration),
}

impl Planned {
    /// Whether a body has to be looked at.
    pub(super) fn alters_stream(&self) -> bool {
        !self.breaks.is_empty() || !self.flips.is_empty()
    }

    /// Waits, then fails if the inner store is not to be asked.
    pub(super) async fn start(&mut self) -> Result<()> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.before.take().map_or(Ok(()), Err)
    }

    /// Does the operation, unless something comes in its place or in place of its answer.
    pub(super) async fn run<T>(mut self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.start().await?;
        let answer = call.await?;
        self.after.take().map_or(Ok(answer), Err)
    }
}
