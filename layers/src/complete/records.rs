//! Records, and whether the objects that they name are there.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    BoxError, Entry, Error, ErrorClass, GetOptions, Key, Metadata, ObjectStore, Operation, Result,
};

use super::options::CompleteOptions;

/// Finds the keys of the objects that a record names.
pub(super) type Find = Arc<dyn Fn(&[u8]) -> Result<Vec<Key>, BoxError> + Send + Sync>;

/// Both stores, and how they go together.
pub(super) struct Records<R, O> {
    pub(super) records: R,
    pub(super) objects: O,
    pub(super) find: Find,
    pub(super) options: CompleteOptions,
}

impl<R: fmt::Debug, O: fmt::Debug> fmt::Debug for Records<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("records", &self.records)
            .field("objects", &self.objects)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn failed(
    operation: Operation,
    key: &Key,
    class: ErrorClass,
    message: String,
    source: Option<BoxError>,
) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class,
        message,
        source,
    }
}

impl<R: ObjectStore, O: ObjectStore> Records<R, O> {
    /// A record, whole and complete.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not there or an object is missing.
    pub(super) async fn read(&self, operation: Operation, key: &Key) -> Result<(Metadata, Bytes)> {
        let get = self.records.get_opts(key, GetOptions::default());
        let object = get.await.map_err(|e| e.map_operation(operation))?;
        self.check_size(operation, key, object.size())?;
        let bytes = object.body.collect(self.options.max_record).await?;
        if !self.is_complete(operation, key, &bytes).await? {
            return Err(Error::not_found(operation, key));
        }
        Ok((object.metadata, bytes))
    }

    fn check_size(&self, operation: Operation, key: &Key, size: u64) -> Result<()> {
        let most = self.options.max_record;
        if size <= most {
            return Ok(());
        }
        let message = format!("the record has {size} bytes, and at most {most} are looked at");
        Err(failed(operation, key, ErrorClass::Fatal, message, None))
    }

    /// Whether all objects that a record names are there.
    async fn is_complete(&self, operation: Operation, key: &Key, record: &[u8]) -> Result<bool> {
        let found = (self.find)(record).map_err(|error| {
            let message = "the objects that the record names cannot be found in it".into();
            failed(operation, key, ErrorClass::Fatal, message, Some(error))
        })?;
        let objects: BTreeSet<Key> = found.into_iter().collect();
        let (number, most) = (objects.len(), self.options.max_objects);
        if number > most {
            let message = format!("the record names {number} objects, more than {most}");
            return Err(failed(operation, key, ErrorClass::Fatal, message, None));
        }
        let heads = stream::iter(objects).map(|object| async move {
            match self.objects.head(&object).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_not_found() => Ok(false),
                Err(error) => {
                    let message = format!("whether object {object} is there cannot be told");
                    let (class, source) = (error.class(), Some(error.into()));
                    Err(failed(operation, key, class, message, source))
                }
            }
        });
        let mut there = heads.buffer_unordered(self.options.at_once.max(1));
        while let Some(there) = there.try_next().await? {
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entry of a listing, if its record is complete.
    pub(super) async fn entry(
        &self,
        entry: Entry,
        inline_values: Option<u64>,
    ) -> Result<Option<Entry>> {
        let Entry {
            key,
            mut metadata,
            value,
        } = entry;
        let bytes = match value {
            Some(bytes) => {
                self.check_size(Operation::List, &key, bytes.len() as u64)?;
                if !self.is_complete(Operation::List, &key, &bytes).await? {
                    return Ok(None);
                }
                bytes
            }
            None => match self.read(Operation::List, &key).await {
                Ok((read, bytes)) => {
                    metadata = read;
                    bytes
                }
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        let wanted = inline_values.is_some_and(|most| bytes.len() as u64 <= most);
        Ok(Some(Entry {
            key,
            metadata,
            value: wanted.then_some(bytes),
        }))
    }
}
