//! The operations on one key.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future;
use futures_util::future::try_join_all;
use storehouse_objectstore::{
    Body, Capabilities, ETag, Error, GetOptions, Key, Lifecycle, Metadata, Object, ObjectStore,
    Operation, PutMode, PutOptions, PutResult, Result, SizedBody,
};

use super::options::{Shard, ShardOptions};
use super::place::Score;
use crate::parts::{
    CommitPoint, KeyGuard, KeyLocks, Moves, conditions, gated, mark, marked, precondition, unmarked,
};

#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) shards: Vec<Shard<S>>,
    pub(super) options: ShardOptions,
    pub(super) capabilities: Capabilities,
    pub(super) settled: AtomicBool,
    pub(super) locks: KeyLocks,
    pub(super) moves: Moves,
    pub(super) lifecycle: Lifecycle,
}

/// What has to hold in the other shards for a put to commit.
enum Elsewhere {
    /// Whatever is there.
    Anything,
    /// Nothing.
    Nothing,
    /// This version, in the best of the shards that have the key.
    Version(usize, ETag),
}

impl<S: ObjectStore> Shared<S> {
    pub(super) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// The shard that the key belongs to.
    pub(super) fn owner(&self, key: &str) -> usize {
        let scores = self.shards.iter().enumerate();
        let best = scores
            .map(|(place, shard)| (place, Score::new(&shard.name, shard.weight, key)))
            .min_by(|(a, a_score), (b, b_score)| self.order_of((*a, *a_score), (*b, *b_score)));
        best.map_or(0, |(place, _)| place)
    }

    /// All shards, those with the best score for the key first.
    pub(super) fn ranks(&self, key: &str) -> Vec<usize> {
        let scores = self.shards.iter().enumerate();
        let mut ranks: Vec<_> = scores
            .map(|(place, shard)| (place, Score::new(&shard.name, shard.weight, key)))
            .collect();
        ranks.sort_by(|a, b| self.order_of(*a, *b));
        ranks.into_iter().map(|(place, _)| place).collect()
    }

    fn order_of(&self, a: (usize, Score), b: (usize, Score)) -> std::cmp::Ordering {
        let names = || self.shards[a.0].name.cmp(&self.shards[b.0].name);
        a.1.compare(b.1).then_with(names)
    }

