//! Moves objects to the shards that they belong to.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, TryStreamExt, future};
use storehouse_objectstore::{
    Error, GetOptions, Key, ListOptions, ObjectStore, Operation, PutMode, PutOptions, Result,
    SizedBody,
};

use super::shared::Shared;
use crate::parts::{CommitPoint, KeyGuard, detached_put, gated, precondition};

/// What a rebalance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebalanced {
    /// Objects that moved to the shard that they belong to.
    pub moved: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Older copies that were removed.
    pub removed: u64,
}

enum Step {
    Moved(u64),
    Removed,
    Nothing,
}

pub(super) async fn rebalance<S: ObjectStore>(shared: &Arc<Shared<S>>) -> Result<Rebalanced> {
    let mut done = Rebalanced::default();
    for from in 0..shared.shards.len() {
        let listed = shared.shards[from].store.list(ListOptions::default());
        let this = Arc::clone(shared);
        let misplaced =
            listed.try_filter(move |entry| future::ready(this.owner(entry.key.as_str()) != from));
        let this = Arc::clone(shared);
        let steps = misplaced
            .map(move |entry| {
                let shared = Arc::clone(&this);
                async move {
                    let key = entry?.key;
                    detached_put(move |point| place(shared, from, key, point)).await
                }
            })
            .buffer_unordered(shared.options.moves.max(1));
        let mut steps = std::pin::pin!(steps);
        while let Some(step) = steps.try_next().await? {
            match step {
                Step::Moved(bytes) => {
                    done.moved += 1;
                    done.bytes += bytes;
                }
                Step::Removed => done.removed += 1,
                Step::Nothing => {}
            }
        }
    }
    shared.settled.store(true, Ordering::Release);
    Ok(done)
}

/// Brings one object to its owner; again if it was written meanwhile.
async fn place<S: ObjectStore>(
    shared: Arc<Shared<S>>,
    from: usize,
    key: Key,
    point: CommitPoint,
) -> Result<Step> {
    let _running = shared.lifecycle.enter(Operation::Put, Some(&key))?;
    loop {
        match attempt(&shared, from, &key, &point).await {
            Err(Error::Precondition { .. }) => {}
            // Removed, or moved by another.
            Err(error) if error.is_not_found() => return Ok(Step::Nothing),
            step => return step,
        }
    }
}

async fn attempt<S: ObjectStore>(
    shared: &Arc<Shared<S>>,
    from: usize,
    key: &Key,
    point: &CommitPoint,
) -> Result<Step> {
    let ranks = shared.ranks(key.as_str());
    let source = &shared.shards[from].store;
    let better: Vec<_> = ranks
        .iter()
        .copied()
        .take_while(|place| *place != from)
        .collect();
    let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
    let object = source.get_opts(key, GetOptions::default()).await?;
    let (size, etag) = (object.metadata.size, object.metadata.etag);
    let ready = {
        let (shared, key, lock) = (Arc::clone(shared), key.clone(), Arc::clone(&lock));
        let (point, better) = (point.clone(), better.clone());
        move || async move {
            let guard = shared.locks.lock(&key).await;
            point.pass().await;
            *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
            // It is the object only if no better shard has one, and must still be this version.
            for place in better {
                match shared.shards[place].store.head(&key).await {
                    Ok(_) => return Err(Error::AlreadyExists { key }),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error),
                }
            }
            if shared.shards[from].store.head(&key).await?.etag != etag {
                return Err(precondition(&key));
            }
            Ok(())
        }
    };
    let mut options = PutOptions::default().size(size);
    if shared.capabilities.create {
        options = options.mode(PutMode::Create);
    }
    let body = SizedBody::new(key, object.body, &options, u64::MAX)?;
    let body = gated(body, ready);
    let owner = &shared.shards[ranks[0]].store;
    let step = match owner.put_opts(key, body, options).await {
        Ok(_) => Step::Moved(size),
        Err(error) if error.is_already_exists() => {
            // A better shard has the object, so this is an older copy. The lock may not have been
            // taken: the put was refused before its body ended.
            let free = lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_none();
            if free {
                let guard = shared.locks.lock(key).await;
                point.pass().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
            }
            if !any_has(shared, &better, key).await? {
                return Err(precondition(key));
            }
            Step::Removed
        }
        Err(error) => return Err(error),
    };
    shared.moves.moved(key);
    source.delete(key).await?;
    Ok(step)
}

async fn any_has<S: ObjectStore>(shared: &Shared<S>, places: &[usize], key: &Key) -> Result<bool> {
    for place in places {
        match shared.shards[*place].store.head(key).await {
            Ok(_) => return Ok(true),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
