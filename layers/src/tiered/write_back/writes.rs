//! Puts and deletes: durable in the fast tier when they return.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Body, Error, Key, Metadata, Operation, PutMode, PutOptions, PutResult, Result, SizedBody,
};

use super::core::Core;
use super::drain::{kick, ready, room, settle};
use super::due::{Room, Stored};
use super::record::{self, Name, What};
use crate::parts::{CommitPoint, KeyGuard, gated};

/// What a put holds from its commit on.
struct Held {
    _key: KeyGuard,
    room: Room,
    number: u64,
    metadata: Metadata,
}

pub(super) async fn put(
    core: Arc<Core>,
    key: Key,
    body: Body,
    options: PutOptions,
    point: CommitPoint,
) -> Result<PutResult> {
    let _running = core.lifecycle.enter(Operation::Put, Some(&key))?;
    ready(&core, Operation::Put, Some(&key)).await?;
    if let Some(flaw) = core.capabilities.keys.flaw(key.as_str()) {
        return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
    }
    core.capabilities
        .check_attributes(&key, &options.attributes)?;
    let body = SizedBody::new(&key, body, &options, core.capabilities.max_size)?;
    let size = body.declared();
    // All tags are of one length.
    let trailer_len = record::trailer_len(&key, Some(&core.tag(0)));
    let stored = match size.checked_add(trailer_len) {
        Some(stored) if stored <= core.max_stored => stored,
        _ => return put_through(core, key, body, options, point).await,
    };
    let held: Arc<Mutex<Option<Held>>> = Arc::default();
    let ready = {
        let (core, key, held) = (Arc::clone(&core), key.clone(), Arc::clone(&held));
        let mode = options.mode.clone();
        let attributes = options.attributes.clone();
        move || async move {
            // Nothing is held while there is no room.
            let room = room(&core, stored).await?;
            let guard = core.locks.lock(&key).await;
            check_mode(&core, &key, &mode).await?;
            point.pass().await;
            // Above those of all that are done, also of such as began later.
            let number = core.due.next_number();
            let metadata = Metadata::new(size, core.tag(number))
                .attributes(attributes)
                .last_modified(SystemTime::now());
            let now = Held {
                _key: guard,
                room,
                number,
                metadata,
            };
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
            Ok(())
        }
    };
    let trailer = {
        let (held, key) = (Arc::clone(&held), key.clone());
        stream::once(async move {
            let held = held.lock().unwrap_or_else(PoisonError::into_inner);
            let (number, what) = match &*held {
                Some(held) => (held.number, What::Put(held.metadata.clone())),
                // Unreachable: what comes before ends with an error.
                None => (0, What::Delete),
            };
            Ok::<_, Error>(record::trailer(&key, number, &what))
        })
    };
    let object = match body.as_bytes().cloned() {
        Some(bytes) => {
            ready().await?;
            bytes.into()
        }
        None => gated(body, ready),
    };
    let object = Body::from_stream(object.chain(trailer)).with_size(stored);
    let put = PutOptions::default()
        .durability(options.durability)
        .attributes(options.attributes);
    let name = Key::new(Name::Due(core.due.next_number()).text())?;
    let put = core.fast.put_opts(&name, object, put).await;
    let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(held) = held else {
        // It did not get to its commit.
        return Err(match put {
            Err(error) => about(error, &name, &key),
            Ok(_) => Error::Truncated {
                key,
                expected: stored,
                received: 0,
                source: None,
            },
        });
    };
    let etag = held.metadata.etag.clone();
    let record = Stored {
        number: held.number,
        key: name,
        size: stored,
    };
    let put = put.map(|_| Some(held.metadata));
    written(&core, &key, record, put, held.room).await?;
    Ok(PutResult { etag })
}

