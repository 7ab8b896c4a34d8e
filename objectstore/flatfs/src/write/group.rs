//! Group commit: puts that wait at the same time become durable together.
//!
//! First all files of a group are written. Then, with the log, the group's bytes are appended to
//! it, it is synced, and each file is renamed into place. Without it, the files are synced,
//! renamed, and the directories that changed are synced. While a group syncs, the next one gathers.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use storehouse_engine::files::{Keep, PutGroup, Temp, duplicate, sync_all, write_at};
use storehouse_objectstore::{Key, PutResult, Result};

use super::super::store_lock::StoreLock;
use super::dirty_dirs::DirtyDirs;
use super::put::{NewFile, Put, PutState};
use super::writer::Writer;

impl PutGroup for Writer {
    type Put = Put;

    fn commit_group(&self, mut puts: Vec<Put>) -> Vec<Result<PutResult>> {
        let is_durable = puts.iter().any(Put::is_durable);
        let logs = if is_durable {
            self.wal.is_ready()
        } else {
            Ok(false)
        };
        let has_large = puts
            .iter()
            .any(|put| matches!(put.state, PutState::Written(_)));
        let file_system = match logs {
            Ok(true) if !has_large => None,
            _ => self.file_system(),
        };
        let mut dirs = DirtyDirs::new(&self.directory, &self.unsynced_shards);
        self.write_files(&mut puts, &mut dirs, matches!(logs, Ok(true)));
        match logs {
            Ok(true) => {}
            Ok(false) => self.sync_files(&mut puts, file_system.as_ref()),
            Err(e) => puts
                .iter_mut()
                .filter(|put| put.is_unsynced())
                .for_each(|put| put.fail("the log cannot be written", duplicate(&e))),
        }
        // Puts of one key are published one after the other.
        while puts.iter().any(|put| put.written().is_some()) {
            self.publish(&mut puts, &mut dirs, file_system.as_ref());
        }
        puts.into_iter().map(Put::into_result).collect()
    }
}

impl Writer {
    /// Writes the files of puts that have none; `logged` if their bytes go to the log.
    fn write_files(&self, puts: &mut [Put], dirs: &mut DirtyDirs<'_>, logged: bool) {
        for put in puts {
            let PutState::Received(body) = &mut put.state else {
                continue;
            };
            if put.cancellation.is_cancelled() {
                put.state = PutState::Cancelled;
                continue;
            }
            let body = std::mem::take(body);
            match self.write_file(&put.key, body, logged.then_some(&mut *dirs), &put.lock) {
                Ok(file) => put.state = PutState::Written(file),
                Err(e) => put.fail("the temporary file cannot be written", e),
            }
        }
    }

    fn write_file(
        &self,
        key: &Key,
        body: Vec<Bytes>,
        dirs: Option<&mut DirtyDirs<'_>>,
        lock: &Arc<StoreLock>,
    ) -> io::Result<NewFile> {
        // A shard that cannot be opened is reported when the file gets its name.
        let shard = self.directory.shard.shard(key.as_str());
        let shard = dirs.and_then(|dirs| dirs.open_or_make(&shard).ok());
        let keep = || Arc::clone(lock) as Keep;
        let temp = match shard.and_then(|dir| Temp::unnamed(&self.temp, keep(), &dir)) {
            Some(temp) => temp,
            None => Temp::create(&self.temp, keep())?,
        };
        write_at(temp.file(), &body, 0)?;
        NewFile::new(temp, Some(body), &self.clock)
    }

    /// Syncs the files of durable puts that are not synced yet.
    pub(super) fn sync_files(&self, puts: &mut [Put], file_system: Option<&File>) {
        for put in puts.iter_mut().filter(|put| put.is_unsynced()) {
            // With a name first: getting one changes the file, too.
            if let Some(Err(e)) = put.written_mut().map(|file| file.temp.give_name()) {
                put.fail("the temporary file cannot be named", e);
            }
        }
        let mut unsynced: Vec<&mut Put> = puts.iter_mut().filter(|put| put.is_unsynced()).collect();
        let files: Vec<&File> = unsynced
            .iter()
            .filter_map(|put| Some(&**put.written()?.temp.file()))
            .collect();
        let results = sync_all(&*self.directory.sys, file_system, &files);
        for (put, result) in unsynced.iter_mut().zip(results) {
            match result {
                Ok(()) => put
                    .written_mut()
                    .into_iter()
                    .for_each(|file| file.synced = true),
                Err(e) => put.fail("the temporary file cannot be synced", e),
            }
        }
    }
}
