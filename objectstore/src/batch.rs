//! Batches: several writes that happen together or not at all.

use std::fmt::Debug;

use bytes::Bytes;
use futures_core::future::BoxFuture;

use crate::{Durability, ETag, Error, Key, Operation, PutMode, Result};

/// A store that commits batches. Reached through any store, wrapped or not, by
/// [`ObjectStore::batches`](crate::ObjectStore::batches).
///
/// All of a batch happens or none of it, whatever fails: readers and listings see no part of it,
/// nor does a crash leave one. No other write happens between its conditions and its writes.
pub trait Batches: Debug + Send + Sync {
    /// Commits `batch`, durably when it returns unless [`Batch::durability`] says otherwise.
    ///
    /// Operations apply in their order: each condition is judged on what the operations before it
    /// leave. An empty batch is ok.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Batch, Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// let (store, a, b) = (Memory::new(), Key::new("a")?, Key::new("b")?);
    /// store.put(&b, "there").await?;
    /// let batches = store.batches().unwrap();
    /// let failed = batches.batch(Batch::new().put(a.clone(), "1").create(b, "1")).await;
    /// assert!(failed.unwrap_err().is_already_exists());
    /// assert!(!store.exists(&a).await?, "nothing of the batch happened");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The first one that an operation meets: [`InvalidKey`](Error::InvalidKey),
    /// [`AlreadyExists`](Error::AlreadyExists), [`Precondition`](Error::Precondition),
    /// [`TooLarge`](Error::TooLarge) (also if the batch as a whole is more than the store takes at
    /// once), or [`Backend`](Error::Backend). After any of them nothing of the batch happened;
    /// after `Backend` alone, all of it may have.
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>>;
}

/// Writes that happen together or not at all, in order.
///
/// ```
/// use storehouse_objectstore::{Batch, Key};
///
/// let (record, index) = (Key::new("record/1")?, Key::new("index/blue/1")?);
/// let batch = Batch::new().create(record, "…").put(index, "1");
/// assert_eq!(batch.ops.len(), 2);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Batch, Durability, Key, Memory, ObjectStore};
///
/// let (store, a, b) = (Memory::new(), Key::new("a")?, Key::new("b")?);
/// let batches = store.batches().unwrap();
/// let made = Batch::new().create(a.clone(), "1").put(b.clone(), "1");
/// let done = batches.batch(made.durability(Durability::Relaxed)).await?;
///
/// let etag = done.etags[0].clone().unwrap();
/// batches.batch(Batch::new().replace(a.clone(), etag.clone(), "2").delete(b)).await?;
/// let late = batches.batch(Batch::new().delete_if(a, etag)).await;
/// assert!(late.unwrap_err().is_precondition());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The writes, in the order in which they apply. One key may occur more than once.
    pub ops: Vec<BatchOp>,
    /// When the commit may return.
    pub durability: Durability,
}

/// One write of a [`Batch`].
///
/// ```
/// use storehouse_objectstore::{Batch, BatchOp, ETag, Key};
///
/// let op = BatchOp::Delete { key: Key::new("a")?, if_match: Some(ETag::new("1")) };
/// assert_eq!(op.key().as_str(), "a");
/// assert!(op.check_condition(Some(&ETag::new("1"))).is_ok());
/// assert!(op.check_condition(None).unwrap_err().is_precondition());
///
/// let batch = Batch::new().op(op.clone());
/// assert_eq!(batch.ops, [op]);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOp {
    /// Stores `bytes` under `key`.
    Put {
        /// The object.
        key: Key,
        /// All of its bytes.
        bytes: Bytes,
        /// Whether the object may be there already.
        mode: PutMode,
    },
    /// Removes the object.
    Delete {
        /// The object.
        key: Key,
        /// Only if the object has this tag, else (or if there is none) [`Error::Precondition`].
        /// Without it a missing object is ok.
        if_match: Option<ETag>,
    },
}

/// What a [`Batch`] leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// For each operation, in order, the tag of the version that it wrote: `None` for a delete.
    pub etags: Vec<Option<ETag>>,
}

impl Batch {
    /// A batch that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operation.
    ///
    /// ```
    /// use storehouse_objectstore::{Batch, BatchOp, Key, PutMode};
    ///
    /// let (key, bytes) = (Key::new("a")?, "1".into());
    /// let batch = Batch::new().op(BatchOp::Put { key, bytes, mode: PutMode::Create });
    /// assert_eq!(batch, Batch::new().create(Key::new("a")?, "1"));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn op(mut self, op: BatchOp) -> Self {
        self.ops.push(op);
        self
    }

    /// Adds a put, whether or not an object is there.
    #[must_use]
    pub fn put(self, key: Key, bytes: impl Into<Bytes>) -> Self {
        self.op(BatchOp::Put {
            key,
            bytes: bytes.into(),
            mode: PutMode::Overwrite,
        })
    }

    /// Adds a put that needs no object to be there.
    #[must_use]
    pub fn create(self, key: Key, bytes: impl Into<Bytes>) -> Self {
        self.op(BatchOp::Put {
            key,
            bytes: bytes.into(),
            mode: PutMode::Create,
        })
    }

    /// Adds a put that needs the object there to have this tag.
    #[must_use]
    pub fn replace(self, key: Key, etag: ETag, bytes: impl Into<Bytes>) -> Self {
        self.op(BatchOp::Put {
            key,
            bytes: bytes.into(),
            mode: PutMode::Replace(etag),
        })
    }

    /// Adds a delete, whether or not an object is there.
    #[must_use]
    pub fn delete(self, key: Key) -> Self {
        self.op(BatchOp::Delete {
            key,
            if_match: None,
        })
    }

    /// Adds a delete that needs the object there to have this tag.
    #[must_use]
    pub fn delete_if(self, key: Key, etag: ETag) -> Self {
        self.op(BatchOp::Delete {
            key,
            if_match: Some(etag),
        })
    }

    /// With this durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

impl BatchOp {
    /// The object it is about.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } => key,
        }
    }

    /// Judges the condition against the tag of the object that is there, if one is. For writers of
    /// backends.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] or [`Error::Precondition`].
    pub fn check_condition(&self, there: Option<&ETag>) -> Result<()> {
        match self {
            Self::Put { key, mode, .. } => mode.check(key, there),
            Self::Delete { key, if_match } if if_match.is_some() && if_match.as_ref() != there => {
                Err(Error::Precondition {
                    operation: Operation::Delete,
                    key: key.clone(),
                })
            }
            Self::Delete { .. } => Ok(()),
        }
    }
}
