//! The puts of one write, one to each replica.

use std::time::Duration;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};
use tokio::task::{AbortHandle, JoinSet};

use super::failures::{Failures, silent, too_few};

/// One put to each replica, each in a task of its own. Dropping it ends them all.
#[derive(Debug)]
pub(super) struct ReplicaPuts {
    operation: Operation,
    key: Key,
    tasks: JoinSet<(usize, Result<()>)>,
    states: Vec<PutState>,
}

#[derive(Debug)]
enum PutState {
    /// Never begun: an older write to the replica is still under way.
    Skipped,
    Running(AbortHandle),
    Done,
    Failed(Error),
}

impl ReplicaPuts {
    pub(super) fn new(operation: Operation, key: &Key, replicas: usize) -> Self {
        Self {
            operation,
            key: key.clone(),
            tasks: JoinSet::new(),
            states: (0..replicas).map(|_| PutState::Skipped).collect(),
        }
    }

    pub(super) fn spawn(
        &mut self,
        replica: usize,
        put: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(async move { (replica, put.await) });
        self.states[replica] = PutState::Running(task);
    }

    fn those(&self, are: impl Fn(&PutState) -> bool) -> Vec<usize> {
        let places = 0..self.states.len();
        places.filter(|place| are(&self.states[*place])).collect()
    }

    pub(super) fn done(&self) -> usize {
        self.those(|state| matches!(state, PutState::Done)).len()
    }

    pub(super) fn is_done(&self, replica: usize) -> bool {
        matches!(self.states[replica], PutState::Done)
    }

    pub(super) fn running(&self) -> Vec<usize> {
        self.those(|state| matches!(state, PutState::Running(_)))
    }

    /// Those that have succeeded or still may.
    pub(super) fn hopeful(&self) -> Vec<usize> {
        self.those(|state| matches!(state, PutState::Done | PutState::Running(_)))
    }

    /// Waits until one more has ended, if any runs.
    pub(super) async fn next(&mut self) {
        match self.tasks.join_next().await {
            // One that was cut keeps the error it was cut with.
            Some(Ok((replica, _))) if !matches!(self.states[replica], PutState::Running(_)) => {}
            Some(Ok((replica, Ok(())))) => self.states[replica] = PutState::Done,
            Some(Ok((replica, Err(error)))) => self.states[replica] = PutState::Failed(error),
            Some(Err(failed)) if failed.is_panic() => {
                std::panic::resume_unwind(failed.into_panic());
            }
            // One that was cut.
            Some(Err(_)) => {}
            // No more tasks, so none runs: those that seem to were ended with the runtime.
            None => {
                for replica in self.running() {
                    let ended = failure(self.operation, &self.key, "the runtime has ended");
                    self.states[replica] = PutState::Failed(ended);
                }
            }
        }
    }

    /// Ends the put to this replica, which was silent for this time.
    pub(super) fn cut(&mut self, replica: usize, time: Duration) {
        if let PutState::Running(task) = &self.states[replica] {
            task.abort();
            let error = silent(self.operation, Some(&self.key), time);
            self.states[replica] = PutState::Failed(error);
        }
    }

    /// Ends the put to this replica, as if it had not begun.
    pub(super) fn skip(&mut self, replica: usize) {
        if let PutState::Running(task) = &self.states[replica] {
            task.abort();
            self.states[replica] = PutState::Skipped;
        }
    }

    /// Ends all that still run, which were silent for this time.
    pub(super) fn cut_silent(&mut self, time: Duration) {
        for replica in self.running() {
            self.cut(replica, time);
        }
    }

    /// What the write failed with.
    pub(super) fn into_error(self, needed: usize) -> Error {
        let of = self.states.len();
        let mut failures = Failures::new();
        for (replica, state) in self.states.into_iter().enumerate() {
            let late = "an older write of the key has not ended";
            match state {
                PutState::Failed(error) => failures.push((replica, error)),
                PutState::Skipped => {
                    failures.push((replica, failure(self.operation, &self.key, late)));
                }
                PutState::Running(_) | PutState::Done => {}
            }
        }
        too_few(self.operation, Some(&self.key), (needed, of), failures)
    }
}

fn failure(operation: Operation, key: &Key, message: &str) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Transient,
        message: message.to_owned(),
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_were_ended_from_outside_are_not_waited_for() {
        let mut puts = ReplicaPuts::new(Operation::Put, &Key::new("k").unwrap(), 3);
        puts.spawn(0, std::future::ready(Ok(())));
        puts.spawn(1, std::future::pending());
        tokio::task::yield_now().await;
        puts.tasks.abort_all();
        while !puts.running().is_empty() {
            puts.next().await;
        }
        assert!(puts.is_done(0) && puts.hopeful() == [0]);
        let error = puts.into_error(2).to_string();
        assert!(
            error.contains("replica 1: ") && error.contains("replica 2: "),
            "{error}"
        );
    }
}
