//! Makes the replicas of one key the same.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Body, ETag, Error, GetOptions, Key, Object, ObjectStore, Operation, PutMode, PutOptions,
    Result, SizedBody,
};
use tokio::time::timeout;

use super::failures::{Failures, damaged, silent};
use super::record::{LEN, Trailer, Version};
use super::shared::{Answers, Found, Record, Shared};
use crate::parts::{CommitPoint, KeyGuard, detached_put, gated, precondition};

/// What a repair may do besides giving the newest version to all.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepairScope {
    /// Read the contents and check them.
    pub(super) contents: bool,
    /// Remove records of deletes that are old enough.
    pub(super) sweep: bool,
}

/// What a repair did.
#[derive(Debug, Default)]
pub(super) struct Repair {
    /// The replicas that were given the newest version.
    pub(super) repaired: Vec<usize>,
    /// The bytes that were copied.
    pub(super) bytes: u64,
    /// The record of a delete was removed from all replicas.
    pub(super) swept: bool,
    pub(super) failures: Failures,
}

/// What a replica gets in place of what it has.
struct Target {
    replica: usize,
    /// The record that is there, if it has a version.
    there: Option<(Version, ETag)>,
    empty: bool,
}

impl<S: ObjectStore> Shared<S> {
    /// Repairs the key in the background, unless enough repairs run.
    pub(super) fn repair_soon(self: Arc<Self>, key: &Key, contents: bool) {
        let Ok(running) = self.lifecycle.enter(Operation::Put, Some(key)) else {
            return;
        };
        {
            let mut repairing = self
                .repairing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if repairing.len() >= self.options.repairs.max(1) || !repairing.insert(key.clone()) {
                return;
            }
        }
        let key = key.clone();
        tokio::spawn(async move {
            // What it does not mend, a scrub does.
            let scope = RepairScope {
                contents,
                sweep: false,
            };
            Arc::clone(&self)
                .repair(key.clone(), scope, CommitPoint::default())
                .await;
            let mut repairing = self
                .repairing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            repairing.remove(&key);
            drop(repairing);
            drop(running);
        });
    }

    /// Gives the newest version that a replica holds to all that answer.
    pub(super) async fn repair(
        self: Arc<Self>,
        key: Key,
        scope: RepairScope,
        point: CommitPoint,
    ) -> Repair {
        let mut answers = self.ask_all(Operation::Put, &key).await;
        let mut repair = Repair::default();
        let version_of = |record: &Record| record.trailer.version;
        let unchecked = answers.newest().map(version_of);
        if scope.contents {
            self.check_contents(&key, &mut answers).await;
        }
        repair.failures.append(&mut answers.failures);
        let Some(newest) = answers.newest().cloned() else {
            for (replica, found) in answers.found {
                if let Found::Damaged(flaw) = found {
                    let error = damaged(Operation::Put, &key, &flaw);
                    repair.failures.push((replica, error));
                }
            }
            return repair;
        };
        let version = newest.trailer.version;
        let old = Self::age(version) >= self.options.keep_tombstones;
        if scope.sweep && newest.trailer.deleted && old {
            if repair.failures.is_empty() {
                match self.sweep(&key, version, &point).await {
                    Ok(swept) => repair.swept = swept,
                    Err(failure) => repair.failures.push(failure),
                }
            }
            if repair.swept {
                return repair;
            }
        }
        let holders = answers.holders(version);
        for (replica, found) in &answers.found {
            let target = Target {
                replica: *replica,
                there: found
                    .record()
                    .map(|record| (record.trailer.version, record.etag.clone())),
                empty: matches!(found, Found::Nothing),
            };
            if target.there.as_ref().is_some_and(|(of, _)| *of == version) {
                self.missed.holds(&key, *replica, version);
                continue;
            }
            match self.copy(&key, &newest, &holders, target, &point).await {
                Ok(bytes) => {
                    repair.repaired.push(*replica);
                    repair.bytes += bytes;
                    self.missed.holds(&key, *replica, version);
                }
                // Written meanwhile, so nothing to repair, or else newer and damaged.
                Err((_, error)) if error.is_precondition() || error.is_already_exists() => {
                    if let Found::Damaged(flaw) = found
                        && let Ok(there) = self.ask(Operation::Put, *replica, &key, 0).await
                        && there.record().map(version_of) == unchecked
                    {
                        let error = damaged(Operation::Put, &key, flaw);
                        repair.failures.push((*replica, error));
                    }
                }
                Err(failure) => repair.failures.push(failure),
            }
        }
        repair
    }

