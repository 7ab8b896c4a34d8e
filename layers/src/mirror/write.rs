//! Writes: to all replicas at once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use storehouse_objectstore::{
    Body, Error, ErrorClass, Key, ObjectStore, Operation, PutMode, PutOptions, PutResult, Result,
    RunningOperation, SizedBody,
};
use tokio::time::{Instant, timeout_at};

use super::commits::Commit;
use super::fan::{Fan, Lost};
use super::record::{LEN, Trailer, Version};
use super::replica_puts::ReplicaPuts;
use super::shared::{Answers, Ask, Found, Shared};
use crate::parts::{CommitPoint, KeyGuard};

/// Contents in memory of at most this size, in bytes, go to the replicas as bytes, which can be
/// sent again.
const JOINED: u64 = 1024 * 1024;

/// A write that may commit.
struct Ready {
    version: Version,
    /// Readers see that it is under way.
    _commit: Commit,
    _guard: KeyGuard,
}

impl<S: ObjectStore> Shared<S> {
    pub(super) async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        self.capabilities
            .check_attributes(&key, &options.attributes)?;
        let unsupported = match &options.mode {
            PutMode::Create if !self.capabilities.create => Some("PutMode::Create"),
            PutMode::Replace(_) if !self.capabilities.replace => Some("PutMode::Replace"),
            _ => None,
        };
        if let Some(feature) = unsupported {
            return Err(Error::Unsupported {
                operation: Operation::Put,
                key,
                feature,
            });
        }
        let body = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
        match body.as_bytes().filter(|_| body.declared() <= JOINED) {
            Some(bytes) => {
                let bytes = bytes.clone();
                self.put_bytes((key, options), bytes, point, running).await
            }
            None => self.put_stream((key, options), body, point, running).await,
        }
    }

    async fn put_bytes(
        self: Arc<Self>,
        (key, options): (Key, PutOptions),
        bytes: Bytes,
        point: CommitPoint,
        running: RunningOperation,
    ) -> Result<PutResult> {
        let (ready, _) = self
            .ready(Operation::Put, &key, &options.mode, self.reads, &point)
            .await?;
        let trailer = Trailer {
            size: bytes.len() as u64,
            version: ready.version,
            crc: crc32c::crc32c(&bytes),
            deleted: false,
        };
        let mut record = BytesMut::with_capacity(bytes.len() + LEN as usize);
        record.extend_from_slice(&bytes);
        record.extend_from_slice(&trailer.to_bytes());
        let puts = self.put_all(Operation::Put, &key, record.freeze(), &options);
        let etag = ready.version.etag();
        self.finish(key, ready, puts, running).await?;
        Ok(PutResult { etag })
    }

    async fn put_stream(
        self: Arc<Self>,
        (key, options): (Key, PutOptions),
        mut body: SizedBody,
        point: CommitPoint,
        running: RunningOperation,
    ) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            // Early, so that a large body is not read in vain; again before the commit.
            let answers = self
                .ask_enough(Operation::Put, &key, Ask::to_read(0))
                .await?;
            check(&options.mode, &key, &answers)?;
        }
        let size = body.declared();
        let count = self.replicas.len();
        let (mut fan, mut puts) = (
            Fan::new(count),
            ReplicaPuts::new(Operation::Put, &key, count),
        );
        for replica in 0..count {
            if !self.missed.is_unsettled(&key, replica) {
                let record = fan.body(replica, size + LEN);
                puts.spawn(replica, self.put_one(replica, &key, record, &options));
            }
        }
        let (mut crc, mut last) = (0, Bytes::new());
        // The last piece goes on once the body has ended well.
        while let Some(piece) = body.next().await.transpose()? {
            crc = crc32c::crc32c_append(crc, &piece);
            if body.received() < size {
                puts = self.send(&piece, &mut fan, puts).await?;
            } else {
                last = piece;
            }
        }
        let (ready, _) = self
            .ready(Operation::Put, &key, &options.mode, self.reads, &point)
            .await?;
        for replica in 0..count {
            if self.missed.is_unsettled(&key, replica) {
                fan.leave_out(replica);
                puts.skip(replica);
            }
        }
        let trailer = Trailer {
            size,
            version: ready.version,
            crc,
            deleted: false,
        };
        for piece in [last, trailer.to_bytes()] {
            if !piece.is_empty() {
                puts = self.send(&piece, &mut fan, puts).await?;
            }
        }
        drop(fan);
        let etag = ready.version.etag();
        self.finish(key, ready, puts, running).await?;
        Ok(PutResult { etag })
    }

    /// Gives the piece to all replicas, as long as enough take it.
    async fn send(
        &self,
        piece: &Bytes,
        fan: &mut Fan,
        mut puts: ReplicaPuts,
    ) -> Result<ReplicaPuts> {
        // Those that are likely to stall are not waited for if the others are enough.
        let hopeful = puts.hopeful();
        let good = hopeful.iter().filter(|of| !self.is_suspect(**of)).count();
        let patience = |replica| {
            if good >= self.writes && self.is_suspect(replica) {
                self.options.hedge_after.min(self.options.timeout)
            } else {
                self.options.timeout
            }
        };
        for (replica, lost) in fan.send(piece, patience).await {
            match lost {
                Lost::Stalled(time) => {
                    self.suspect(replica);
                    puts.cut(replica, time);
                }
                // It says why as soon as it is asked.
                Lost::Ended => {
                    let end = Instant::now() + self.options.timeout;
                    while puts.running().contains(&replica) {
                        if timeout_at(end, puts.next()).await.is_err() {
                            puts.cut(replica, self.options.timeout);
                        }
                    }
                }
            }
        }
        if puts.hopeful().len() < self.writes {
            return Err(puts.into_error(self.writes));
        }
        Ok(puts)
    }

    pub(super) async fn delete(self: Arc<Self>, key: Key, point: CommitPoint) -> Result<()> {
        let running = self.lifecycle.enter(Operation::Delete, Some(&key))?;
        if !self.capabilities.accepts_key(&key) {
            return Ok(());
        }
        let all = self.replicas.len();
        let (ready, answers) = self
            .ready(Operation::Delete, &key, &PutMode::Overwrite, all, &point)
            .await?;
        let holds_none = |replica: usize| {
            let found = answers.found.iter().find(|(of, _)| *of == replica);
            let none = found.is_some_and(|(_, found)| match found {
                Found::Nothing => true,
                Found::Damaged(_) => false,
                Found::Record(record) => record.trailer.deleted,
            });
            none && !self.missed.is_unsettled(&key, replica)
        };
        if (0..all).all(holds_none) {
            return Ok(());
        }
        let record = Trailer::tombstone(ready.version).to_bytes();
        let puts = self.put_all(Operation::Delete, &key, record, &PutOptions::default());
        self.finish(key, ready, puts, running).await
    }

    /// Waits for its turn, judges the condition, and takes a version after all that is there.
    async fn ready(
        &self,
        operation: Operation,
        key: &Key,
        mode: &PutMode,
        first: usize,
        point: &CommitPoint,
    ) -> Result<(Ready, Answers)> {
        let guard = self.locks.lock(key).await;
        point.pass().await;
        let how = Ask {
            tail: 0,
            first,
            overwrites: *mode == PutMode::Overwrite,
        };
        let answers = self.ask_enough(operation, key, how).await?;
        check(mode, key, &answers)?;
        let newest = answers.newest().map(|record| record.trailer.version);
        let version = self.clock.after(newest).ok_or_else(|| Error::Backend {
            operation,
            key: Some(key.clone()),
            class: ErrorClass::Fatal,
            message: String::from("a replica holds a version from the end of time"),
            source: None,
        })?;
        let ready = Ready {
            version,
            _commit: self.commits.begin(key),
            _guard: guard,
        };
        Ok((ready, answers))
    }

    /// Begins to put a record into every replica that no older write is under way to.
    fn put_all(
        self: &Arc<Self>,
        operation: Operation,
        key: &Key,
        record: Bytes,
        options: &PutOptions,
    ) -> ReplicaPuts {
        let mut puts = ReplicaPuts::new(operation, key, self.replicas.len());
        for replica in 0..self.replicas.len() {
            if !self.missed.is_unsettled(key, replica) {
                let put = self.put_one(replica, key, record.clone().into(), options);
                puts.spawn(replica, put);
            }
        }
        puts
    }

    fn put_one(
        self: &Arc<Self>,
        replica: usize,
        key: &Key,
        record: Body,
        options: &PutOptions,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let (shared, key) = (Arc::clone(self), key.clone());
        // Of what the caller asked for, this is about the record.
        let options = PutOptions::default()
            .size(record.size())
            .durability(options.durability)
            .attributes(options.attributes.clone());
        async move {
            let store = &shared.replicas[replica].store;
            let put = store.put_opts(&key, record, options).await.map(drop);
            shared.note(replica, put.as_ref().err());
            put
        }
    }

    /// Waits until enough replicas have a write, and then a while for the others.
    async fn finish(
        self: Arc<Self>,
        key: Key,
        ready: Ready,
        mut puts: ReplicaPuts,
        running: RunningOperation,
    ) -> Result<()> {
        let begin = Instant::now();
        let end = begin + self.options.timeout;
        let mut decided = None;
        loop {
            let left = puts.running();
            let enough = puts.done() >= self.writes;
            if left.is_empty() || (enough && left.iter().all(|of| self.is_suspect(*of))) {
                break;
            }
            let until = if enough || puts.hopeful().len() < self.writes {
                let decided = *decided.get_or_insert_with(Instant::now);
                end.min(decided + self.options.wait_for_all)
            } else {
                end
            };
            if timeout_at(until, puts.next()).await.is_err() {
                break;
            }
        }
        if puts.done() < self.writes {
            for replica in puts.running() {
                self.suspect(replica);
            }
            puts.cut_silent(begin.elapsed());
            return Err(puts.into_error(self.writes));
        }
        for replica in 0..self.replicas.len() {
            if puts.is_done(replica) {
                self.missed.holds(&key, replica, ready.version);
            } else {
                self.missed.missed(&key, replica, ready.version);
            }
        }
        let late = puts.running();
        if !late.is_empty() {
            for replica in &late {
                self.missed.unsettle(&key, *replica);
                self.suspect(*replica);
            }
            let (shared, version) = (Arc::clone(&self), ready.version);
            tokio::spawn(async move {
                while !puts.running().is_empty() {
                    if timeout_at(end, puts.next()).await.is_err() {
                        puts.cut_silent(shared.options.timeout);
                    }
                }
                for replica in late {
                    if puts.is_done(replica) {
                        shared.missed.holds(&key, replica, version);
                    }
                    shared.missed.settle(&key, replica);
                }
                drop(running);
            });
        }
        Ok(())
    }
}

/// Judges the condition against the object that the replicas hold.
fn check(mode: &PutMode, key: &Key, answers: &Answers) -> Result<()> {
    let object = answers.object();
    mode.check(
        key,
        object.map(|object| object.trailer.version.etag()).as_ref(),
    )
}
