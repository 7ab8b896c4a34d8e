//! Giving files their names: judged one turn at a time, through the log or not.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::changed::Changed;
use super::commit::{Member, put_failed};
use super::files::again;
use super::log::{Ticket, Turn};
use super::shard::EXTENSION;
use super::stamp;
use super::store::Store;
use super::sync::sync_all;
use storehouse_objectstore::{Durability, ETag, Error, Key, Operation, PutMode, PutResult, Result};

/// What a record takes up in the log besides key and value, generously.
pub(super) const RECORD: usize = 64;

/// Where an object's file is to be.
struct Place {
    shard: String,
    dir: Arc<File>,
    name: String,
    /// The file that is there, so that its bytes are freed later than its name, and in nobody's
    /// turn.
    _old: Option<OwnedFd>,
}

/// A put that was judged.
struct Judged {
    member: Member,
    place: Place,
    outcome: Outcome,
    /// Whether the caller relies on the log.
    recorded: bool,
}

enum Outcome {
    /// Renamed once the log is synced.
    InLog,
    Done(Result<PutResult>),
    /// Answered with [`Error::AlreadyExists`] once what is there is durable.
    Exists,
    /// The caller does not want it any more.
    Dropped,
}

impl Store {
    /// Takes a turn with these puts: makes them visible and durable, and answers them. Gives back
    /// those that must wait for another turn.
    pub(super) fn publish(
        &self,
        members: Vec<Member>,
        changed: &mut Changed,
        file_system: Option<&File>,
    ) -> Vec<Member> {
        let located =
            members
                .into_iter()
                .filter_map(|member| match self.locate(&member.key, changed) {
                    Ok(place) => Some((member, place)),
                    Err(e) => {
                        member.fail("the shard's directory cannot be used", e);
                        None
                    }
                });
        let located: Vec<(Member, Place)> = located.collect();
        if located.is_empty() {
            return Vec::new();
        }
        let bytes = located
            .iter()
            .map(|(member, place)| {
                RECORD
                    + place.name.len()
                    + member
                        .pieces
                        .iter()
                        .flatten()
                        .map(bytes::Bytes::len)
                        .sum::<usize>()
            })
            .sum();

        let mut turn = self
            .log
            .turn(located.iter().map(|(member, _)| &member.key), bytes);
        let needs_log = located.iter().any(|(member, _)| member.needs_log());
        let room = if needs_log || located.iter().any(|(member, _)| turn.is_live(&member.key)) {
            turn.make_room(bytes)
        } else {
            Ok(())
        };
        if needs_log && room.is_err() && !turn.has_failed() {
            // The log has been emptied and removed meanwhile, or the disk has no room for it.
            drop(turn);
            return self.sync_members(
                located.into_iter().map(|(member, _)| member).collect(),
                None,
            );
        }
        let (mut judged, mut aside, mut keys) = (
            Vec::with_capacity(located.len()),
            Vec::new(),
            HashSet::new(),
        );
        for (mut member, place) in located {
            if turn.is_reserved(&member.key) || !keys.insert(member.key.clone()) {
                aside.push(member);
                continue;
            }
            let outcome = self.judge(&mut member, &place, &mut turn, &room);
            let live = turn.is_live(&member.key);
            let recorded = live && member.durability == Durability::Durable;
            if !live
                && member.durability == Durability::Durable
                && matches!(outcome, Outcome::Done(Ok(_)) | Outcome::Exists)
            {
                changed.note(&place.shard);
            }
            // A durable object that is live is so by way of the log.
            let outcome = if live && matches!(outcome, Outcome::Exists) {
                Outcome::Done(Err(exists(&member.key)))
            } else {
                outcome
            };
            judged.push(Judged {
                member,
                place,
                outcome,
                recorded,
            });
        }
        let wait = judged.iter().any(|put| put.recorded);
        let logged = turn.append().and_then(|ticket| match ticket {
            Some(ticket) if wait => match self.log.sync(&ticket) {
                Ok(()) => Ok(Some(ticket)),
                Err(e) => {
                    let reserved = judged
                        .iter()
                        .filter(|put| matches!(put.outcome, Outcome::InLog))
                        .map(|put| put.member.key.clone());
                    let _ = self.log.finish(ticket, &reserved.collect::<Vec<_>>());
                    Err(e)
                }
            },
            ticket => Ok(ticket),
        });
        match logged {
            Ok(ticket) => self.rename_logged(&mut judged, ticket, changed),
            Err(e) => fail(&mut judged, "the log cannot be written", &e, |put| {
                put.recorded
            }),
        }
        for put in &mut judged {
            if matches!(put.outcome, Outcome::Exists) {
                put.outcome = Outcome::Done(self.sync_existing(put));
            }
        }
        let failures = changed.sync(self, |files| sync_all(&*self.files.sys, file_system, files));
        for Judged {
            member,
            place,
            outcome,
            ..
        } in judged
        {
            match outcome {
                Outcome::Done(result) => match (failures.get(&place.shard), member.durability) {
                    (Some(message), Durability::Durable) => member.fail(
                        "the directory cannot be synced",
                        io::Error::other(message.clone()),
                    ),
                    _ => member.answer(result),
                },
                Outcome::InLog | Outcome::Exists | Outcome::Dropped => drop(member),
            }
        }
        aside
    }

