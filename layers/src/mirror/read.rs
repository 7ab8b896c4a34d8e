//! Reads: the newest of what enough replicas hold.

use std::sync::Arc;

use storehouse_objectstore::{
    Body, ByteRange, Error, GetOptions, Key, Metadata, Object, ObjectStore, Operation, Result,
};
use tokio::time::timeout;

use super::body::MirrorBody;
use super::failures::too_few;
use super::open::{Candidate, Opened, replaced};
use super::record::Version;
use super::shared::{Answers, Ask, Found, Record, Shared};

/// How much of a record's end is read for a whole object, in bytes: all of a small one.
const END: u64 = 64 * 1024;

/// How much is read for a range.
const RANGE_END: u64 = 4 * 1024;

/// A whole record that was asked for before its version was known: the replica, and what came of
/// it.
type Early = (usize, Result<Object>);

/// How often a read begins anew because its object was replaced.
const ATTEMPTS: usize = 16;

impl<S: ObjectStore> Shared<S> {
    /// Asks for the newest record; `None` if the answers may be of a write that is under way.
    async fn newest_unless_written(
        self: &Arc<Self>,
        operation: Operation,
        key: &Key,
        tail: u64,
    ) -> Result<Option<Answers>> {
        let reading = self.commits.read(key);
        let answers = self.ask_enough(operation, key, Ask::to_read(tail)).await?;
        // Any two reads have a replica in common, so the later one sees what the earlier saw.
        let certain = 2 * self.reads > self.replicas.len() && answers.agree();
        if !certain && !reading.met_no_commit() {
            return Ok(None);
        }
        self.look_after(key, &answers);
        Ok(Some(answers))
    }

    /// The newest record, while no write of this store is under way.
    async fn newest_locked(
        self: &Arc<Self>,
        operation: Operation,
        key: &Key,
        tail: u64,
    ) -> Result<Answers> {
        let _guard = self.locks.lock(key).await;
        let answers = self.ask_enough(operation, key, Ask::to_read(tail)).await?;
        self.look_after(key, &answers);
        Ok(answers)
    }

    /// Has the object repaired if the replicas differ.
    fn look_after(self: &Arc<Self>, key: &Key, answers: &Answers) {
        let damaged = |(_, found): &(usize, Found)| matches!(found, Found::Damaged(_));
        let damaged = answers.found.iter().any(damaged);
        if self.options.repair_reads && (!answers.agree() || damaged) {
            // The content may be what is damaged.
            Arc::clone(self).repair_soon(key, damaged);
        }
    }

    pub(super) async fn head(self: Arc<Self>, key: &Key) -> Result<Metadata> {
        self.lifecycle.check(Operation::Head, Some(key))?;
        if !self.capabilities.accepts_key(key) {
            return Err(Error::not_found(Operation::Head, key));
        }
        let answers = self.newest_unless_written(Operation::Head, key, 0).await?;
        let answers = match answers {
            Some(answers) => answers,
            None => {
                let (shared, key) = (Arc::clone(&self), key.clone());
                crate::parts::detached(async move {
                    shared.newest_locked(Operation::Head, &key, 0).await
                })
                .await?
            }
        };
        match answers.object() {
            Some(record) => Ok(record.trailer.metadata(record.attributes.clone())),
            None => Err(Error::not_found(Operation::Head, key)),
        }
    }

    pub(super) async fn get(self: Arc<Self>, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        if !self.capabilities.accepts_key(key) {
            return Err(Error::not_found(Operation::Get, key));
        }
        let whole = options.range.is_none_or(ByteRange::is_whole);
        let tail = if whole { END } else { RANGE_END };
        let first = self.order(key)[0];
        let (answers, early) = if whole && self.is_eager(first) {
            self.newest_and_early(key, first).await?
        } else {
            let newest = self.newest_unless_written(Operation::Get, key, tail);
            (newest.await?, None)
        };
        if let Some(answers) = answers
            && let Some(object) = self.open_answer(key, &options, &answers, early).await?
        {
            return Ok(object);
        }
        let (shared, key) = (Arc::clone(&self), key.clone());
        crate::parts::detached(async move {
            for _ in 0..ATTEMPTS {
                let answers = shared.newest_locked(Operation::Get, &key, tail).await?;
                if let Some(object) = shared.open_answer(&key, &options, &answers, None).await? {
                    return Ok(object);
                }
            }
            Err(replaced(&key, ATTEMPTS))
        })
        .await
    }

