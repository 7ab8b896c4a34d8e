//! Listings: those of the replicas, merged, with the newest of each key.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future, stream};
use storehouse_objectstore::{
    Attributes, Entry, Key, ListOptions, Metadata, ObjectStore, Operation, Result,
};

use super::failures::damaged;
use super::record::{LEN, Trailer, is_deleted};
use super::shared::{Found, Shared, trailer_of};
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

    /// The entry of a record; none if it is gone meanwhile.
    async fn entry_of(
        &self,
        replica: usize,
        entry: Entry,
        wanted: Option<u64>,
    ) -> Result<Option<Entry>> {
        let Entry {
            key,
            metadata,
            value,
        } = entry;
        if let Some(stored) = value {
            let trailer = trailer_of(&stored, metadata.size)
                .map_err(|flaw| damaged(Operation::List, &key, flaw))?;
            let content = stored.slice(..stored.len() - LEN as usize);
            if crc32c::crc32c(&content) != trailer.crc {
                let flaw = "its content is damaged";
                return Err(damaged(Operation::List, &key, flaw));
            }
            let value = wanted.is_some_and(|most| trailer.size <= most);
            let value = value.then_some(content);
            return Ok(Some(entry_with(key, &trailer, metadata.attributes, value)));
        }
        match self.ask(Operation::List, replica, &key, 0).await? {
            Found::Nothing => Ok(None),
            Found::Damaged(flaw) => Err(damaged(Operation::List, &key, &flaw)),
            Found::Record(record) => Ok(Some(entry_with(
                key,
                &record.trailer,
                record.attributes,
                None,
            ))),
        }
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
