//! The replicas, and what they answer.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use storehouse_objectstore::{
    Attributes, ByteRange, Capabilities, ETag, Error, ErrorClass, GetOptions, Key, Lifecycle,
    Object, ObjectStore, Operation, Result,
};
use tokio::time::{Instant, timeout};

use super::clock::{Clock, is_far_ahead, now};
use super::commits::Commits;
use super::failures::{Failures, damaged, silent, too_few};
use super::missed::Missed;
use super::options::MirrorOptions;
use super::record::{LEN, Trailer, Version};
use crate::parts::KeyLocks;

#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) replicas: Vec<Replica<S>>,
    pub(super) options: MirrorOptions,
    /// How many replicas have to hold a write.
    pub(super) writes: usize,
    /// How many have to answer a read.
    pub(super) reads: usize,
    pub(super) capabilities: Capabilities,
    pub(super) opened: Instant,
    pub(super) clock: Clock,
    pub(super) locks: KeyLocks,
    pub(super) commits: Commits,
    pub(super) missed: Missed,
    /// Keys that are repaired in the background.
    pub(super) repairing: Mutex<HashSet<Key>>,
    pub(super) lifecycle: Lifecycle,
}

#[derive(Debug)]
pub(super) struct Replica<S> {
    pub(super) store: S,
    /// Until when it is asked last because it failed, in milliseconds since the store was opened.
    suspect_until: AtomicU64,
}

impl<S> Replica<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            suspect_until: AtomicU64::new(0),
        }
    }
}

/// What a replica holds under a key.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// A record that cannot be used, and why.
    Damaged(String),
    Record(Record),
}

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) trailer: Trailer,
    /// The tag that the replica gives it.
    pub(super) etag: ETag,
    pub(super) attributes: Attributes,
    /// The end of the content, which came with the trailer.
    pub(super) tail: Bytes,
}

impl Found {
    pub(super) fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            _ => None,
        }
    }
}

/// How enough replicas are asked for a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// At most this many bytes of the content's end come with the trailer.
    pub(super) tail: u64,
    /// How many are asked at the beginning, if that is more than are needed. The answers of those
    /// beyond the number needed are waited for no longer than the others take.
    pub(super) first: usize,
    /// Once all were asked, a damaged record counts as an answer, as it will be overwritten.
    pub(super) overwrites: bool,
}

impl Ask {
    pub(super) fn to_read(tail: u64) -> Self {
        Self {
            tail,
            first: 0,
            overwrites: false,
        }
    }
}

/// The replicas that answered a read, and those that failed.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) found: Vec<(usize, Found)>,
    pub(super) failures: Failures,
}

impl Answers {
    /// The newest record, a delete's too.
    pub(super) fn newest(&self) -> Option<&Record> {
        let records = self.found.iter().filter_map(|(_, found)| found.record());
        records.max_by_key(|record| record.trailer.version)
    }

    /// The newest record, if it is an object.
    pub(super) fn object(&self) -> Option<&Record> {
        self.newest().filter(|record| !record.trailer.deleted)
    }

    /// Whether all that answered hold the same version, or nothing.
    pub(super) fn agree(&self) -> bool {
        let version = |found: &Found| found.record().map(|record| record.trailer.version);
        let mut versions = self.found.iter().map(|(_, found)| version(found));
        let first = versions.next();
        versions.all(|version| Some(version) == first)
    }

    /// The replicas that hold this version.
    pub(super) fn holders(&self, version: Version) -> Vec<(usize, ETag)> {
        self.found
            .iter()
            .filter_map(|(replica, found)| Some((*replica, found.record()?)))
            .filter(|(_, record)| record.trailer.version == version)
            .map(|(replica, record)| (replica, record.etag.clone()))
            .collect()
    }
}

impl<S: ObjectStore> Shared<S> {
    /// Whether each read meets each write that succeeded.
    pub(super) fn is_strict(&self) -> bool {
        self.writes + self.reads > self.replicas.len()
    }

