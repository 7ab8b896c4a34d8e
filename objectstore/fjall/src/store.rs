//! The public type.

use storehouse_engine::RecordStore;

use crate::FjallEngine;

/// An object store for small records in a fjall database.
///
/// ```
/// use storehouse_fjall::{Fjall, FjallOptions};
/// use storehouse_objectstore::{Key, ObjectStoreExt};
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
/// # let dir = tempfile::tempdir()?;
/// # runtime.block_on(async {
/// let store = Fjall::open(dir.path(), FjallOptions::default()).await?;
/// let key = Key::new("allocation/1")?;
/// store.put(&key, "a record").await?;
/// assert_eq!(store.get_bytes(&key, 1024).await?, "a record");
/// store.close().await?;
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub type Fjall = RecordStore<FjallEngine>;
