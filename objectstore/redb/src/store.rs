//! The public type.

use storehouse_engine::RecordStore;

use crate::RedbEngine;

/// An object store for small records in a redb database.
///
/// ```
/// use storehouse_objectstore::{Key, ObjectStoreExt};
/// use storehouse_redb::{Redb, RedbOptions};
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
/// # let dir = tempfile::tempdir()?;
/// # runtime.block_on(async {
/// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
/// let key = Key::new("allocation/1")?;
/// store.put(&key, "a record").await?;
/// assert_eq!(store.get_bytes(&key, 1024).await?, "a record");
/// store.close().await?;
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Redb = RecordStore<RedbEngine>;
