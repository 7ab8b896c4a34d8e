use futures_core::stream::BoxStream;
use storehouse_formats::Cid;
use storehouse_genericstore::index::RepairReport;
use storehouse_genericstore::{GenericStore, ScanOptions, UniqueIndex};
use storehouse_objectstore::ObjectStore;

use super::by_cid::by_cid;
use crate::{Layout, Receipt, RecordCodec, Result};

/// [`Receipt`]s, by their CID and by the invocation that ran. Archives are kept byte for byte; one
/// that came in the other [form](storehouse_formats::ucan::ReceiptForm) is stored in the store's.
///
/// If several receipts are of one invocation, it leads to the one that was put first: a later one
/// takes its place nowhere. When the first is deleted, another is found by the invocation after a
/// [`repair`](Self::repair).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::collections::BTreeMap;
///
/// use futures_util::TryStreamExt;
/// use storehouse_formats::ucan::{Capability, DelegationBuilder, ReceiptBuilder, Signer};
/// use storehouse_formats::Ipld;
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Layout, Receipt, ReceiptStore};
///
/// let signer = Signer::from_seed(&[1; 32]);
/// let capability = Capability::new("blob/accept".to_owned(), signer.did().to_string())
///     .nb(Ipld::Map(BTreeMap::new()));
/// let delegation = DelegationBuilder::new(signer.did().clone(), vec![capability])
///     .expiration(4_000_000_000)
///     .sign(&signer)?;
/// let receipt = ReceiptBuilder::for_invocation(&delegation, Ok::<_, Ipld>(&delegation.cid()))
///     .sign(&signer)?;
/// let receipts = ReceiptStore::new(Memory::new(), &Layout::s3())?;
/// assert!(receipts.put(&receipt).await?);
/// assert_eq!(receipts.get_by_ran(&delegation.cid()).await?.as_ref(), Some(&receipt));
///
/// receipts.replace(&receipt).await?; // in any case, and the invocation leads to it
/// assert_eq!(receipts.repair().await?.removed, 0);
///
/// assert_eq!(receipts.get(&receipt.cid()).await?, receipt);
/// let all: Vec<Receipt> = receipts.list().try_collect().await?;
/// assert_eq!(all.len(), 1);
/// receipts.delete(&receipt.cid()).await?;
/// assert!(!receipts.exists(&receipt.cid()).await?);
/// assert_eq!(receipts.records().count("").await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ReceiptStore<S> {
    records: GenericStore<Receipt, RecordCodec, S>,
    by_ran: UniqueIndex<Receipt, Cid>,
    /// The same records, with an index that the last put wins.
    replacing: GenericStore<Receipt, RecordCodec, S>,
}

impl<S: ObjectStore + Clone> ReceiptStore<S> {
    /// The receipts in `store`, under the keys of `layout`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) if the layout puts the index where receipts lie.
    pub fn new(store: S, layout: &Layout) -> Result<Self> {
        let index = UniqueIndex::new("ran", |receipt: &Receipt| vec![receipt.ran()])
            .in_namespace(layout.ran.clone())
            .pointer_format(layout.ran_form);
        let records = GenericStore::new(store, RecordCodec, layout.receipts.clone());
        let by_ran = index.clone().first_wins();
        Ok(Self {
            replacing: records.clone().with_index(&index.last_wins())?,
            records: records.with_index(&by_ran)?,
            by_ran,
        })
    }
}

impl<S: ObjectStore> ReceiptStore<S> {
    /// Stores a receipt under its CID, in place of the one that is there, if one is. From now on it
    /// is the one that is found by its invocation.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn replace(&self, receipt: &Receipt) -> Result<()> {
        let key = receipt.cid().to_string();
        self.replacing.put(&key, receipt).await?;
        Ok(())
    }

    /// The receipt of the invocation `ran`, if there is one. Two gets.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), also if what is there cannot be read.
    pub async fn get_by_ran(&self, ran: &Cid) -> Result<Option<Receipt>> {
        Ok(self
            .records
            .find(&self.by_ran, ran)
            .await?
            .map(|record| record.value))
    }

    /// Puts the index right: see [`GenericStore::repair`]. Needed only after a crash on an object
    /// store without batches, and for receipts that somebody else wrote without their index
    /// entries.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn repair(&self) -> Result<RepairReport> {
        Ok(self.records.repair().await?)
    }
}

by_cid!(ReceiptStore, Receipt, "receipt");
