//! What is due goes to the slow tier, in order for each key.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storehouse_objectstore::{
    Body, Error, ErrorClass, Key, Metadata, Operation, PutMode, PutOptions, Result,
    RunningOperation,
};
use tokio::runtime::Handle;

use super::core::Core;
use super::due::{DueEntry, Room};
use super::record::{self, MAX_SLOW_TAG, Name, What};
use super::tags::Alias;

/// How often a put is tried at once whose condition no longer holds.
const CONDITIONS: usize = 3;

/// Has a task drain the key, unless one is at it. Outside of a Tokio runtime nothing is begun.
pub(super) fn kick(core: &Arc<Core>, key: &Key) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if !core.due.begin_task(key) {
        return;
    }
    let task = DrainTask {
        core: Arc::clone(core),
        key: key.clone(),
        ended: false,
    };
    if let Ok(running) = core.lifecycle.enter(Operation::Put, Some(key)) {
        runtime.spawn(task.run(running));
    }
}

/// Has a task drain each key, unless one is at it.
fn kick_each(core: &Arc<Core>) {
    for key in core.due.keys_without_task() {
        kick(core, &key);
    }
}

/// Has tasks drain all keys, those that pause too.
pub(super) fn kick_all(core: &Arc<Core>) {
    kick_each(core);
    core.hurry.notify_waiters();
}

/// Waits until the list is read. The first call in a Tokio runtime has all that it has drained.
///
/// # Errors
/// [`Error::Closed`]; those of the fast tier.
pub(super) async fn ready(core: &Arc<Core>, operation: Operation, key: Option<&Key>) -> Result<()> {
    core.listed(operation, key).await?;
    if !core.kicked.load(Ordering::Relaxed)
        && Handle::try_current().is_ok()
        && !core.kicked.swap(true, Ordering::Relaxed)
    {
        kick_each(core);
    }
    Ok(())
}

/// Reads the list, again after pauses if that fails, and has what is due drained.
pub(super) async fn open(core: &Arc<Core>) {
    let (mut pause, most) = core.pauses;
    loop {
        match ready(core, Operation::List, None).await {
            Err(error) if !error.is_closed() => tokio::time::sleep(pause).await,
            _ => return,
        }
        pause = pause.saturating_mul(2).min(most);
    }
}

/// Waits until nothing of the key is due, and its records are gone.
///
/// # Errors
/// [`Error::Closed`] if the store is closed meanwhile. Outside of a Tokio runtime, those of the
/// tiers.
pub(super) async fn settle(core: &Arc<Core>, key: &Key) -> Result<()> {
    if Handle::try_current().is_err() {
        while step(core, key).await? {}
        return Ok(());
    }
    if core.due.has_records(key) {
        kick(core, key);
        core.hurry.notify_waiters();
    }
    wait_until(core, || !core.due.has_records(key)).await
}

/// Waits until `holds`, looking after each change of the list.
///
/// # Errors
/// [`Error::Closed`] if the store is closed meanwhile.
pub(super) async fn wait_until(core: &Core, holds: impl Fn() -> bool) -> Result<()> {
    until_closed(core, core.due.wait(|_| holds().then_some(()))).await
}

/// Waits until there is room for a record of this size.
///
/// # Errors
/// [`Error::Closed`] if the store is closed meanwhile.
pub(super) async fn room(core: &Arc<Core>, size: u64) -> Result<Room> {
    if let Some(room) = core.due.try_room(size) {
        return Ok(room);
    }
    // Tasks end with the runtime that they ran in.
    kick_each(core);
    until_closed(core, core.due.room(size)).await
}

async fn until_closed<T>(core: &Core, wait: impl Future<Output = T>) -> Result<T> {
    let mut stop = core.stop.clone();
    tokio::select! {
        biased;
        done = wait => Ok(done),
        _ = stop.wait_for(|stop| *stop) => Err(Error::closed(Operation::Put, None)),
    }
}

/// The task of one key.
struct DrainTask {
    core: Arc<Core>,
    key: Key,
    ended: bool,
}

impl Drop for DrainTask {
    fn drop(&mut self) {
        if !self.ended {
            self.core.due.end_task(&self.key);
        }
    }
}

impl DrainTask {
    async fn run(mut self, _running: RunningOperation) {
        let mut stop = self.core.stop.clone();
        tokio::select! {
            biased;
            // An error: all handles of the store are gone.
            _ = stop.wait_for(|stop| *stop) => {}
            () = drain(&self.core, &self.key) => self.ended = true,
        }
    }
}