    /// Opens the shard, and finds the object there: what must be read from the disk for that is in
    /// memory when it is this put's turn.
    fn locate(&self, key: &Key, changed: &mut Changed) -> io::Result<Place> {
        let shard = self.options.shard.shard(key.as_str());
        let dir = changed.shard(self, &shard)?;
        let name = format!("{key}{EXTENSION}");
        let old = hold(&dir, &name);
        Ok(Place {
            shard,
            dir,
            name,
            _old: old,
        })
    }

    /// Decides on a put, and renames it unless that has to wait for the log.
    fn judge(
        &self,
        member: &mut Member,
        place: &Place,
        turn: &mut Turn<'_>,
        room: &io::Result<()>,
    ) -> Outcome {
        if member.claimed.is_cancelled() {
            return Outcome::Dropped;
        }
        let live = turn.is_live(&member.key);
        if (live || member.needs_log())
            && let Err(e) = room
        {
            return Outcome::Done(Err(put_failed(
                &member.key,
                "the log cannot be written",
                again(e),
            )));
        }
        match self.allowed(member, place) {
            Ok(true) => {}
            Ok(false)
                if member.mode == PutMode::Create && member.durability == Durability::Durable =>
            {
                return Outcome::Exists;
            }
            Ok(false) if member.mode == PutMode::Create => {
                return Outcome::Done(Err(exists(&member.key)));
            }
            Ok(false) => {
                return Outcome::Done(Err(Error::Precondition {
                    operation: Operation::Put,
                    key: member.key.clone(),
                }));
            }
            Err(e) => {
                return Outcome::Done(Err(put_failed(
                    &member.key,
                    "the object that is there cannot be described",
                    e,
                )));
            }
        }
        if member.needs_log()
            && let Some(pieces) = &member.pieces
        {
            turn.put(&member.key, pieces, member.version.nanos);
            return Outcome::InLog;
        }
        if live
            && member.pieces.is_none()
            && !member.synced
            && let Err(e) = member.version.sync()
        {
            return Outcome::Done(Err(put_failed(
                &member.key,
                "the temporary file cannot be synced",
                e,
            )));
        }
        if !member.claimed.take() {
            return Outcome::Dropped;
        }
        match self.rename(member, place) {
            Ok(()) => {}
            Err(e)
                if member.mode == PutMode::Create && e.kind() == io::ErrorKind::AlreadyExists =>
            {
                return Outcome::Exists;
            }
            Err(e) => {
                return Outcome::Done(Err(put_failed(
                    &member.key,
                    "the file cannot be renamed into place",
                    e,
                )));
            }
        }
        if live {
            match &member.pieces {
                Some(pieces) if !member.synced => {
                    turn.put_relaxed(&member.key, pieces, member.version.nanos)
                }
                // Before the log forgets the key, this must be as durable as what the log has.
                _ => match place.dir.sync_all() {
                    Ok(()) => turn.settled(&member.key),
                    Err(e) => {
                        return Outcome::Done(Err(put_failed(
                            &member.key,
                            "the directory cannot be synced",
                            e,
                        )));
                    }
                },
            }
        }
        Outcome::Done(member.done())
    }