    pub(super) async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        if let Some(flaw) = self.capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        let body = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
        let ranks: Arc<[usize]> = self.ranks(key.as_str()).into();
        let owner = ranks[0];
        let (mode, elsewhere) = self.split_mode(&key, owner, &options.mode)?;
        // The same content elsewhere does no harm until it is removed there.
        let alone =
            self.is_settled() || (options.content_addressed && options.mode == PutMode::Overwrite);
        if alone && matches!(elsewhere, Elsewhere::Version(..)) {
            return Err(precondition(&key));
        }
        let replaces = matches!(options.mode, PutMode::Replace(_));
        let options = options.mode(mode);
        let shard = &self.shards[owner];
        if alone {
            let body = match body.as_bytes().cloned() {
                Some(bytes) => bytes.into(),
                None => gated(body, || future::ok(())),
            };
            let put = shard.store.put_opts(&key, body, options).await?;
            return Ok(PutResult {
                etag: marked(&shard.name, &put.etag),
            });
        }
        // Early, so that a large body is not read in vain; again before the commit.
        self.check_elsewhere(&key, &ranks[1..], &elsewhere).await?;
        let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
        let ready = {
            let (this, key, lock) = (Arc::clone(&self), key.clone(), Arc::clone(&lock));
            let ranks = Arc::clone(&ranks);
            move || async move {
                let guard = this.locks.lock(&key).await;
                point.pass().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
                this.check_elsewhere(&key, &ranks[1..], &elsewhere).await
            }
        };
        let body = match body.as_bytes().cloned() {
            Some(bytes) => {
                ready().await?;
                bytes.into()
            }
            None => gated(body, ready),
        };
        let put = shard.store.put_opts(&key, body, options).await;
        let put = put.map_err(|error| match error {
            Error::AlreadyExists { key } if replaces => precondition(&key),
            error => error,
        })?;
        self.moves.moved(&key);
        self.delete_from(&key, &ranks[1..]).await?;
        drop(lock);
        Ok(PutResult {
            etag: marked(&shard.name, &put.etag),
        })
    }

    /// The mode for the owner, and what has to hold in the other shards.
    fn split_mode(&self, key: &Key, owner: usize, mode: &PutMode) -> Result<(PutMode, Elsewhere)> {
        let unsupported = |feature| Error::Unsupported {
            operation: Operation::Put,
            key: key.clone(),
            feature,
        };
        match mode {
            PutMode::Overwrite => Ok((PutMode::Overwrite, Elsewhere::Anything)),
            PutMode::Create if !self.capabilities.create => Err(unsupported("PutMode::Create")),
            PutMode::Create => Ok((PutMode::Create, Elsewhere::Nothing)),
            PutMode::Replace(_) if !self.capabilities.replace => {
                Err(unsupported("PutMode::Replace"))
            }
            PutMode::Replace(etag) => {
                let version = self
                    .shards
                    .iter()
                    .enumerate()
                    .find_map(|(place, shard)| Some((place, unmarked(&shard.name, etag)?)));
                match version {
                    Some((place, etag)) if place == owner => {
                        Ok((PutMode::Replace(etag), Elsewhere::Anything))
                    }
                    Some((place, etag)) => Ok((PutMode::Create, Elsewhere::Version(place, etag))),
                    None => Err(precondition(key)),
                }
            }
        }
    }

    async fn check_elsewhere(
        &self,
        key: &Key,
        ranks: &[usize],
        expected: &Elsewhere,
    ) -> Result<()> {
        if matches!(expected, Elsewhere::Anything) {
            return Ok(());
        }
        let mut there = None;
        for place in ranks {
            match self.shards[*place].store.head(key).await {
                Ok(found) => {
                    there = Some((*place, found.etag));
                    break;
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        match expected {
            Elsewhere::Nothing if there.is_some() => Err(Error::AlreadyExists { key: key.clone() }),
            Elsewhere::Version(place, etag) => match there {
                Some((found, tag)) if found == *place && tag == *etag => Ok(()),
                _ => Err(precondition(key)),
            },
            _ => Ok(()),
        }
    }

    async fn delete_from(&self, key: &Key, shards: &[usize]) -> Result<()> {
        try_join_all(
            shards
                .iter()
                .map(|place| self.shards[*place].store.delete(key)),
        )
        .await
        .map(drop)
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        if self.is_settled() {
            return self.shards[self.owner(key.as_str())]
                .store
                .delete(key)
                .await;
        }
        let ranks = self.ranks(key.as_str());
        let _lock = self.locks.lock(key).await;
        // Those with the better score last: the others may hold an older object.
        for place in ranks.iter().rev() {
            self.shards[*place].store.delete(key).await?;
        }
        Ok(())
    }

    /// Where to look for the key, in this order.
    fn places(&self, key: &Key) -> Vec<usize> {
        if self.is_settled() {
            vec![self.owner(key.as_str())]
        } else {
            self.ranks(key.as_str())
        }
    }

    pub(super) async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        loop {
            let moves = self.moves.count();
            for place in self.places(key) {
                let shard = &self.shards[place];
                let get = shard.store.get_opts(key, conditions(&shard.name, &options));
                match get.await {
                    Ok(object) => {
                        let metadata = mark(&shard.name, object.metadata);
                        return Ok(Object { metadata, ..object });
                    }
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if self.moves.count() == moves {
                return Err(Error::not_found(Operation::Get, key));
            }
        }
    }

    pub(super) async fn head(&self, key: &Key) -> Result<Metadata> {
        self.lifecycle.check(Operation::Head, Some(key))?;
        loop {
            let moves = self.moves.count();
            for place in self.places(key) {
                let shard = &self.shards[place];
                match shard.store.head(key).await {
                    Ok(metadata) => return Ok(mark(&shard.name, metadata)),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if self.moves.count() == moves {
                return Err(Error::not_found(Operation::Head, key));
            }
        }
    }
}
