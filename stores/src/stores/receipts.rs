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
/// If several receipts are of one invocation, it leads to the one that was put last; when that is
/// deleted, the others are found by it again after a [`repair`](Self::repair).
#[derive(Clone, Debug)]
pub struct ReceiptStore<S> {
    records: GenericStore<Receipt, RecordCodec, S>,
    by_ran: UniqueIndex<Receipt, Cid>,
}

impl<S: ObjectStore> ReceiptStore<S> {
    /// The receipts in `store`, under the keys of `layout`.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) if the layout puts the index where receipts lie.
    pub fn new(store: S, layout: &Layout) -> Result<Self> {
        let by_ran = UniqueIndex::new("ran", |receipt: &Receipt| vec![receipt.ran()])
            .taking_over()
            .entries_in(layout.ran.clone())
            .pointing_by(layout.ran_form);
        let records =
            GenericStore::new(store, RecordCodec, layout.receipts.clone()).with_index(&by_ran)?;
        Ok(Self { records, by_ran })
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
