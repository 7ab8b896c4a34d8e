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

            #[doc = concat!("Stores a ", $name, " under its CID, if none is there, and says whether")]
            /// it did. The CID is of the root block alone, so an archive that comes later may have
            /// fewer blocks.
            ///
            /// Of several puts at once one wins, unless the object store has neither batches nor
            /// conditional puts.
            ///
            /// # Errors
            /// [`Error::Store`](crate::Error::Store).
            pub async fn put(&self, record: &$record) -> Result<bool> {
                let key = record.cid().to_string();
                match self.records.put_if_absent(&key, record).await {
                    Ok(_) => Ok(true),
                    Err(e) if e.is_already_exists() => Ok(false),
                    Err(storehouse_genericstore::Error::Store(
                        storehouse_objectstore::Error::Unsupported { .. },
                    )) => {
                        let is_new = !self.records.exists(&key).await?;
                        if is_new {
                            self.records.put(&key, record).await?;
                        }
                        Ok(is_new)
                    }
                    Err(e) => Err(e.into()),
                }
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
