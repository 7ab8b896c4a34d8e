//! Put: the body is received on the async thread and written on the blocking pool, so that no
//! thread waits for the caller's bytes.

use std::io;
use std::sync::Arc;

use storehouse_engine::files::{
    CancelGuard, PutGroup, Temp, put_failed, receive_all, unwritten, write_body,
};
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    Body, Durability, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};

use super::running::Running;
use super::store::Fs;
use super::write::{INLINE, NewFile, Put, PutState, Writer};

impl Fs {
    /// See [`ObjectStore::put_opts`](storehouse_objectstore::ObjectStore::put_opts).
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let running = Arc::new(self.enter(Operation::Put, Some(key))?);
        let capabilities = self.capabilities_ref();
        capabilities.check_attributes(key, &options.attributes)?;
        let max = capabilities.max_size;
        let mut body = SizedBody::new(key, body, &options, max)?;
        let state = if body.declared() <= INLINE {
            PutState::Received(receive_all(&mut body).await?, options.attributes.clone())
        } else {
            let file = write_to_file(self.writer(), &running, key, &mut body, &options);
            PutState::Written(file.await?)
        };
        // Dropped with this future: until then the put is wanted.
        let (_guard, cancellation) = CancelGuard::new();
        let PutOptions {
            mode, durability, ..
        } = options;
        let put = Put::new(key.clone(), mode, durability, cancellation, state, running);
        self.commit(put).await
    }

    /// Commits a put, with others that wait at the same time.
    pub(super) async fn commit(&self, put: Put) -> Result<PutResult> {
        let key = put.key.clone();
        match put.durability {
            Durability::Durable => {
                let bytes = put.bytes_in_memory();
                let answer = self.queue().submit(put, bytes).await;
                answer.unwrap_or_else(|e| Err(e.into_error(Operation::Put, Some(&key))))
            }
            // Waits for no sync, neither its own nor another's.
            Durability::Relaxed => {
                let writer = Arc::clone(self.writer());
                let commit = move || {
                    let results = writer.commit_group(vec![put]);
                    results.into_iter().collect::<Result<Vec<_>>>()
                };
                let mut results = off_thread(Operation::Put, commit).await?;
                results.pop().ok_or_else(|| {
                    put_failed(&key, "there is no answer", io::ErrorKind::Other.into())
                })
            }
        }
    }
}

/// Writes the body to a file of its own as it comes in, and syncs it.
async fn write_to_file(
    writer: &Arc<Writer>,
    running: &Arc<Running>,
    key: &Key,
    body: &mut SizedBody,
    options: &PutOptions,
) -> Result<NewFile> {
    let durability = options.durability;
    let temp = {
        let (writer, running, key) = (Arc::clone(writer), Arc::clone(running), key.clone());
        off_thread(Operation::Put, move || {
            Temp::create(&writer.temp, running).map_err(|e| unwritten(&key, e))
        })
        .await?
    };
    write_body(&writer.directory.sys, &temp, key, body, durability).await?;
    let (writer, key, attributes) = (Arc::clone(writer), key.clone(), options.attributes.clone());
    off_thread(Operation::Put, move || {
        NewFile::new(temp, &attributes, &writer.clock)
            .and_then(|file| file.synced(durability))
            .map_err(|e| unwritten(&key, e))
    })
    .await
}
