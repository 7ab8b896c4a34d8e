//! The queue of puts of a store that keeps one file an object.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use storehouse_objectstore::{PutResult, Result};

use crate::commit_queue::{Answers, Commit, CommitQueue, Pending, QueueOptions};

/// The most puts in a group. Each has two open files for a while.
const MAX_GROUP: usize = 128;

/// Groups at once: one writes while the other syncs.
const GROUPS: usize = 2;

/// How long a group waits for puts that are likely to come: less than most disks take for a sync.
const LINGER: Duration = Duration::from_micros(200);

/// What writes a group of puts.
///
/// ```
/// use storehouse_engine::files::PutGroup;
/// use storehouse_objectstore::{ETag, Error, Key, PutResult, Result};
///
/// /// Texts, of which none may be empty.
/// struct Texts;
///
/// impl PutGroup for Texts {
///     type Put = (Key, String);
///
///     fn commit_group(&self, puts: Vec<(Key, String)>) -> Vec<Result<PutResult>> {
///         let commit = |(key, text): (Key, String)| match text.as_str() {
///             "" => Err(Error::TooSmall { key, declared: 1, received: 0 }),
///             text => Ok(PutResult { etag: ETag::new(text) }),
///         };
///         puts.into_iter().map(commit).collect()
///     }
/// }
///
/// let key = Key::new("a").unwrap();
/// let results = Texts.commit_group(vec![(key.clone(), "one".into()), (key, String::new())]);
/// assert!(results[0].is_ok() && results[1].is_err());
/// ```
pub trait PutGroup: Send + Sync + 'static {
    /// A put.
    type Put: Send + 'static;

    /// Makes puts visible and durable. One result each, in order. Runs on the blocking pool.
    fn commit_group(&self, puts: Vec<Self::Put>) -> Vec<Result<PutResult>>;
}

/// Puts of durable objects, committed in groups.
pub type PutQueue<W> = CommitQueue<PutCommitter<W>>;

/// A queue of puts, each of which holds at most `inline` bytes of its body.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// use std::sync::Arc;
/// use storehouse_engine::files::{PutGroup, put_queue};
/// use storehouse_objectstore::{ETag, PutResult, Result};
///
/// struct Numbers;
///
/// impl PutGroup for Numbers {
///     type Put = u32;
///
///     fn commit_group(&self, puts: Vec<u32>) -> Vec<Result<PutResult>> {
///         let tags = puts.into_iter().map(|n| ETag::new(n.to_string()));
///         tags.map(|etag| Ok(PutResult { etag })).collect()
///     }
/// }
///
/// # runtime.block_on(async {
/// let queue = put_queue(Arc::new(Numbers), 64 * 1024);
/// let put = queue.submit(7, 0).await??;
/// assert_eq!(put.etag.as_str(), "7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn put_queue<W: PutGroup>(writer: Arc<W>, inline: u64) -> PutQueue<W> {
    let inline = usize::try_from(inline).unwrap_or(usize::MAX);
    let options = QueueOptions::default()
        .max_requests(MAX_GROUP)
        .max_bytes(inline.saturating_mul(MAX_GROUP))
        .groups_at_once(GROUPS)
        .linger(LINGER);
    CommitQueue::new(PutCommitter(writer), options)
}

/// Commits a group of puts. Does not hold the directory's lock: each put does.
pub struct PutCommitter<W>(Arc<W>);

impl<W> fmt::Debug for PutCommitter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutCommitter").finish_non_exhaustive()
    }
}

impl<W: PutGroup> Commit for PutCommitter<W> {
    type Request = W::Put;
    type Answer = Result<PutResult>;

    fn commit(&self, group: Vec<Pending<W::Put, Self::Answer>>, _: &mut Answers<Self::Answer>) {
        let (puts, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|pending| (pending.request, pending.reply))
            .unzip();
        for (result, reply) in self.0.commit_group(puts).into_iter().zip(replies) {
            reply.send(result);
        }
    }
}
