//! What the operations share: the list, read once, and what is known of a key.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Body, ByteRange, Capabilities, ETag, Error, ErrorClass, GetOptions, Key, KeyRule, Lifecycle,
    ListOptions, Metadata, ObjectStore, Operation, Result,
};
use tokio::sync::{Notify, OnceCell, Semaphore, watch};

use super::due::{Due, Found, Stored};
use super::record::{self, MAX_TRAILER, Name, Record, What};
use super::tags::{Alias, Tags};
use crate::parts::KeyLocks;
use crate::tiered::options::TieredOptions;

/// How many records are read at once when the list is read.
const READS: usize = 16;

pub(super) struct Core {
    /// Which has the records.
    pub(super) fast: Arc<dyn ObjectStore>,
    /// Both tiers, with puts that go to the slow one.
    pub(super) below: Arc<dyn ObjectStore>,
    pub(super) capabilities: Capabilities,
    pub(super) due: Arc<Due>,
    pub(super) tags: Tags,
    pub(super) max_tags: usize,
    /// Held while a key is written, not while it is drained.
    pub(super) locks: KeyLocks,
    pub(super) lifecycle: Lifecycle,
    pub(super) drains: Semaphore,
    pub(super) hurry: Notify,
    pub(super) pauses: (Duration, Duration),
    /// The most bytes of a record.
    pub(super) max_stored: u64,
    /// Copies of objects up to this size are made as they are drained.
    pub(super) small: u64,
    /// Ends the tasks.
    pub(super) stop: watch::Receiver<bool>,
    /// The list was read.
    listed: OnceCell<()>,
    /// Tasks were begun for what it had.
    pub(super) kicked: AtomicBool,
    /// In all tags of this process.
    instance: u64,
}

/// A key that cannot be used.
fn flaw(key: &str, slow: &KeyRule) -> Option<&'static str> {
    if record::is_reserved(key) {
        return Some("the list of what is due has the keys that begin so");
    }
    slow.flaw(key)
}

impl Core {
    pub(super) fn new(
        fast: Arc<dyn ObjectStore>,
        below: Arc<dyn ObjectStore>,
        options: &TieredOptions,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let slow = below.capabilities().clone();
        let keys = slow.keys.clone();
        let attributes = fast.capabilities().max_attributes;
        let capabilities = slow
            .clone()
            .with_create(true)
            .with_replace(true)
            .with_verifies_sha256(false)
            .with_keys(KeyRule::new(move |key| flaw(key, &keys)))
            .with_max_attributes(slow.max_attributes.min(attributes))
            .with_native_copy(false)
            .with_rename(false)
            .with_events(false);
        Self {
            capabilities,
            due: Arc::new(Due::new(options.max_due_bytes, options.max_due)),
            tags: Tags::default(),
            max_tags: options.max_tags,
            locks: KeyLocks::default(),
            lifecycle: Lifecycle::default(),
            drains: Semaphore::new(options.drains.clamp(1, Semaphore::MAX_PERMITS)),
            hurry: Notify::new(),
            pauses: (options.drain_min_pause, options.drain_max_pause),
            max_stored: options.max_due_bytes.min(fast.capabilities().max_size),
            small: options.window,
            stop,
            listed: OnceCell::new(),
            kicked: AtomicBool::new(false),
            instance: RandomState::new().hash_one(()),
            fast,
            below,
        }
    }

    /// Waits until the list is read.
    ///
    /// # Errors
    /// [`Error::Closed`]; those of the fast tier.
    pub(super) async fn listed(&self, operation: Operation, key: Option<&Key>) -> Result<()> {
        self.lifecycle.check(operation, key)?;
        self.listed.get_or_try_init(|| self.read_list()).await?;
        Ok(())
    }

