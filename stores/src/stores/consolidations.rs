use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use storehouse_formats::Cid;
use storehouse_genericstore::{
    Codec, CodecError, Error as RecordError, GenericStore, Raw, ScanOptions,
};
use storehouse_objectstore::ObjectStore;

use crate::{Consolidation, Delegation, Error, Layout, RecordCodec, Result};

/// [`Consolidation`]s, by the CID of their batch.
///
/// Up to version 0.2.2 Piri kept a consolidation in two records. Such a one is read too, and moved
/// into the new form when it is: the new form is written first, then the old one removed, so that
/// it is found at any time. If it cannot be moved, it is found all the same, and moved another
/// time.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::collections::BTreeMap;
///
/// use futures_util::TryStreamExt;
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, Signer};
/// use storehouse_formats::Ipld;
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Cid, Consolidation, ConsolidationStore, Layout};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept".to_owned(), signer.did().to_string())
///     .nb(Ipld::Map(BTreeMap::new()));
/// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability])
///     .expiration(4_000_000_000)
///     .sign(&signer)?;
/// let batch: Cid = "bagbaieraxuevlafzaezruz54lefip4kvv2oackllkme2ogdbm3fy6be3h5za".parse()?;
/// let consolidation = Consolidation {
///     consolidate_invocation: delegation.cid(),
///     track_invocation: delegation,
/// };
/// assert_eq!(Consolidation::decode(&consolidation.encode())?, consolidation);
///
/// let consolidations = ConsolidationStore::new(Memory::new(), &Layout::database());
/// consolidations.put(&batch, &consolidation).await?;
/// assert_eq!(consolidations.get(&batch).await?, consolidation);
/// let all: Vec<(Cid, Consolidation)> = consolidations.list().try_collect().await?;
/// assert_eq!(all, [(batch.clone(), consolidation)]);
///
/// assert_eq!(consolidations.migrate().await?, 0, "nothing in the old form");
/// consolidations.delete(&batch).await?;
/// assert!(!consolidations.exists(&batch).await?);
/// assert_eq!(consolidations.records().count("").await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ConsolidationStore<S> {
    records: GenericStore<Consolidation, RecordCodec, S>,
    legacy_track: GenericStore<Delegation, RecordCodec, S>,
    legacy_consolidate: GenericStore<Bytes, Raw, S>,
}

impl<S: ObjectStore + Clone> ConsolidationStore<S> {
    /// The consolidations in `store`, under the keys of `layout`.
    pub fn new(store: S, layout: &Layout) -> Self {
        Self {
            records: GenericStore::new(store.clone(), RecordCodec, layout.consolidations.clone()),
            legacy_track: GenericStore::new(
                store.clone(),
                RecordCodec,
                layout.legacy_track.clone(),
            ),
            legacy_consolidate: GenericStore::new(store, Raw, layout.legacy_consolidate.clone()),
        }
    }
}

impl<S: ObjectStore> ConsolidationStore<S> {
    /// The records of the new form themselves, by key.
    pub fn records(&self) -> &GenericStore<Consolidation, RecordCodec, S> {
        &self.records
    }

    /// The consolidation of a batch, in whichever form.
    ///
    /// # Errors
    /// [`Error::Store`], also with not found, which a lone half of the old form is too; or if what
    /// is there cannot be read.
    pub async fn get(&self, batch: &Cid) -> Result<Consolidation> {
        let key = batch.to_string();
        let not_found = match self.records.get(&key).await {
            Err(e) if e.is_not_found() => e,
            got => return Ok(got?),
        };
        match self.legacy(&key).await? {
            Some(consolidation) => {
                // It is found, moved or not.
                let _ = self.move_legacy(&key, &consolidation).await;
                Ok(consolidation)
            }
            // Somebody else may have moved it between the two looks.
            None => self.records.get(&key).await.map_err(|e| {
                if e.is_not_found() {
                    not_found.into()
                } else {
                    e.into()
                }
            }),
        }
    }