    fn since_opened(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn is_suspect(&self, replica: usize) -> bool {
        let until = self.replicas[replica].suspect_until.load(Ordering::Relaxed);
        until != 0 && until > self.since_opened()
    }

    pub(super) fn suspect(&self, replica: usize) {
        let time = u64::try_from(self.options.timeout.as_millis()).unwrap_or(u64::MAX);
        let until = self.since_opened().saturating_add(time.max(1));
        self.replicas[replica]
            .suspect_until
            .store(until, Ordering::Relaxed);
    }

    pub(super) fn trust(&self, replica: usize) {
        let replica = &self.replicas[replica];
        if replica.suspect_until.load(Ordering::Relaxed) != 0 {
            replica.suspect_until.store(0, Ordering::Relaxed);
        }
    }

    /// The replicas in the order in which a read of the key asks them.
    pub(super) fn order(&self, key: &Key) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.replicas.len()).collect();
        order.sort_by_key(|replica| {
            (
                self.missed.is_behind(key, *replica),
                self.is_suspect(*replica),
            )
        });
        order
    }

    /// A request of one replica, which must not be silent for too long.
    pub(super) async fn timed<T>(
        &self,
        of: (Operation, Option<&Key>, usize),
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        self.within(self.options.timeout, of, request).await
    }

    /// A request of one replica, which must not be silent for this time.
    pub(super) async fn within<T>(
        &self,
        time: Duration,
        (operation, key, replica): (Operation, Option<&Key>, usize),
        request: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let answer = match timeout(time, request).await {
            Ok(answer) => answer,
            Err(_) => Err(silent(operation, key, time)),
        };
        self.note(replica, answer.as_ref().err());
        answer
    }

    /// Remembers how a replica answered.
    pub(super) fn note(&self, replica: usize, error: Option<&Error>) {
        match error.map(Error::class) {
            None | Some(ErrorClass::NotFound | ErrorClass::Conflict | ErrorClass::NotModified) => {
                self.trust(replica);
            }
            Some(ErrorClass::InvalidInput) => {}
            Some(_) => self.suspect(replica),
        }
    }

    /// Asks one replica what it holds: its trailer, and at most `tail` bytes of the content before
    /// it. A content that comes whole is checked.
    pub(super) async fn ask(
        &self,
        operation: Operation,
        replica: usize,
        key: &Key,
        tail: u64,
    ) -> Result<Found> {
        let most = tail + LEN;
        let end = GetOptions::default().range(ByteRange::suffix(most).clamped());
        let store = &self.replicas[replica].store;
        let read = async {
            let Object { metadata, body, .. } = store.get_opts(key, end).await?;
            Ok((body.collect(most).await?, metadata))
        };
        let (end, metadata) = match self.timed((operation, Some(key), replica), read).await {
            Ok(read) => read,
            Err(error) if error.is_not_found() => return Ok(Found::Nothing),
            Err(Error::RangeNotSatisfiable { .. }) => {
                return Ok(Found::Damaged(String::from("it is empty")));
            }
            Err(error) => return Err(error.map_operation(operation)),
        };
        let trailer = match trailer_of(&end, metadata.size) {
            Ok(trailer) => trailer,
            Err(flaw) => return Ok(Found::Damaged(flaw.to_owned())),
        };
        let tail = end.slice(..end.len() - LEN as usize);
        if tail.len() as u64 == trailer.size && crc32c::crc32c(&tail) != trailer.crc {
            return Ok(Found::Damaged(String::from("its content is damaged")));
        }
        Ok(Found::Record(Record {
            trailer,
            etag: metadata.etag,
            attributes: metadata.attributes,
            tail,
        }))
    }

    /// Asks as many replicas as a read needs, others in place of those that fail, and one more
    /// each time that they take too long.
    ///
    /// # Errors
    /// If too few answer.
    pub(super) async fn ask_enough(
        &self,
        operation: Operation,
        key: &Key,
        how: Ask,
    ) -> Result<Answers> {
        let Ask { tail, first, .. } = how;
        let needed = self.reads;
        let mut left = self.order(key).into_iter();
        let ask = |replica| async move { (replica, self.ask(operation, replica, key, tail).await) };
        let mut asked: FuturesUnordered<_> =
            left.by_ref().take(first.max(needed)).map(ask).collect();
        let mut answers = Answers {
            found: Vec::new(),
            failures: Vec::new(),
        };
        let (mut counted, mut damages, mut patient) = (0, 0, first > needed);
        loop {
            if counted >= needed && !patient {
                return Ok(answers);
            }
            let next = if patient || left.len() > 0 {
                timeout(self.options.hedge_after, asked.next()).await
            } else {
                Ok(asked.next().await)
            };
            let answer = match next {
                Ok(Some(answer)) => answer,
                Ok(None) if counted >= needed => return Ok(answers),
                Ok(None) if how.overwrites && counted + damages >= needed => return Ok(answers),
                Ok(None) => {
                    let counts = (needed, self.replicas.len());
                    return Err(too_few(operation, Some(key), counts, answers.failures));
                }
                Err(_) if counted >= needed => return Ok(answers),
                Err(_) => {
                    patient = false;
                    asked.extend(left.next().map(ask));
                    continue;
                }
            };
            match answer {
                (replica, Ok(Found::Damaged(flaw))) => {
                    damages += 1;
                    let error = damaged(operation, key, &flaw);
                    answers.failures.push((replica, error));
                    answers.found.push((replica, Found::Damaged(flaw)));
                    asked.extend(left.next().map(ask));
                }
                (replica, Ok(found)) => {
                    if self.is_strict() || !self.missed.is_behind(key, replica) {
                        counted += 1;
                    } else {
                        let error = damaged(operation, key, "it missed a write");
                        answers.failures.push((replica, error));
                        asked.extend(left.next().map(ask));
                    }
                    answers.found.push((replica, found));
                }
                (replica, Err(error)) => {
                    answers.failures.push((replica, error));
                    asked.extend(left.next().map(ask));
                }
            }
        }
    }

    /// Asks all replicas, and waits for each.
    pub(super) async fn ask_all(&self, operation: Operation, key: &Key) -> Answers {
        let all = (0..self.replicas.len()).map(|replica| self.ask(operation, replica, key, 0));
        let mut answers = Answers {
            found: Vec::new(),
            failures: Vec::new(),
        };
        for (replica, answer) in join_all(all).await.into_iter().enumerate() {
            match answer {
                Ok(found) => answers.found.push((replica, found)),
                Err(error) => answers.failures.push((replica, error)),
            }
        }
        answers
    }

    /// The age of a version, by this machine's clock.
    pub(super) fn age(version: Version) -> Duration {
        Duration::from_nanos(now().saturating_sub(version.time))
    }
}

/// The trailer at the end of a record of `stored` bytes. One from far ahead of the clock is
/// damaged: all later versions would have to be after it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn trailer_of(end: &[u8], stored: u64) -> Result<Trailer, &'static str> {
    let trailer = Trailer::parse(end, stored)?;
    if is_far_ahead(trailer.version) {
        return Err("its version is more than a day ahead of this machine's clock");
    }
    Ok(trailer)
}
