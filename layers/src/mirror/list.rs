//! Listings: those of the replicas, merged, with the newest of each key.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future, stream};
use storehouse_objectstore::{
    Attributes, Entry, Key, ListOptions, Metadata, ObjectStore, Operation, Result,
};

use super::record::{LEN, Trailer, is_deleted};
use super::shared::{Ask, Found, Record, Shared, trailer_of};
use super::sources::Sources;
use crate::parts::{Merge, Moves, merged};

/// How many trailers of one replica are read at once.
const TRAILERS: usize = 16;

/// Records of at most this size, in bytes, are asked for with a listing, for the trailer in them.
const INLINE: u64 = 16 * 1024;

impl<S: ObjectStore> Shared<S> {
    pub(super) fn list(self: Arc<Self>, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        if let Err(error) = self.lifecycle.check(Operation::List, None) {
            return stream::iter([Err(error)]).boxed();
        }
        let of = self.replicas.len();
        let counts = |replica| self.is_strict() || !self.missed.is_behind_on_any(replica);
        let counted = (0..of).filter(|replica| counts(*replica));
        let (suspect, good): (Vec<_>, Vec<_>) =
            counted.partition(|replica| self.is_suspect(*replica));
        // Those that are likely to fail are not waited for if the others are enough.
        let patience = |replica| {
            if good.len() >= self.reads && self.is_suspect(replica) {
                self.options.hedge_after
            } else {
                self.options.timeout
            }
        };
        let sources = Sources::new(self.reads, of, good.len() + suspect.len());
        let listings = (0..of).map(|replica| {
            let entries = Arc::clone(&self).entries_of(replica, &options);
            sources.source(
                &self,
                (replica, counts(replica), patience(replica)),
                entries,
            )
        });
        let merge = Merge {
            sources: listings.collect(),
            order: self.capabilities.order.clone(),
            // Nothing moves.
            moved: Moves::default().watch(),
            pick: Box::new(|same| {
                let entries = same.into_iter().map(|(_, entry)| entry);
                let newest = entries.max_by(|a, b| {
                    let (a, b) = (&a.metadata.etag, &b.metadata.etag);
                    a.as_str().cmp(b.as_str())
                })?;
                (!is_deleted(&newest.metadata.etag)).then_some(newest)
            }),
            look_up: Box::new(|_| Box::pin(future::ok(None))),
        };
        merged(merge, options)
    }

    /// What one replica holds, deletes too, with the tags of [`Trailer::tag`].
    fn entries_of(
        self: Arc<Self>,
        replica: usize,
        options: &ListOptions,
    ) -> BoxStream<'static, Result<Entry>> {
        let wanted = options.inline_values;
        let most = wanted.map_or(0, |most| most.saturating_add(LEN));
        // Deletes are not counted, so more may be needed than is asked for.
        let inner = options
            .clone()
            .limit(None)
            .delimiter(None)
            .inline_values(most.max(INLINE));
        let listing = self.replicas[replica].store.list(inner);
        listing
            .map(move |entry| {
                let shared = Arc::clone(&self);
                async move { shared.entry_of(replica, entry?, wanted).await }
            })
            .buffered(TRAILERS)
            .filter_map(|entry| future::ready(entry.transpose()))
            .boxed()
    }

    /// The entry of a record; none if it is gone meanwhile. Of one that is damaged, the entry by
    /// what enough others hold, so that the listing of its replica goes on.
    async fn entry_of(
        self: Arc<Self>,
        replica: usize,
        entry: Entry,
        wanted: Option<u64>,
    ) -> Result<Option<Entry>> {
        let Entry {
            key,
            metadata,
            value,
        } = entry;
        let wanted = |size| wanted.is_some_and(|most| size <= most);
        let (tail, contents) = if let Some(stored) = value {
            if let Ok(trailer) = trailer_of(&stored, metadata.size) {
                let content = stored.slice(..stored.len() - LEN as usize);
                if crc32c::crc32c(&content) == trailer.crc {
                    let value = wanted(trailer.size).then_some(content);
                    return Ok(Some(entry_with(key, &trailer, metadata.attributes, value)));
                }
            }
            (stored.len() as u64, true)
        } else {
            match self.ask(Operation::List, replica, &key, 0).await? {
                Found::Nothing => return Ok(None),
                Found::Damaged(_) => (0, false),
                Found::Record(Record {
                    trailer,
                    attributes,
                    ..
                }) => return Ok(Some(entry_with(key, &trailer, attributes, None))),
            }
        };
        if self.options.repair_reads {
            Arc::clone(&self).repair_soon(&key, contents);
        }
        let answers = self.ask_enough(Operation::List, &key, Ask::to_read(tail));
        Ok(answers.await?.newest().map(|record| {
            let Record { trailer, tail, .. } = record;
            let whole = tail.len() as u64 == trailer.size && wanted(trailer.size);
            let value = whole.then(|| tail.clone());
            entry_with(key, trailer, record.attributes.clone(), value)
        }))
    }
}

fn entry_with(key: Key, trailer: &Trailer, attributes: Attributes, value: Option<Bytes>) -> Entry {
    Entry {
        key,
        metadata: Metadata {
            etag: trailer.tag(),
            ..trailer.metadata(attributes)
        },
        value,
    }
}