    /// Stores the consolidation of a batch, in place of the one that is there, if one is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put(&self, batch: &Cid, consolidation: &Consolidation) -> Result<()> {
        let key = batch.to_string();
        self.records.put(&key, consolidation).await?;
        Ok(())
    }

    /// Removes the consolidation of a batch, in both forms. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete(&self, batch: &Cid) -> Result<()> {
        let key = batch.to_string();
        // The old form first: it must not come up again.
        self.delete_legacy(&key).await?;
        Ok(self.records.delete(&key).await?)
    }

    /// Whether there is a consolidation of a batch, in whichever form.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn exists(&self, batch: &Cid) -> Result<bool> {
        let key = batch.to_string();
        Ok(self.records.exists(&key).await?
            || (self.legacy_track.exists(&key).await?
                && self.legacy_consolidate.exists(&key).await?))
    }

    /// The batches that have a consolidation of the new form, with it, in the object store's order.
    /// To have all, [`migrate`](Self::migrate) first.
    pub fn list(&self) -> BoxStream<'_, Result<(Cid, Consolidation)>> {
        let parsed = |record: storehouse_genericstore::Record<Consolidation>| async move {
            let batch = record.key.parse().map_err(|_| {
                Error::invalid(
                    "key of a consolidation",
                    format!("{:?} is not a CID", record.key),
                )
            })?;
            Ok((batch, record.value))
        };
        self.records
            .scan(ScanOptions::default())
            .err_into()
            .and_then(parsed)
            .boxed()
    }

    /// Moves all consolidations of the old form into the new one; says how many. A lone half stays
    /// where it is.
    ///
    /// # Errors
    /// [`Error::Store`]: what was moved until then stays so.
    pub async fn migrate(&self) -> Result<u64> {
        let mut moved = 0;
        let mut keys = self.legacy_track.keys(ScanOptions::default());
        while let Some(key) = keys.try_next().await? {
            if let Some(consolidation) = self.legacy(&key).await? {
                self.move_legacy(&key, &consolidation).await?;
                moved += 1;
            }
        }
        Ok(moved)
    }

    /// The consolidation of the old form, if both halves are there.
    async fn legacy(&self, key: &str) -> Result<Option<Consolidation>> {
        let track_invocation = match self.legacy_track.get(key).await {
            Err(e) if e.is_not_found() => return Ok(None),
            got => got?,
        };
        let cid = match self.legacy_consolidate.get(key).await {
            Err(e) if e.is_not_found() => return Ok(None),
            got => got?,
        };
        match joined(track_invocation, &cid) {
            Ok(consolidation) => Ok(Some(consolidation)),
            Err(source) => Err(RecordError::Decode {
                key: self.legacy_consolidate.object_key(key)?,
                source,
            }
            .into()),
        }
    }

    async fn move_legacy(&self, key: &str, consolidation: &Consolidation) -> Result<()> {
        // One of the new form is newer than any of the old.
        if !self.records.exists(key).await? {
            self.records.put(key, consolidation).await?;
        }
        self.delete_legacy(key).await
    }

    async fn delete_legacy(&self, key: &str) -> Result<()> {
        self.legacy_track.delete(key).await?;
        Ok(self.legacy_consolidate.delete(key).await?)
    }
}

/// The two halves of the old form.
fn joined(track_invocation: Delegation, consolidate: &[u8]) -> Result<Consolidation, CodecError> {
    let consolidate_invocation =
        Cid::from_bytes(consolidate).map_err(|e| CodecError::new("a CID", e))?;
    Ok(Consolidation {
        track_invocation,
        consolidate_invocation,
    })
}

/// The two halves of the old form as they lie there, for imports.
pub(crate) fn from_legacy(track: &Bytes, consolidate: &[u8]) -> Result<Consolidation, CodecError> {
    joined(RecordCodec.decode(track)?, consolidate)
}