    async fn read_list(&self) -> Result<()> {
        if !self
            .fast
            .capabilities()
            .accepts_key(&Key::new(Name::Tag(0).text())?)
        {
            return Err(Error::config(
                "fast",
                format!(
                    "takes no keys that begin with {:?}, as the records of what is due do",
                    record::prefix()
                ),
            ));
        }
        let options = ListOptions::default().prefix(record::prefix());
        let entries = self.fast.list(options);
        let names: Vec<(Name, Key)> = entries
            .try_filter_map(async |entry| Ok(Name::parse(&entry.key).map(|name| (name, entry.key))))
            .try_collect()
            .await?;
        // Nothing is known before all of it is.
        let mut found = Vec::with_capacity(names.len());
        let mut reading = stream::iter(names)
            .map(|(name, key)| async move {
                let read = self.read_trailer(name, &key).await;
                read.map(|read| read.map(|(record, size)| (name, key, record, size)))
            })
            .buffered(READS);
        while let Some(record) = reading.try_next().await? {
            found.extend(record);
        }
        // Of a key's records the last one counts.
        found.sort_by_key(|(_, _, record, _)| record.number);
        let mut old_tags = Vec::new();
        for (name, key, record, size) in found {
            match (name, record.what) {
                (Name::Due(name), what) => {
                    let put = match what {
                        What::Put(put) => Some(put),
                        What::Delete => None,
                        What::Tag { .. } => return Err(damaged(&key)),
                    };
                    let number = record.number;
                    let stored = Stored { number, key, size };
                    self.due.count_from(name);
                    self.due.insert_found(&record.key, stored, put);
                }
                (Name::Tag(number), What::Tag { put, slow }) => {
                    let alias = Alias {
                        number,
                        slow,
                        etag: put.etag,
                        last_modified: put.last_modified,
                    };
                    self.due.count_from(number);
                    if let Some(old) = self.tags.insert(&record.key, alias) {
                        old_tags.push(old);
                    }
                }
                (Name::Tag(number), _) => old_tags.push(number),
            }
        }
        for number in old_tags {
            self.remove_tag(number).await;
        }
        Ok(())
    }

    /// What a record says, and its size; `None` if it is gone.
    async fn read_trailer(&self, name: Name, key: &Key) -> Result<Option<(Record, u64)>> {
        let end = ByteRange::suffix(MAX_TRAILER).clamped();
        let get = GetOptions::default().range(end);
        let object = match self.fast.get_opts(key, get).await {
            Ok(object) => object,
            // Removed by one who read the list before, and was dropped.
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Metadata {
            size, attributes, ..
        } = object.metadata;
        let end = object.body.collect(MAX_TRAILER).await?;
        let Some(mut record) = record::read(&end, size) else {
            match name {
                Name::Due(_) => return Err(damaged(key)),
                // Without it a version goes by the slow tier's tag.
                Name::Tag(number) => self.remove_tag(number).await,
            }
            return Ok(None);
        };
        if let What::Put(put) = &mut record.what {
            put.attributes = attributes;
        }
        Ok(Some((record, size)))
    }

    /// Removes a tag that is forgotten or damaged. If that fails it is read once more, and means
    /// nothing.
    pub(super) async fn remove_tag(&self, number: u64) {
        if let Ok(name) = Key::new(Name::Tag(number).text()) {
            let _ = self.fast.delete(&name).await;
        }
    }

    /// The tag of the put of this number.
    pub(super) fn tag(&self, number: u64) -> ETag {
        ETag::new(format!("due-{:016x}-{number:016x}", self.instance))
    }

    /// The metadata under the tag that the object was put with.
    pub(super) fn seen(&self, key: &Key, metadata: Metadata) -> Metadata {
        match self.tags.get(key) {
            Some(alias) if alias.slow == metadata.etag => Metadata {
                etag: alias.etag,
                last_modified: alias.last_modified,
                ..metadata
            },
            _ => metadata,
        }
    }

    /// The conditions with the slow tier's tags.
    pub(super) fn conditions(&self, key: &Key, options: &GetOptions) -> GetOptions {
        let Some(Alias { slow, etag, .. }) = self.tags.get(key) else {
            return options.clone();
        };
        let in_slow = |wanted: Option<ETag>| {
            wanted.map(|wanted| if wanted == etag { slow.clone() } else { wanted })
        };
        let (if_match, if_none_match) = (options.if_match.clone(), options.if_none_match.clone());
        options
            .clone()
            .if_match(in_slow(if_match))
            .if_none_match(in_slow(if_none_match))
    }

    /// The list is read.
    pub(super) async fn head(&self, key: &Key, operation: Operation) -> Result<Metadata> {
        if record::is_reserved(key.as_str()) {
            return Err(Error::not_found(operation, key));
        }
        loop {
            match self.due.look_up(key) {
                Found::Put(_, metadata) => return Ok(metadata),
                Found::Deleted => return Err(Error::not_found(operation, key)),
                Found::Not => {}
            }
            let head = self.below.head(key).await;
            // Written meanwhile, it may have a tag of the slow tier that is not known yet.
            if !self.due.is_due(key) {
                return head.map(|metadata| self.seen(key, metadata));
            }
        }
    }

    /// The bytes of a put that is due.
    pub(super) async fn read_record(&self, record: &Stored, range: Range<u64>) -> Result<Body> {
        if range.is_empty() {
            return Ok(Body::empty());
        }
        let get = GetOptions::default().range(range);
        Ok(self.fast.get_opts(&record.key, get).await?.body)
    }
}

fn damaged(key: &Key) -> Error {
    Error::Backend {
        operation: Operation::List,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: String::from(
            "the fast tier's record of a write that is due is damaged; once it is deleted, that \
             write is lost and the others go on",
        ),
        source: None,
    }
}
