//! The journal by the clock.

use std::time::Duration;

use futures_core::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use super::contract::Journal;
use super::options::Retention;
use super::types::BatchInfo;
use crate::error::Error;

/// How often a [`Rotator`] does what.
///
/// ```
/// use std::time::Duration;
/// use storehouse_local::journal::{Retention, RotatorOptions};
///
/// let minute = Duration::from_secs(60);
/// let options = RotatorOptions::default()
///     .rotate_every(minute)
///     .gc_every(60 * minute)
///     .retention(Retention::default());
/// assert_eq!((options.rotate_every, options.gc_every), (minute, 60 * minute));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RotatorOptions {
    /// The open batch is rotated this often, if it has a frame. Default: one hour.
    pub rotate_every: Duration,
    /// Garbage is collected this often, and once at the start. Default: one hour.
    pub gc_every: Duration,
    /// Which acknowledged batches the collection removes. Default: none.
    pub retention: Retention,
}

impl Default for RotatorOptions {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            rotate_every: hour,
            gc_every: hour,
            retention: Retention::default(),
        }
    }
}

impl RotatorOptions {
    /// With a rotation this often: a millisecond to ten years.
    #[must_use]
    pub fn rotate_every(mut self, interval: Duration) -> Self {
        self.rotate_every = interval;
        self
    }

    /// With a collection this often: a millisecond to ten years.
    #[must_use]
    pub fn gc_every(mut self, interval: Duration) -> Self {
        self.gc_every = interval;
        self
    }

    /// With collections that remove this.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }
}

/// What became of a batch that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handled {
    /// It was taken over: acknowledge it.
    Acknowledge,
    /// Not yet: it stays pending, and is handed over again after the next rotation by the clock, or
    /// after a restart.
    Later,
}

/// A task that rotates a journal, hands its batches over and collects garbage.
///
/// Every pending batch is handed to the callback, oldest first: at the start those that a crash
/// left, and then each one soon after its rotation, whatever caused it. Errors of the journal go to
/// the second callback, and the task goes on.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use storehouse_local::journal::{Handled, Journal, MemoryJournal, Rotator, RotatorOptions};
///
/// let journal = MemoryJournal::new(100 << 20);
/// let (sender, mut batches) = tokio::sync::mpsc::unbounded_channel();
/// let rotator = Rotator::spawn(
///     journal.clone(),
///     RotatorOptions::default(),
///     move |batch| {
///         let handled = if sender.send(batch).is_ok() { Handled::Acknowledge } else { Handled::Later };
///         Box::pin(async move { handled })
///     },
///     |error| eprintln!("journal: {error}"),
/// );
/// journal.append(b"an archive".as_slice().into()).await?;
/// let batch = journal.force_rotate().await?.expect("a frame was appended");
/// assert_eq!(batches.recv().await.expect("the rotator runs").cid, batch);
/// rotator.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Rotator {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Rotator {
    /// Starts the task on the current runtime, whose timer must be enabled.
    ///
    /// `on_batch` gets every pending batch; the next one waits for its answer. `on_error` gets what
    /// the journal fails with.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Handled, Journal, MemoryJournal, Rotator, RotatorOptions};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// journal.force_rotate().await?;
    /// let (sender, mut sizes) = tokio::sync::mpsc::unbounded_channel();
    /// let rotator = Rotator::spawn(
    ///     journal,
    ///     RotatorOptions::default(),
    ///     move |batch| {
    ///         sender.send(batch.size).ok();
    ///         Box::pin(async { Handled::Acknowledge })
    ///     },
    ///     |error| eprintln!("journal: {error}"),
    /// );
    /// assert!(sizes.recv().await.is_some_and(|size| size > 0));
    /// # rotator.stop().await;
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn spawn(
        journal: impl Journal,
        options: RotatorOptions,
        on_batch: impl FnMut(BatchInfo) -> BoxFuture<'static, Handled> + Send + 'static,
        on_error: impl FnMut(Error) + Send + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = Work {
            journal,
            on_batch,
            on_error,
            stopped,
            later: Vec::new(),
        };
        Self {
            stop,
            task: tokio::spawn(task.run(options)),
        }
    }

    /// Stops the task and waits for what it is at: a rotation, a batch being handed over, a
    /// collection. A panic of a callback goes on here.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Handled, MemoryJournal, Rotator, RotatorOptions};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// let (sender, mut batches) = tokio::sync::mpsc::unbounded_channel();
    /// let rotator = Rotator::spawn(
    ///     journal,
    ///     RotatorOptions::default(),
    ///     move |batch| {
    ///         sender.send(batch).ok();
    ///         Box::pin(async { Handled::Later })
    ///     },
    ///     |error| eprintln!("journal: {error}"),
    /// );
    /// rotator.stop().await;
    /// assert!(batches.recv().await.is_none(), "the callback is gone");
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(e) = self.task.await
            && e.is_panic()
        {
            std::panic::resume_unwind(e.into_panic());
        }
    }
}

struct Work<J, B, E> {
    journal: J,
    on_batch: B,
    on_error: E,
    stopped: watch::Receiver<bool>,
    /// Handed over and put off.
    later: Vec<storehouse_formats::Cid>,
}

impl<J, B, E> Work<J, B, E>
where
    J: Journal,
    B: FnMut(BatchInfo) -> BoxFuture<'static, Handled> + Send + 'static,
    E: FnMut(Error) + Send + 'static,
{
    async fn run(mut self, options: RotatorOptions) {
        let (rotate_every, gc_every) = (bounded(options.rotate_every), bounded(options.gc_every));
        let mut rotate = tokio::time::interval_at(Instant::now() + rotate_every, rotate_every);
        let mut gc = tokio::time::interval(gc_every);
        rotate.set_missed_tick_behavior(MissedTickBehavior::Delay);
        gc.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rotations = self.journal.rotations();
        rotations.mark_changed();
        let mut stopped = self.stopped.clone();
        loop {
            // Each branch's work is done outside of the selection, so that nothing is dropped half
            // way.
            let due = tokio::select! {
                biased;
                _ = stopped.wait_for(|&stopped| stopped) => return,
                _ = rotate.tick() => Due::Rotate,
                Ok(()) = rotations.changed() => Due::HandOver,
                _ = gc.tick() => Due::Collect,
            };
            match due {
                Due::Rotate => {
                    self.later.clear();
                    if let Err(error) = self.journal.force_rotate().await {
                        (self.on_error)(error);
                    }
                    self.hand_over().await;
                }
                Due::HandOver => self.hand_over().await,
                Due::Collect => {
                    if let Err(error) = self.journal.gc(options.retention).await {
                        (self.on_error)(error);
                    }
                }
            }
        }
    }

    async fn hand_over(&mut self) {
        let pending = match self.journal.pending().await {
            Ok(pending) => pending,
            Err(error) => return (self.on_error)(error),
        };
        for batch in pending {
            if *self.stopped.borrow() {
                return;
            }
            if self.later.contains(&batch.cid) {
                continue;
            }
            let cid = batch.cid.clone();
            match (self.on_batch)(batch).await {
                Handled::Acknowledge => {
                    if let Err(error) = self.journal.acknowledge(&cid).await {
                        (self.on_error)(error);
                    }
                }
                Handled::Later => self.later.push(cid),
            }
        }
    }
}

enum Due {
    Rotate,
    HandOver,
    Collect,
}

/// A timer cannot tick all the time, nor after more time than there is.
fn bounded(interval: Duration) -> Duration {
    interval.clamp(
        Duration::from_millis(1),
        Duration::from_secs(10 * 365 * 24 * 3600),
    )
}