/// Takes note of a record that was written, or was not.
async fn written(
    core: &Arc<Core>,
    key: &Key,
    record: Stored,
    put: Result<Option<Metadata>>,
    room: Room,
) -> Result<()> {
    match put {
        Ok(put) => {
            for old in core.due.insert(key, record, put, room) {
                // Otherwise it is removed before the newer one is.
                if core.fast.delete(&old.key).await.is_ok() {
                    core.due.stale_removed(key, old.number);
                }
            }
            kick(core, key);
            Ok(())
        }
        Err(error) => {
            let error = about(error, &record.key, key);
            // It may be there all the same.
            if core.fast.delete(&record.key).await.is_err() {
                core.due.insert_stale(key, record, room);
                kick(core, key);
            }
            Err(error)
        }
    }
}

/// The fast tier's error about a record, as one about the key that was put.
fn about(error: Error, record: &Key, key: &Key) -> Error {
    error.map_key(|name| (name == record.as_str()).then(|| key.as_str().to_owned()))
}

/// Judges the mode of a put against what is there. The key is locked.
async fn check_mode(core: &Core, key: &Key, mode: &PutMode) -> Result<()> {
    if *mode == PutMode::Overwrite {
        return Ok(());
    }
    match core.head(key, Operation::Put).await {
        Ok(metadata) => mode.check(key, Some(&metadata.etag)),
        Err(error) if error.is_not_found() => mode.check(key, None),
        Err(error) => Err(error),
    }
}

/// The key's lock, once nothing of it is due. It is not held while waiting for that.
async fn lock_settled(core: &Arc<Core>, key: &Key) -> Result<KeyGuard> {
    loop {
        settle(core, key).await?;
        let guard = core.locks.lock(key).await;
        if !core.due.has_records(key) {
            return Ok(guard);
        }
    }
}

/// A put of an object that is too large to be due: it goes to the slow tier at once, after what is
/// due of its key.
async fn put_through(
    core: Arc<Core>,
    key: Key,
    body: SizedBody,
    options: PutOptions,
    point: CommitPoint,
) -> Result<PutResult> {
    let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
    let size = body.declared();
    let ready = {
        let (core, key, lock) = (Arc::clone(&core), key.clone(), Arc::clone(&lock));
        let mode = options.mode.clone();
        move || async move {
            let guard = lock_settled(&core, &key).await?;
            check_mode(&core, &key, &mode).await?;
            point.pass().await;
            *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
            Ok(())
        }
    };
    let body: Body = match body.as_bytes().cloned() {
        Some(bytes) => {
            ready().await?;
            bytes.into()
        }
        None => gated(body, ready),
    };
    let options = options.mode(PutMode::Overwrite).size(size);
    let put = core.below.put_opts(&key, body, options).await;
    drop(lock);
    put
}

/// A delete whose record is too large to be due: the slow tier does it at once, after what is due
/// of its key.
async fn delete_through(core: &Arc<Core>, key: &Key, point: CommitPoint) -> Result<()> {
    let _lock = lock_settled(core, key).await?;
    point.pass().await;
    core.below.delete(key).await?;
    if let Some(old) = core.tags.remove(key) {
        core.remove_tag(old).await;
    }
    Ok(())
}

pub(super) async fn delete(core: Arc<Core>, key: Key, point: CommitPoint) -> Result<()> {
    let _running = core.lifecycle.enter(Operation::Delete, Some(&key))?;
    ready(&core, Operation::Delete, Some(&key)).await?;
    if !core.capabilities.accepts_key(&key) {
        return Ok(());
    }
    let size = record::trailer_len(&key, None);
    if size > core.max_stored {
        return delete_through(&core, &key, point).await;
    }
    let room = room(&core, size).await?;
    let _lock = core.locks.lock(&key).await;
    point.pass().await;
    let number = core.due.next_number();
    let record = Stored {
        number,
        key: Key::new(Name::Due(number).text())?,
        size,
    };
    let body: Bytes = record::trailer(&key, number, &What::Delete);
    let put = core
        .fast
        .put_opts(&record.key, body.into(), PutOptions::default())
        .await;
    let put = put.map_err(|error| error.map_operation(Operation::Delete));
    written(&core, &key, record, put.map(|_| None), room).await
}
