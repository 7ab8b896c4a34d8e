//! The stores of a node by their types.

use std::sync::Arc;

use storehouse_blobstore::{BlobStore, KeyEncoder};
use storehouse_objectstore::ObjectStore;
use storehouse_stores::RecordStores;

/// The blob store on whichever backend the configuration picked.
pub type Blobs = BlobStore<Arc<dyn ObjectStore>, Arc<dyn KeyEncoder>>;

/// The record stores on whichever backend the configuration picked.
pub type Records = RecordStores<Arc<dyn ObjectStore>>;

/// An object store that [`Stores::close`] closes.
#[derive(Clone, Debug)]
pub(crate) struct OpenedStore {
    /// The setting that put it there.
    pub(crate) setting: String,
    pub(crate) store: Arc<dyn ObjectStore>,
}