    /// Reads the contents of the newest version, and marks those that are damaged.
    async fn check_contents(&self, key: &Key, answers: &mut Answers) {
        let Some(newest) = answers.object().cloned() else {
            return;
        };
        for (replica, etag) in answers.holders(newest.trailer.version) {
            let read = async {
                let options = GetOptions::default().if_match(etag);
                let store = &self.replicas[replica].store;
                let get = store.get_opts(key, options);
                let object = self
                    .timed((Operation::Get, Some(key), replica), get)
                    .await?;
                let mut body = checked(key, object.body, newest.trailer);
                loop {
                    let next = async { Ok(body.next().await) };
                    match self
                        .timed((Operation::Get, Some(key), replica), next)
                        .await?
                    {
                        Some(piece) => drop(piece?),
                        None => return Ok(()),
                    }
                }
            };
            let read: Result<()> = read.await;
            match read {
                Ok(()) => {}
                Err(error) if error.is_precondition() || error.is_not_found() => {}
                Err(error) if error.is_transient() => answers.failures.push((replica, error)),
                Err(error) => {
                    let flaw = Found::Damaged(error.to_string());
                    let mut found = answers.found.iter_mut();
                    if let Some((_, there)) = found.find(|(of, _)| *of == replica) {
                        *there = flaw;
                    }
                }
            }
        }
    }

    /// Removes the record of a delete, and older ones before it, if every replica answers.
    async fn sweep(
        self: &Arc<Self>,
        key: &Key,
        version: Version,
        point: &CommitPoint,
    ) -> Result<bool, (usize, Error)> {
        let _guard = self.locks.lock(key).await;
        point.pass().await;
        let answers = self.ask_all(Operation::Delete, key).await;
        if let Some(failure) = answers.failures.into_iter().next() {
            return Err(failure);
        }
        let mut tombstones = Vec::new();
        let mut older = Vec::new();
        for (replica, found) in &answers.found {
            if self.missed.is_unsettled(key, *replica) {
                return Ok(false);
            }
            match found {
                Found::Nothing => {}
                Found::Record(record) if record.trailer.version == version => {
                    tombstones.push(*replica);
                }
                Found::Record(record) if record.trailer.version > version => return Ok(false),
                Found::Record(_) | Found::Damaged(_) => older.push(*replica),
            }
        }
        // The deletes last: until then they hide what is older.
        for replica in older.into_iter().chain(tombstones) {
            let delete = self.replicas[replica].store.delete(key);
            self.timed((Operation::Delete, Some(key), replica), delete)
                .await
                .map_err(|error| (replica, error))?;
        }
        for replica in 0..self.replicas.len() {
            self.missed.holds(key, replica, version);
        }
        Ok(true)
    }

    /// Copies a record to one replica, from the first that can give it. A failure comes with the
    /// replica that failed: the one that gives it or the one that gets it.
    async fn copy(
        self: &Arc<Self>,
        key: &Key,
        newest: &Record,
        holders: &[(usize, ETag)],
        target: Target,
        point: &CommitPoint,
    ) -> Result<u64, (usize, Error)> {
        let changed = || (target.replica, precondition(key));
        let mut failed = None;
        let mut mode = self.mode_of(&target);
        let mut sources = holders.iter().peekable();
        while let Some((source, etag)) = sources.peek() {
            let options = GetOptions::default().if_match(etag.clone());
            let get = self.replicas[*source].store.get_opts(key, options);
            let object = match self.timed((Operation::Get, Some(key), *source), get).await {
                Ok(object) => object,
                Err(error) if error.is_not_found() => return Err(changed()),
                Err(error) => {
                    failed = Some((*source, error));
                    sources.next();
                    continue;
                }
            };
            let from = (*source, object);
            let to = (target.replica, mode.clone());
            match self.put_copy(key, newest.trailer, from, to, point).await {
                Ok(bytes) => return Ok(bytes),
                Err((of, error)) if error.is_precondition() || error.is_already_exists() => {
                    return Err((of, error));
                }
                // Some stores have conditions, but not for large objects.
                Err((_, Error::Unsupported { .. })) if mode != PutMode::Overwrite => {
                    mode = PutMode::Overwrite;
                }
                Err(failure) => {
                    failed = Some(failure);
                    sources.next();
                }
            }
        }
        Err(failed.unwrap_or_else(changed))
    }

    /// How a copy is put, so that it replaces nothing but what was found, where the replica can do
    /// that.
    fn mode_of(&self, target: &Target) -> PutMode {
        let capabilities = self.replicas[target.replica].store.capabilities();
        match &target.there {
            Some((_, etag)) if capabilities.replace => PutMode::Replace(etag.clone()),
            None if target.empty && capabilities.create => PutMode::Create,
            _ => PutMode::Overwrite,
        }
    }

