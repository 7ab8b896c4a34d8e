//! Put: the body is received on the async thread and written on the blocking pool, so that no
//! thread waits for the caller's bytes.

use std::io;
use std::sync::Arc;

use storehouse_engine::files::{
    CancelGuard, PutGroup, Temp, put_failed, receive_all, unwritten, write_body,
};
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    Body, Durability, Error, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};

use super::store::FlatFs;
use super::store_lock::StoreLock;
use super::write::{INLINE, NewFile, Put, PutState, Writer};

impl FlatFs {
    /// See [`ObjectStore::put_opts`](storehouse_objectstore::ObjectStore::put_opts).
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let capabilities = self.capabilities_ref();
        if let Some(flaw) = capabilities.keys.flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), flaw));
        }
        capabilities.check_attributes(key, &options.attributes)?;
        let lock = self.lock(Operation::Put, Some(key))?;
        let mut body = SizedBody::new(key, body, &options, capabilities.max_size)?;
        let state = if body.declared() <= INLINE {
            PutState::Received(receive_all(&mut body).await?)
        } else {
            let writer = Arc::clone(self.writer());
            PutState::Written(
                write_to_file(writer, &lock, key, &mut body, options.durability).await?,
            )
        };
        // Dropped with this future: until then the put is wanted.
        let (_guard, cancellation) = CancelGuard::new();
        let PutOptions {
            mode, durability, ..
        } = options;
        let put = Put::new(key.clone(), mode, durability, cancellation, state, lock);
        match durability {
            Durability::Durable => {
                let bytes = put.bytes_in_memory();
                let answer = self.queue().submit(put, bytes).await;
                answer.unwrap_or_else(|e| Err(e.into_error(Operation::Put, Some(key))))
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
                    put_failed(key, "there is no answer", io::ErrorKind::Other.into())
                })
            }
        }
    }
}

/// Writes the body to a file of its own as it comes in, and syncs it.
async fn write_to_file(
    writer: Arc<Writer>,
    lock: &Arc<StoreLock>,
    key: &Key,
    body: &mut SizedBody,
    durability: Durability,
) -> Result<NewFile> {
    let temp = {
        let (writer, lock, key) = (Arc::clone(&writer), Arc::clone(lock), key.clone());
        off_thread(Operation::Put, move || {
            Temp::create(&writer.temp, lock).map_err(|e| unwritten(&key, e))
        })
        .await?
    };
    write_body(&writer.directory.sys, &temp, key, body, durability).await?;
    let key = key.clone();
    off_thread(Operation::Put, move || {
        NewFile::new(temp, None, &writer.clock)
            .and_then(|file| file.synced(durability))
            .map_err(|e| unwritten(&key, e))
    })
    .await
}
