//! Records found by a CID.

/// The methods of a store whose records are found by their own CID.
macro_rules! by_cid {
    ($store:ident, $record:ty, $name:literal) => {
        impl<S: ObjectStore> $store<S> {
            /// The records themselves, by key.
            pub fn records(&self) -> &GenericStore<$record, RecordCodec, S> {
                &self.records
            }

            #[doc = concat!("The ", $name, " with this CID.")]
            ///
            /// # Errors
            /// [`Error::Store`](crate::Error::Store), also with not found, or if what is there
            /// cannot be read.
            pub async fn get(&self, cid: &Cid) -> Result<$record> {
                Ok(self.records.get(&cid.to_string()).await?)
            }

            #[doc = concat!("Stores a ", $name, " under its CID, whether or not it is there.")]
            ///
            /// # Errors
            /// [`Error::Store`](crate::Error::Store).
            pub async fn put(&self, record: &$record) -> Result<()> {
                self.records.put(&record.cid().to_string(), record).await?;
                Ok(())
            }

            #[doc = concat!("Removes the ", $name, " with this CID. A missing one is ok.")]
            ///
            /// # Errors
            /// [`Error::Store`](crate::Error::Store).
            pub async fn delete(&self, cid: &Cid) -> Result<()> {
                Ok(self.records.delete(&cid.to_string()).await?)
            }

            #[doc = concat!("Whether there is a ", $name, " with this CID. It is not read.")]
            ///
            /// # Errors
            /// [`Error::Store`](crate::Error::Store).
            pub async fn exists(&self, cid: &Cid) -> Result<bool> {
                Ok(self.records.exists(&cid.to_string()).await?)
            }

            /// All of them, in the object store's order. One that cannot be read is an error in its
            /// place, and the rest goes on.
            pub fn list(&self) -> BoxStream<'_, Result<$record>> {
                self.records.values_or(ScanOptions::default())
            }
        }
    };
}
pub(super) use by_cid;
