//! Group commit: puts that wait at the same time become durable together. The files are written and
//! synced, then they get their names, then the directories that changed are synced. While a group
//! syncs, the next one gathers.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use storehouse_engine::files::{Keep, PutGroup, Temp, duplicate, sync_all, write_at};
use storehouse_objectstore::{Attributes, PutResult, Result};

use super::super::running::Running;
use super::dirty_dirs::DirtyDirs;
use super::put::{NewFile, Put, PutState};
use super::writer::Writer;

impl PutGroup for Writer {
    type Put = Put;

    fn commit_group(&self, mut puts: Vec<Put>) -> Vec<Result<PutResult>> {
        let file_system = self.file_system();
        let file_system = file_system.as_ref();
        self.write_files(&mut puts);
        self.sync_files(&mut puts, file_system);
        let mut dirs = DirtyDirs::default();
        self.publish(&mut puts, &mut dirs);
        if puts.iter().any(Put::is_durable) {
            self.sync_occupied(&mut puts);
            self.sync_directories(&mut puts, dirs, file_system);
        }
        for put in &mut puts {
            if let Some(due) = put.due.take() {
                self.teller.tell(&put.key, due, put.change());
            }
        }
        puts.into_iter().map(Put::into_result).collect()
    }
}

impl Writer {
    /// Writes the files of puts that have none.
    fn write_files(&self, puts: &mut [Put]) {
        for put in puts {
            let PutState::Received(body, attributes) = &mut put.state else {
                continue;
            };
            if put.cancellation.is_cancelled() {
                put.state = PutState::Cancelled;
                continue;
            }
            let (body, attributes) = (std::mem::take(body), std::mem::take(attributes));
            match self.write_file(body, &attributes, &put.running) {
                Ok(file) => put.state = PutState::Written(file),
                Err(e) => put.fail("the temporary file cannot be written", e),
            }
        }
    }

    fn write_file(
        &self,
        body: Vec<Bytes>,
        attributes: &Attributes,
        running: &Arc<Running>,
    ) -> io::Result<NewFile> {
        let temp = Temp::create(&self.temp, Arc::clone(running) as Keep)?;
        write_at(temp.file(), &body, 0)?;
        NewFile::new(temp, attributes, &self.clock)
    }

    /// Syncs the files of durable puts that are not synced yet.
    fn sync_files(&self, puts: &mut [Put], file_system: Option<&File>) {
        let mut unsynced: Vec<&mut Put> = puts
            .iter_mut()
            .filter_map(|put| put.unsynced().is_some().then_some(put))
            .collect();
        let files: Vec<Arc<File>> = unsynced
            .iter_mut()
            .filter_map(|put| Some(Arc::clone(put.unsynced()?.temp.file())))
            .collect();
        let files: Vec<&File> = files.iter().map(|file| &**file).collect();
        let results = sync_all(&*self.directory.sys, file_system, &files);
        for (put, result) in unsynced.into_iter().zip(results) {
            match (result, put.unsynced()) {
                (Ok(()), Some(file)) => file.synced = true,
                (Ok(()), None) => {}
                (Err(e), _) => put.fail("the temporary file cannot be synced", e),
            }
        }
    }

    /// Syncs the directories that changed.
    fn sync_directories(&self, puts: &mut [Put], dirs: DirtyDirs, file_system: Option<&File>) {
        let sync = |files: &[&File]| sync_all(&*self.directory.sys, file_system, files);
        let failures = dirs.sync(&self.directory, &self.durable, sync);
        for put in puts {
            let failure = put.relies_on().and_then(|dir| failures.find(dir));
            if let Some(e) = failure.map(duplicate) {
                put.fail("the directory cannot be synced", e);
            }
        }
    }
}