    async fn put_copy(
        self: &Arc<Self>,
        key: &Key,
        trailer: Trailer,
        (source, object): (usize, Object),
        (replica, mode): (usize, PutMode),
        point: &CommitPoint,
    ) -> Result<u64, (usize, Error)> {
        let options = PutOptions::default()
            .size(trailer.size + LEN)
            .mode(mode)
            .attributes(object.metadata.attributes);
        // Pieces that passed, and the commit's beginning.
        let progress = Arc::new(AtomicU64::new(0));
        let source_failed = Arc::new(AtomicBool::new(false));
        let body = checked(key, object.body, trailer);
        let counted = {
            let (progress, failed) = (Arc::clone(&progress), Arc::clone(&source_failed));
            body.inspect(move |piece| {
                progress.fetch_add(1, Ordering::Relaxed);
                failed.fetch_or(piece.is_err(), Ordering::Relaxed);
            })
        };
        let body = SizedBody::new(key, Body::from_stream(counted), &options, u64::MAX);
        let body = body.map_err(|error| (replica, error))?;
        let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
        let ready = {
            let (shared, key, lock) = (Arc::clone(self), key.clone(), Arc::clone(&lock));
            let (point, progress) = (point.clone(), Arc::clone(&progress));
            move || async move {
                let guard = shared.locks.lock(&key).await;
                point.pass().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
                if shared.missed.is_unsettled(&key, replica) {
                    return Err(precondition(&key));
                }
                let there = shared.ask(Operation::Put, replica, &key, 0).await?;
                let there = there.record().map(|record| record.trailer.version);
                if there.is_some_and(|there| there > trailer.version) {
                    return Err(precondition(&key));
                }
                progress.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        };
        let put = self.replicas[replica]
            .store
            .put_opts(key, gated(body, ready), options);
        let mut put = std::pin::pin!(put);
        let mut seen = 0;
        let put = loop {
            match timeout(self.options.timeout, &mut put).await {
                Ok(put) => break put.map(drop),
                Err(_) => {
                    let now = progress.load(Ordering::Relaxed);
                    if now == seen {
                        break Err(silent(Operation::Put, Some(key), self.options.timeout));
                    }
                    seen = now;
                }
            }
        };
        // The put fails with what its body failed with.
        let failed = match source_failed.load(Ordering::Relaxed) {
            true => source,
            false => replica,
        };
        self.note(failed, put.as_ref().err());
        put.map_err(|error| (failed, error))?;
        Ok(trailer.size + LEN)
    }

    /// The same in a task of its own: dropped, it ends before a commit or after it.
    pub(super) async fn repair_detached(
        self: Arc<Self>,
        key: Key,
        scope: RepairScope,
    ) -> Result<Repair> {
        let running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        Ok(detached_put(move |point| async move {
            let repair = self.repair(key, scope, point).await;
            drop(running);
            repair
        })
        .await)
    }
}

/// A whole record as it streams, whose last piece comes once all of it was right.
fn checked(key: &Key, body: Body, trailer: Trailer) -> Body {
    struct Checking {
        body: Body,
        crc: u32,
        /// Bytes of the content that have not come.
        left: u64,
        end: Vec<u8>,
        held: bytes::Bytes,
    }
    let key = key.clone();
    let state = Checking {
        body,
        crc: 0,
        left: trailer.size,
        end: Vec::new(),
        held: bytes::Bytes::new(),
    };
    let pieces = stream::try_unfold(Some(state), move |state| {
        let key = key.clone();
        async move {
            let Some(mut state) = state else {
                return Ok(None);
            };
            loop {
                let Some(piece) = state.body.next().await.transpose()? else {
                    let right = state.left == 0
                        && state.crc == trailer.crc
                        && state.end == trailer.to_bytes();
                    if !right {
                        return Err(damaged(Operation::Get, &key, "its content is damaged"));
                    }
                    return Ok(Some((state.held, None)));
                };
                let content = piece
                    .len()
                    .min(usize::try_from(state.left).unwrap_or(usize::MAX));
                state.crc = crc32c::crc32c_append(state.crc, &piece[..content]);
                state.left -= content as u64;
                state.end.extend_from_slice(&piece[content..]);
                if state.end.len() as u64 > LEN {
                    return Err(damaged(Operation::Get, &key, "it is longer than it was"));
                }
                let held = std::mem::replace(&mut state.held, piece);
                if !held.is_empty() {
                    return Ok::<_, Error>(Some((held, Some(state))));
                }
            }
        }
    });
    Body::from_stream(pieces.boxed()).with_size(trailer.size + LEN)
}