/// Drains the key until none of its records is left.
async fn drain(core: &Core, key: &Key) {
    let (least, most) = core.pauses;
    let mut pause = least;
    loop {
        let hurried = core.hurry.notified();
        let step = {
            let _permit = core.drains.acquire().await;
            step(core, key).await
        };
        match step {
            Ok(true) => pause = least,
            Ok(false) => return,
            Err(_) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = hurried => {}
                }
                pause = pause.saturating_mul(2).min(most);
            }
        }
    }
}

/// Brings the key's newest record to the slow tier, and removes it and the older ones; whether
/// there is more to do.
async fn step(core: &Core, key: &Key) -> Result<bool> {
    let Some(entry) = core.due.entry(key) else {
        return Ok(false);
    };
    let number = entry.record.number;
    if !entry.drained {
        match &entry.put {
            Some(metadata) => match copy(core, key, &entry, metadata).await? {
                Some(alias) => rename(core, key, alias).await,
                // A newer one has come.
                None => return Ok(true),
            },
            None => {
                core.below.delete(key).await?;
                if let Some(old) = core.tags.remove(key) {
                    core.remove_tag(old).await;
                }
            }
        }
        if !core.due.drained(key, number) {
            return Ok(true);
        }
    }
    write_tag(core, key, number).await?;
    for old in core.due.stale(key) {
        core.fast.delete(&old.key).await?;
        core.due.stale_removed(key, old.number);
    }
    core.fast.delete(&entry.record.key).await?;
    // Once nothing is left, another task may begin: this one must not go on.
    Ok(!core.due.removed(key, number))
}

/// The version goes by the tag that it was put with. What it replaces is forgotten.
async fn rename(core: &Core, key: &Key, alias: Alias) {
    if let Some(old) = core.tags.insert(key, alias) {
        core.remove_tag(old).await;
    }
}

/// Writes down by which tag the put of this number goes, if not by the slow tier's.
async fn write_tag(core: &Core, key: &Key, number: u64) -> Result<()> {
    let alias = core.tags.get(key).filter(|alias| alias.number == number);
    if let Some(alias) = alias.filter(|alias| alias.slow.as_str().len() <= MAX_SLOW_TAG) {
        let what = What::Tag {
            put: Metadata::new(0, alias.etag).last_modified(alias.last_modified),
            slow: alias.slow,
        };
        let name = Key::new(Name::Tag(number).text())?;
        let tag: Body = record::trailer(key, number, &what).into();
        core.fast
            .put_opts(&name, tag, PutOptions::default())
            .await?;
    }
    while let Some(old) = core.tags.remove_excess(core.max_tags) {
        core.remove_tag(old).await;
    }
    Ok(())
}

/// Puts what is due into the slow tier, in place of the version that is there; `None` if a newer
/// record has taken its place.
///
/// The condition, where that tier can judge it, keeps a request of before that is still on its way
/// from landing on a newer object.
async fn copy(
    core: &Core,
    key: &Key,
    entry: &DueEntry,
    metadata: &Metadata,
) -> Result<Option<Alias>> {
    let slow = core.below.capabilities();
    let mut conditional = slow.create && slow.replace;
    let mut tries = 0;
    loop {
        tries += 1;
        let mode = if !conditional {
            PutMode::Overwrite
        } else {
            match core.below.head(key).await {
                Ok(there) => PutMode::Replace(there.etag),
                Err(error) if error.is_not_found() => PutMode::Create,
                Err(error) => return Err(error),
            }
        };
        let body = match core.read_record(&entry.record, 0..metadata.size).await {
            Ok(body) => body,
            Err(error) if error.is_not_found() => {
                if core.due.has_newer(key, entry.record.number) {
                    return Ok(None);
                }
                return Err(lost(Operation::Put, key));
            }
            Err(error) => return Err(error),
        };
        // Bytes can be had again, so a copy of them goes to the fast tier.
        let body: Body = if metadata.size <= core.small {
            body.collect(metadata.size).await?.into()
        } else {
            body
        };
        let options = PutOptions::default()
            .size(metadata.size)
            .mode(mode)
            .attributes(metadata.attributes.clone());
        match core.below.put_opts(key, body, options).await {
            Ok(put) => {
                return Ok(Some(Alias {
                    number: entry.record.number,
                    slow: put.etag,
                    etag: metadata.etag.clone(),
                    last_modified: metadata.last_modified,
                }));
            }
            // It judges none for an object of this size.
            Err(Error::Unsupported { .. }) if conditional => conditional = false,
            Err(error)
                if tries < CONDITIONS && (error.is_already_exists() || error.is_precondition()) => {
            }
            Err(error) => return Err(error),
        }
    }
}

/// The record of a write that is due is not there any more.
pub(super) fn lost(operation: Operation, key: &Key) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: String::from("the fast tier has lost a write that was due"),
        source: None,
    }
}
