//! A listing of directories as a stream.

use std::io;

use futures_util::stream::{self, Stream, StreamExt};
use storehouse_objectstore::{Operation, Result};
use tokio::task::JoinHandle;

use super::error::failed;

/// A walk through directories, batch after batch.
///
/// ```
/// use storehouse_engine::files::BatchWalk;
/// use storehouse_objectstore::Result;
///
/// /// Lines, two at a time.
/// struct Lines(Vec<String>);
///
/// impl BatchWalk for Lines {
///     type Item = String;
///
///     fn has_ended(&self) -> bool {
///         self.0.is_empty()
///     }
///
///     fn next_batch(&mut self) -> Result<Vec<String>> {
///         let rest = self.0.split_off(self.0.len().min(2));
///         Ok(std::mem::replace(&mut self.0, rest))
///     }
/// }
///
/// let mut lines = Lines(["a", "b", "c"].map(str::to_owned).to_vec());
/// assert_eq!(lines.next_batch()?, ["a", "b"]);
/// assert_eq!(lines.next_batch()?, ["c"]);
/// assert!(lines.has_ended());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub trait BatchWalk: Send + 'static {
    /// What it finds.
    type Item: Send + 'static;

    /// Whether no further item can come.
    fn has_ended(&self) -> bool;

    /// The next items. Blocks.
    ///
    /// # Errors
    /// What the walk meets; it ends there.
    fn next_batch(&mut self) -> Result<Vec<Self::Item>>;
}

/// What `walk` finds, read on the blocking pool: each batch while the one before is consumed, and
/// no further ahead.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// use futures_util::TryStreamExt;
/// use storehouse_engine::files::{BatchWalk, read_ahead};
/// use storehouse_objectstore::Result;
///
/// struct Countdown(u32);
///
/// impl BatchWalk for Countdown {
///     type Item = u32;
///
///     fn has_ended(&self) -> bool {
///         self.0 == 0
///     }
///
///     fn next_batch(&mut self) -> Result<Vec<u32>> {
///         self.0 -= 1;
///         Ok(vec![self.0])
///     }
/// }
///
/// # runtime.block_on(async {
/// let all: Vec<u32> = read_ahead(Countdown(3)).try_collect().await?;
/// assert_eq!(all, [2, 1, 0]);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_ahead<W: BatchWalk>(walk: W) -> impl Stream<Item = Result<W::Item>> + Send + 'static {
    stream::unfold(Ahead::Start(Box::new(walk)), Ahead::next).flatten()
}

/// A batch that is being read, and the walk that goes on behind it.
type Reading<W> = JoinHandle<(Box<W>, Result<Vec<<W as BatchWalk>::Item>>)>;

enum Ahead<W: BatchWalk> {
    Start(Box<W>),
    Reading(Reading<W>),
    End,
}

type Items<T> = stream::Iter<std::vec::IntoIter<Result<T>>>;

impl<W: BatchWalk> Ahead<W> {
    fn read(mut walk: Box<W>) -> Reading<W> {
        tokio::task::spawn_blocking(move || {
            let batch = walk.next_batch();
            (walk, batch)
        })
    }

    async fn next(self) -> Option<(Items<W::Item>, Self)> {
        let reading = match self {
            Self::Start(walk) if walk.has_ended() => return None,
            Self::Start(walk) => Self::read(walk),
            Self::Reading(reading) => reading,
            Self::End => return None,
        };
        let (batch, next) = match reading.await {
            Ok((walk, Ok(batch))) => {
                let next = if walk.has_ended() {
                    Self::End
                } else {
                    Self::Reading(Self::read(walk))
                };
                (batch.into_iter().map(Ok).collect(), next)
            }
            Ok((_, Err(e))) => (vec![Err(e)], Self::End),
            Err(e) => {
                let source = io::Error::other(e);
                let error = failed(Operation::List, None, "the work was cut off", source);
                (vec![Err(error)], Self::End)
            }
        };
        Some((stream::iter(batch), next))
    }
}