    /// Whether a content is asked for along with its version.
    fn is_eager(&self, replica: usize) -> bool {
        let remote = || self.replicas[replica].store.capabilities().remote;
        self.options.eager_gets.unwrap_or_else(remote)
    }

    /// The newest record, and the whole record of the replica that is asked first, both at once.
    async fn newest_and_early(
        self: &Arc<Self>,
        key: &Key,
        first: usize,
    ) -> Result<(Option<Answers>, Option<Early>)> {
        let store = &self.replicas[first].store;
        let get = store.get_opts(key, GetOptions::default());
        let mut early = std::pin::pin!(self.timed((Operation::Get, Some(key), first), get));
        let mut newest = std::pin::pin!(self.newest_unless_written(Operation::Get, key, 0));
        let mut object = None;
        let newest = loop {
            tokio::select! {
                newest = &mut newest => break newest?,
                got = &mut early, if object.is_none() => object = Some((first, got)),
            }
        };
        let holds = |answers: &Answers| {
            let record = answers.object();
            record.is_some_and(|record| {
                let holders = answers.holders(record.trailer.version);
                holders.iter().any(|(replica, _)| *replica == first)
            })
        };
        if object.is_none() && newest.as_ref().is_some_and(holds) {
            // It has the right one, so it is likely to give it now.
            let early = timeout(self.options.hedge_after, early).await;
            object = early.ok().map(|got| (first, got));
        }
        Ok((newest, object))
    }

    /// Opens what the answers say is the object; `None` if it was replaced since.
    async fn open_answer(
        self: &Arc<Self>,
        key: &Key,
        options: &GetOptions,
        answers: &Answers,
        early: Option<Early>,
    ) -> Result<Option<Object>> {
        let Some(record) = answers.object() else {
            return Err(Error::not_found(Operation::Get, key));
        };
        let trailer = record.trailer;
        options.check_conditions(key, &trailer.version.etag())?;
        let range = options.resolve_range(key, trailer.size)?;
        let metadata = trailer.metadata(record.attributes.clone());
        let object = |body| Object {
            metadata: metadata.clone(),
            range: range.clone(),
            body,
        };
        if let Some(body) = of_tail(record, &range) {
            return Ok(Some(object(body)));
        }
        let mut others = self.candidates(key, trailer.version, answers);
        let mirrored = |from, body, others| {
            let body = MirrorBody {
                shared: Arc::clone(self),
                key: key.clone(),
                version: trailer.version,
                left: range.clone(),
                from,
                body,
                others,
                hedge_after: self.options.hedge_after,
                crc: (range == (0..trailer.size)).then_some((0, trailer.crc)),
            };
            object(body.into_body())
        };
        if let Some((replica, Ok(early))) = early {
            let same = (replica, Some(early.metadata.etag));
            if let Some(at) = others.iter().position(|candidate| *candidate == same) {
                let from = others.remove(at);
                return Ok(Some(mirrored(from, early.body, others)));
            }
        }
        match self.open(key, trailer.version, &range, &mut others).await {
            Opened::Body(from, body) => Ok(Some(mirrored(from, body, others))),
            Opened::None(failures) if failures.is_empty() => Ok(None),
            Opened::None(failures) => {
                let counts = (1, self.replicas.len());
                Err(too_few(Operation::Get, Some(key), counts, failures))
            }
        }
    }

    /// The replicas to read this version from: those that said that they hold it, then the others
    /// that did not say otherwise.
    fn candidates(&self, key: &Key, version: Version, answers: &Answers) -> Vec<Candidate> {
        let holders = answers.holders(version);
        let order = self.order(key).into_iter();
        let unknown = order
            .filter(|replica| answers.found.iter().all(|(of, _)| of != replica))
            .map(|replica| (replica, None));
        let holders = holders
            .into_iter()
            .map(|(replica, etag)| (replica, Some(etag)));
        holders.chain(unknown).collect()
    }
}

/// The range out of the end of the content that came with the trailer, if all of it is there.
fn of_tail(record: &Record, range: &std::ops::Range<u64>) -> Option<Body> {
    let tail_start = record.trailer.size - record.tail.len() as u64;
    if range.start < tail_start {
        return None;
    }
    let (from, to) = (range.start - tail_start, range.end - tail_start);
    Some(record.tail.slice(from as usize..to as usize).into())
}
