//! Removing what has expired.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use storehouse_objectstore::{Entry, ListOptions, Metadata, ObjectStore, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::shared::Shared;
use crate::parts::detached;

/// How many objects a sweep looks at or removes at once.
const AT_ONCE: usize = 16;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Expired objects that are gone now.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What the sweeps in the background did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackgroundSweeps {
    /// Sweeps that ended, well or not.
    pub sweeps: u64,
    /// What those that ended well removed.
    pub swept: Swept,
    /// Sweeps that failed. The next one begins anew.
    pub failures: u64,
    /// Why the last one failed, if it did, with the causes.
    pub last_failure: Option<String>,
}

/// Sweeps all of the store once. What cannot be looked at or removed keeps no other object; the
/// first such error is returned at the end.
pub(super) async fn sweep<S: ObjectStore>(shared: &Arc<Shared<S>>) -> Result<Swept> {
    let listing = shared.inner.list(ListOptions::default());
    let mut removals = listing
        .map(|entry| async { remove(shared, entry?).await })
        .buffer_unordered(AT_ONCE);
    let (mut swept, mut failure) = (Swept::default(), None);
    while let Some(removed) = removals.next().await {
        match removed {
            Ok(Some(removed)) => {
                swept.objects += 1;
                swept.bytes += removed.size;
            }
            Ok(None) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(swept), Err)
}

async fn remove<S: ObjectStore>(shared: &Arc<Shared<S>>, entry: Entry) -> Result<Option<Metadata>> {
    let mut attributes = entry.metadata.attributes;
    // A listing may leave them out.
    if attributes.is_empty() {
        match shared.inner.head(&entry.key).await {
            Ok(metadata) => attributes = metadata.attributes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    if !shared.times.now().sweeps(&attributes) {
        return Ok(None);
    }
    // To its end, so that no delete is under way once others may write.
    detached(Arc::clone(shared).remove_expired(entry.key)).await
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Sweeps in the background, until dropped.
#[derive(Debug)]
pub(super) struct Sweeper {
    task: JoinHandle<()>,
    state: Arc<Mutex<BackgroundSweeps>>,
}

impl Sweeper {
    /// `None` outside of a Tokio runtime.
    pub(super) fn begin<S: ObjectStore>(shared: &Arc<Shared<S>>, every: Duration) -> Option<Self> {
        let runtime = Handle::try_current().ok()?;
        let state: Arc<Mutex<BackgroundSweeps>> = Arc::default();
        let (shared, told) = (Arc::clone(shared), Arc::clone(&state));
        let task = runtime.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let swept = sweep(&shared).await;
                let mut state = told.lock().unwrap_or_else(PoisonError::into_inner);
                state.sweeps += 1;
                match swept {
                    Ok(swept) => {
                        state.swept.objects += swept.objects;
                        state.swept.bytes += swept.bytes;
                        state.last_failure = None;
                    }
                    Err(error) => {
                        state.failures += 1;
                        state.last_failure = Some(with_causes(&error));
                    }
                }
            }
        });
        Some(Self { task, state })
    }

    pub(super) fn state(&self) -> BackgroundSweeps {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop();
    }
}
