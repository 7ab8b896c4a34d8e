//! Makes the replicas the same, key by key.

use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{Key, ListOptions, ObjectStore, Operation, Result};

use super::failures::{story, too_few};
use super::repair::RepairScope;
use super::shared::Shared;
use super::sources::Sources;
use crate::parts::{Merge, Moves, merged};

/// Options of [`MirrorStore::scrub_keys`](super::MirrorStore::scrub_keys).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubOptions {
    /// Only keys that start with this text. All keys if empty.
    pub prefix: String,
    /// Only keys after this one (exclusive), in the order of the store's listings: where a scrub
    /// that was stopped goes on.
    pub start_after: Option<Key>,
    /// Read all contents, and repair those that are damaged. False by default: versions alone are
    /// compared, with one small read for each record.
    pub contents: bool,
}

impl ScrubOptions {
    /// With this prefix.
    ///
    /// ```
    /// # use storehouse_layers::ScrubOptions;
    /// assert_eq!(ScrubOptions::default().prefix("a/").prefix, "a/");
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// After this key (exclusive).
    ///
    /// ```
    /// # use storehouse_layers::ScrubOptions;
    /// # use storehouse_objectstore::Key;
    /// let options = ScrubOptions::default().start_after(Key::new("a")?);
    /// assert!(options.start_after.is_some());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn start_after(mut self, key: impl Into<Option<Key>>) -> Self {
        self.start_after = key.into();
        self
    }

    /// With all contents read, or not.
    ///
    /// ```
    /// # use storehouse_layers::ScrubOptions;
    /// assert!(ScrubOptions::default().contents(true).contents);
    /// ```
    #[must_use]
    pub fn contents(mut self, contents: bool) -> Self {
        self.contents = contents;
        self
    }
}

/// What a scrub found under one key, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScrubbedKey {
    /// The key.
    pub key: Key,
    /// The replicas, by their places, that were given the newest version.
    pub repaired: Vec<usize>,
    /// The bytes that were copied to them.
    pub bytes: u64,
    /// The record of a delete was removed from all replicas.
    pub swept: bool,
    /// The replicas that could not be compared, copied from or repaired, by their places, and why.
    pub failed: Vec<(usize, String)>,
}

/// What a scrub did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scrubbed {
    /// Keys that were compared, those of deletes too.
    pub keys: u64,
    /// Records that were written to a replica that had an older one, a damaged one or none.
    pub repaired: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Deletes of which the record was removed.
    pub swept: u64,
    /// Keys under which a replica failed.
    pub failed: u64,
    /// The first such failure: the key, the replica by its place, and why.
    pub first_failure: Option<(Key, usize, String)>,
}

impl<S: ObjectStore> Shared<S> {
    pub(super) fn scrub_keys(
        self: Arc<Self>,
        options: ScrubOptions,
    ) -> BoxStream<'static, Result<ScrubbedKey>> {
        let of = self.replicas.len();
        let sources = Sources::new(1, of, of);
        let listing = ListOptions::default()
            .prefix(options.prefix)
            .start_after(options.start_after);
        let listings = (0..of).map(|replica| {
            let entries = self.replicas[replica].store.list(listing.clone());
            sources.source(&self, (replica, true, self.options.timeout), entries)
        });
        let merge = Merge {
            sources: listings.collect(),
            order: self.capabilities.order.clone(),
            moved: Moves::default().watch(),
            pick: Box::new(|mut same| same.pop().map(|(_, entry)| entry)),
            look_up: Box::new(|_| Box::pin(future::ok(None))),
        };
        let at_once = self.options.repairs.max(1);
        let keys = merged(merge, listing);
        let scrubbed = keys
            .map(move |entry| {
                let shared = Arc::clone(&self);
                async move {
                    let key = entry?.key;
                    let scope = RepairScope {
                        contents: options.contents,
                        sweep: true,
                    };
                    let repair = shared.repair_detached(key.clone(), scope).await?;
                    let failed = repair.failures.iter();
                    Ok(ScrubbedKey {
                        key,
                        repaired: repair.repaired,
                        bytes: repair.bytes,
                        swept: repair.swept,
                        failed: failed.map(|(of, error)| (*of, story(error))).collect(),
                    })
                }
            })
            .buffered(at_once);
        // What the listings that failed would have given is known only now to be missing.
        let last = stream::once(async move {
            let failures = sources.take_failures();
            if failures.is_empty() {
                return None;
            }
            Some(Err(too_few(Operation::List, None, (of, of), failures)))
        });
        scrubbed.chain(last.filter_map(future::ready)).boxed()
    }

    pub(super) async fn scrub(self: Arc<Self>) -> Result<Scrubbed> {
        self.missed.begin_scrub();
        let mut done = Scrubbed::default();
        let mut keys = Arc::clone(&self).scrub_keys(ScrubOptions::default());
        while let Some(scrubbed) = keys.try_next().await? {
            done.keys += 1;
            done.repaired += scrubbed.repaired.len() as u64;
            done.bytes += scrubbed.bytes;
            done.swept += u64::from(scrubbed.swept);
            done.failed += u64::from(!scrubbed.failed.is_empty());
            for (replica, why) in scrubbed.failed {
                let first = || (scrubbed.key.clone(), replica, why);
                done.first_failure.get_or_insert_with(first);
            }
        }
        // The replica that failed under a key may have the version that another one missed.
        if done.failed == 0 {
            for replica in 0..self.replicas.len() {
                self.missed.scrubbed(replica);
            }
        }
        Ok(done)
    }
}
