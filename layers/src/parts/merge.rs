//! Listings of several stores as one, in order.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Entry, Key, ListOptions, ListOrder, Result};

use super::moves::MovedKeys;

/// How listings become one.
pub(crate) struct Merge {
    /// The listings, each in `order`.
    pub(crate) sources: Vec<BoxStream<'static, Result<Entry>>>,
    pub(crate) order: ListOrder,
    /// Objects that move from one source to another meanwhile.
    pub(crate) moved: Arc<MovedKeys>,
    /// Which of the entries under one key is the one listed, if any is. Each comes with the place
    /// of its source.
    pub(crate) pick: Pick,
    /// The entry of a key that moved, if it is there.
    pub(crate) look_up: LookUp,
}

pub(crate) type Pick = Box<dyn Fn(Vec<(usize, Entry)>) -> Option<Entry> + Send>;

pub(crate) type LookUp =
    Box<dyn Fn(Key) -> BoxFuture<'static, Result<Option<Entry>>> + Send + Sync>;

/// One listing of all of them: each key once, in order.
pub(crate) fn merged(merge: Merge, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
    let left = options.limit.unwrap_or(usize::MAX);
    let merging = Merging {
        sources: merge
            .sources
            .into_iter()
            .map(|stream| Source {
                stream,
                head: None,
                ended: false,
            })
            .collect(),
        order: merge.order,
        moved: merge.moved,
        pick: merge.pick,
        look_up: merge.look_up,
        position: options.start_after,
        prefix: options.prefix,
        pending: Vec::new(),
    };
    if left == 0 {
        return stream::empty().boxed();
    }
    stream::try_unfold(merging, |mut merging| async move {
        Ok(merging.next().await?.map(|entry| (entry, merging)))
    })
    .take(left)
    .boxed()
}

struct Source {
    stream: BoxStream<'static, Result<Entry>>,
    head: Option<Entry>,
    ended: bool,
}

impl Source {
    async fn fill(&mut self) -> Result<()> {
        if self.head.is_none() && !self.ended {
            self.head = self.stream.next().await.transpose()?;
            self.ended = self.head.is_none();
        }
        Ok(())
    }
}

struct Merging {
    sources: Vec<Source>,
    order: ListOrder,
    moved: Arc<MovedKeys>,
    pick: Pick,
    look_up: LookUp,
    /// The last key that was passed.
    position: Option<Key>,
    prefix: String,
    /// Moved keys to look up before the sources go on, the last one first.
    pending: Vec<Key>,
}

impl Merging {
    async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            try_join_all(self.sources.iter_mut().map(Source::fill)).await?;
            // After the sources' pages were read: an object that is in none of them because it
            // moved was told before.
            let order = &self.order;
            let first = self
                .sources
                .iter()
                .filter_map(|source| source.head.as_ref().map(|entry| &entry.key))
                .min_by(|a, b| order.compare(a, b))
                .cloned();
            let mut moved = self.moved.take_before(first.as_ref(), order)?;
            if !moved.is_empty() {
                moved.append(&mut self.pending);
                moved.sort_by(|a, b| order.compare(b, a));
                moved.dedup();
                self.pending = moved;
            }
            while let Some(key) = self.pending.pop() {
                if !key.as_str().starts_with(&self.prefix) || !self.passes(&key) {
                    continue;
                }
                let found = (self.look_up)(key.clone()).await?;
                self.position = Some(key);
                if found.is_some() {
                    return Ok(found);
                }
            }
            let Some(first) = first else {
                return Ok(None);
            };
            let same: Vec<_> = self
                .sources
                .iter_mut()
                .enumerate()
                .filter_map(|(place, source)| {
                    let entry = source.head.take_if(|entry| entry.key == first)?;
                    Some((place, entry))
                })
                .collect();
            let passes = self.passes(&first);
            self.position = Some(first);
            if passes && let Some(entry) = (self.pick)(same) {
                return Ok(Some(entry));
            }
        }
    }

    /// Whether the key comes after all that was passed.
    fn passes(&self, key: &Key) -> bool {
        self.position
            .as_ref()
            .is_none_or(|position| self.order.compare(key, position).is_gt())
    }
}
