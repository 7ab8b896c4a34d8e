//! Putting one record where it belongs.

use futures_util::{StreamExt, TryStreamExt};
use storehouse_genericstore::{Codec, GenericStore};
use storehouse_objectstore::{ObjectStore, ObjectStoreExt};

use super::database::{Found, SourceDatabase};
use super::options::{AT_ONCE, ImportOptions};
use super::report::{DatabaseReport, ImportOutcome, Problem};
use crate::{Acceptance, Allocation, Delegation, Error, Receipt, RecordCodec, Result};

/// A record that says under which key it belongs.
pub(super) trait Keyed: Send + Sync + Sized + 'static {
    fn key(&self) -> String;
}

impl Keyed for Allocation {
    fn key(&self) -> String {
        crate::stores::space_key(&self.blob.digest, &self.space)
    }
}

impl Keyed for Acceptance {
    fn key(&self) -> String {
        crate::stores::space_key(&self.blob().digest, self.space())
    }
}

impl Keyed for Delegation {
    fn key(&self) -> String {
        self.cid().to_string()
    }
}

impl Keyed for Receipt {
    fn key(&self) -> String {
        self.cid().to_string()
    }
}

/// All records of a database whose keys are theirs.
pub(super) async fn import<T: Keyed, S: ObjectStore>(
    source: &SourceDatabase,
    store: &GenericStore<T, RecordCodec, S>,
    options: &ImportOptions,
    report: &mut DatabaseReport,
) -> Result<()>
where
    RecordCodec: Codec<T>,
{
    let mut outcomes = source
        .records(options)
        .map(|found| async move {
            let found = found?;
            one(&found, found.name(), store, options.dry_run).await
        })
        .buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.try_next().await? {
        report.read += 1;
        report.count(outcome);
    }
    Ok(())
}

/// One record, which must be the one that its key `name` says.
pub(super) async fn one<T: Keyed, S: ObjectStore>(
    found: &Found,
    name: Option<&str>,
    store: &GenericStore<T, RecordCodec, S>,
    dry_run: bool,
) -> Result<ImportOutcome>
where
    RecordCodec: Codec<T>,
{
    let record: T = match RecordCodec.decode(&found.value) {
        Ok(record) => record,
        Err(e) => return Ok(Problem::of(&found.key, &e)),
    };
    let key = record.key();
    if name != Some(key.as_str()) {
        return Ok(Problem::because(
            &found.key,
            format!("the record belongs under {key:?}"),
        ));
    }
    put(&found.key, &key, &record, store, dry_run).await
}

/// Puts a record unless one is there, and compares what was written.
pub(super) async fn put<T: Send + Sync + 'static, S: ObjectStore>(
    source_key: &[u8],
    key: &str,
    record: &T,
    store: &GenericStore<T, RecordCodec, S>,
    dry_run: bool,
) -> Result<ImportOutcome>
where
    RecordCodec: Codec<T>,
{
    let object = store.object_key(key)?;
    let bytes = match RecordCodec.encode(record) {
        Ok(bytes) => bytes,
        Err(e) => return Ok(Problem::of(source_key, &e)),
    };
    let limit = GenericStore::<T, RecordCodec, S>::DEFAULT_LIMIT;
    let read = async || match store.object_store().get_bytes(&object, limit).await {
        Ok(there) => Ok(Some(there)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(Error::Store(e.into())),
    };
    match read().await? {
        Some(there) if there == bytes => return Ok(ImportOutcome::Present),
        Some(_) => {
            return Ok(Problem::because(
                source_key,
                "another record is there in its place",
            ));
        }
        None if dry_run => return Ok(ImportOutcome::Imported),
        None => {}
    }
    store.put(key, record).await?;
    if read().await?.as_ref() == Some(&bytes) {
        Ok(ImportOutcome::Imported)
    } else {
        Err(Error::Compare { key: object })
    }
}