    /// Whether the mode lets this put go on.
    fn allowed(&self, member: &Member, place: &Place) -> io::Result<bool> {
        match &member.mode {
            PutMode::Overwrite => Ok(true),
            PutMode::Create => Ok(statat(&place.dir, &place.name, AtFlags::SYMLINK_NOFOLLOW)
                .map(|_| false)
                .or_else(|e| match e {
                    Errno::NOENT => Ok(true),
                    e => Err(e),
                })?),
            PutMode::Replace(etag) => {
                Ok(current(&place.dir, &place.name)?.is_some_and(|there| there == *etag))
            }
        }
    }

    /// The log has them. Those that do not get their names after all are taken back.
    fn rename_logged(&self, judged: &mut [Judged], ticket: Option<Ticket>, changed: &mut Changed) {
        let (mut void, mut failed) = (Vec::new(), false);
        for put in judged
            .iter_mut()
            .filter(|put| matches!(put.outcome, Outcome::InLog))
        {
            let member = &mut put.member;
            put.outcome = if !member.claimed.take() {
                Outcome::Dropped
            } else {
                match self.rename(member, &put.place) {
                    Ok(()) => Outcome::Done(member.done()),
                    // By somebody else than a store.
                    Err(e)
                        if member.mode == PutMode::Create
                            && e.kind() == io::ErrorKind::AlreadyExists =>
                    {
                        changed.note(&put.place.shard);
                        Outcome::Exists
                    }
                    Err(e) => Outcome::Done(Err(put_failed(
                        &member.key,
                        "the file cannot be renamed into place",
                        e,
                    ))),
                }
            };
            if !matches!(put.outcome, Outcome::Done(Ok(_))) {
                failed |= !matches!(put.outcome, Outcome::Dropped);
                void.push(member.key.clone());
            }
        }
        let Some(ticket) = ticket else { return };
        let taken_back = self
            .log
            .finish(ticket, &void)
            .and_then(|ticket| match ticket {
                Some(ticket) if failed => self.log.sync(&ticket),
                _ => Ok(()),
            });
        if let Err(e) = taken_back {
            fail(judged, "the log cannot be written", &e, |put| {
                void.contains(&put.member.key)
            });
        }
    }

    fn rename(&self, member: &mut Member, place: &Place) -> io::Result<()> {
        match member.mode {
            PutMode::Overwrite | PutMode::Replace(_) => {
                member.version.temp.rename(&place.dir, &place.name)?
            }
            PutMode::Create => member.version.temp.rename_new(&place.dir, &place.name)?,
        }
        // Also of a new object: its shard may have been moved away with an old one.
        self.files.kept.forget(&member.key);
        Ok(())
    }

    /// Whoever hears that an object exists will rely on it: it must be as durable as its own would
    /// have been.
    fn sync_existing(&self, put: &Judged) -> Result<PutResult> {
        let key = &put.member.key;
        let synced = match self.files.sys.open(
            &self.files.dir,
            &format!("{}/{}", put.place.shard, put.place.name),
        ) {
            Ok(file) => file.sync_all(),
            // Deleted since.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        match synced {
            Ok(()) => Err(exists(key)),
            Err(e) => Err(put_failed(
                key,
                "the object that is there cannot be synced",
                e,
            )),
        }
    }
}

/// Holds what has this name, if anything has: finding it here leaves nothing to be waited for
/// later, and while it is held its bytes are not freed.
pub(super) fn hold(dir: &File, name: &str) -> Option<OwnedFd> {
    openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

fn exists(key: &Key) -> Error {
    Error::AlreadyExists { key: key.clone() }
}

fn fail(judged: &mut [Judged], message: &str, source: &io::Error, which: impl Fn(&Judged) -> bool) {
    for put in judged.iter_mut().filter(|put| {
        which(put) && !matches!(put.outcome, Outcome::Done(Err(_)) | Outcome::Dropped)
    }) {
        put.outcome = Outcome::Done(Err(put_failed(&put.member.key, message, again(source))));
    }
}

/// The tag of the object that is there, if one is.
fn current(dir: &File, name: &str) -> io::Result<Option<ETag>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stamp::is_object(&stat).then(|| stamp::etag(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
