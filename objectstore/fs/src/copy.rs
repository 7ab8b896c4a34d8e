//! Copies and renames within the store.

use std::sync::Arc;

use rustix::fs::fstat;
use storehouse_engine::files::{Blocking, CancelGuard, Keep, Temp, copy_file, etag, failed};
use storehouse_engine::off_thread;
use storehouse_objectstore::{CopyOptions, Error, ErrorClass, Key, Operation, PutResult, Result};

use super::running::Running;
use super::store::Fs;
use super::write::{NewFile, Put, PutState, Writer};

impl Fs {
    /// See [`ObjectStore::copy_opts`](storehouse_objectstore::ObjectStore::copy_opts). The kernel
    /// copies the bytes, shared on disk where the file system can do that. A rename that changes
    /// attributes is [`Error::Unsupported`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use storehouse_fs::{Fs, FsOptions};
    /// use storehouse_objectstore::{CopyOptions, Key, ObjectStoreExt};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let dir = tempfile::tempdir()?;
    /// let store = Fs::open(dir.path(), FsOptions::default()).await?;
    /// let (from, to) = (Key::new("a")?, Key::new("a/b")?);
    /// store.put(&from, "bytes").await?;
    /// store.copy_opts(&from, &to, CopyOptions::default().remove_source(true)).await?;
    /// assert_eq!(std::fs::read(dir.path().join("a/b"))?, b"bytes");
    /// assert!(!store.exists(&from).await?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
        options.check(from, to, self.capabilities_ref())?;
        let running = Arc::new(self.enter(Operation::Copy, Some(from))?);
        // Dropped with this future: until then the copy is wanted.
        let (_guard, cancellation) = CancelGuard::new();
        let (copied, copying) = CancelGuard::new();
        let writer = Arc::clone(self.writer());
        let (source, target) = (from.clone(), to.clone());
        if options.remove_source {
            return off_thread(Operation::Copy, move || {
                let renamed = writer.rename(&source, &target, &options, &cancellation);
                drop((writer, running));
                renamed
            })
            .await;
        }
        let (mode, durability) = (options.mode.clone(), options.durability);
        let keep = Arc::clone(&running);
        let file = off_thread(Operation::Copy, move || {
            writer.copy_to_file(&source, &options, &keep, || copying.is_cancelled())
        })
        .await?;
        drop(copied);
        let state = PutState::Written(file);
        let put = Put::new(target, mode, durability, cancellation, state, running);
        let put = self.commit(put).await;
        put.map_err(|e| e.map_operation(Operation::Copy))
    }
}

impl Writer {
    /// A file with the bytes of the object, and the attributes of its copy. Blocks.
    fn copy_to_file(
        &self,
        from: &Key,
        options: &CopyOptions,
        running: &Arc<Running>,
        is_cancelled: impl Fn() -> bool,
    ) -> Result<NewFile> {
        let error = |e| failed(Operation::Copy, Some(from), "the file cannot be copied", e);
        let source = match self
            .directory
            .open_object(Operation::Copy, from, Blocking::Allowed)
        {
            Some(source) => source?,
            None => return Err(Error::not_found(Operation::Copy, from)),
        };
        let (stat, metadata) = self
            .directory
            .reader
            .metadata(Operation::Copy, from, &source)?;
        options.check_source(from, &metadata.etag)?;
        let temp = Temp::create(&self.temp, Arc::clone(running) as Keep).map_err(error)?;
        copy_file(&source, temp.file(), metadata.size, is_cancelled).map_err(error)?;
        let now = fstat(&source).map_err(|e| error(e.into()))?;
        if etag(&now) != etag(&stat) {
            return Err(changed(from));
        }
        let attributes = options.attributes.as_ref().unwrap_or(&metadata.attributes);
        NewFile::new(temp, attributes, &self.clock)
            .and_then(|file| file.synced(options.durability))
            .map_err(error)
    }
}

/// Another program wrote to the source's file.
fn changed(from: &Key) -> Error {
    Error::Backend {
        operation: Operation::Copy,
        key: Some(from.clone()),
        class: ErrorClass::Transient,
        message: "the object changed while it was copied".to_owned(),
        source: None,
    }
}
