//! Records found by a blob's digest and a space.

use futures_core::stream::BoxStream;
use storehouse_blobstore::Digest;
use storehouse_genericstore::{Codec, GenericStore, Namespace, ScanOptions};
use storehouse_objectstore::ObjectStore;

use storehouse_formats::base58;

use crate::{Did, RecordCodec, Result};

/// What is said of a blob in a space.
pub(super) trait InSpace: Send + Sync + 'static {
    fn digest(&self) -> &Digest;
    fn space(&self) -> &Did;
}

#[derive(Clone, Debug)]
pub(super) struct BySpace<T, S>(pub(super) GenericStore<T, RecordCodec, S>);

/// `{digest}/`
fn prefix(digest: &Digest, room: usize) -> String {
    let mut key = String::with_capacity(2 + 2 * digest.as_bytes().len() + room);
    key.push('z');
    base58::encode_to(&mut key, digest.as_bytes());
    key.push('/');
    key
}

/// `{digest}/{space}`
pub(crate) fn key(digest: &Digest, space: &Did) -> String {
    let mut key = prefix(digest, 16 + 2 * space.as_bytes().len());
    space.write_to(&mut key);
    key
}

impl<T: InSpace, S: ObjectStore> BySpace<T, S>
where
    RecordCodec: Codec<T>,
{
    pub(super) fn new(store: S, namespace: &Namespace) -> Self {
        Self(GenericStore::new(store, RecordCodec, namespace.clone()))
    }

    pub(super) async fn get(&self, digest: &Digest, space: &Did) -> Result<T> {
        Ok(self.0.get(&key(digest, space)).await?)
    }

    pub(super) async fn first(
        &self,
        digest: &Digest,
        matches: impl FnMut(&T) -> bool + Send,
    ) -> Result<Option<T>> {
        Ok(self
            .0
            .first(&prefix(digest, 0), matches)
            .await?
            .map(|record| record.value))
    }

    pub(super) async fn exists(&self, digest: &Digest) -> Result<bool> {
        Ok(self.0.exists_prefix(&prefix(digest, 0)).await?)
    }

    pub(super) async fn put(&self, record: &T) -> Result<()> {
        self.0
            .put(&key(record.digest(), record.space()), record)
            .await?;
        Ok(())
    }

    pub(super) async fn delete(&self, digest: &Digest, space: &Did) -> Result<()> {
        Ok(self.0.delete(&key(digest, space)).await?)
    }

    pub(super) fn list(&self, digest: Option<&Digest>) -> BoxStream<'_, Result<T>> {
        let options = digest.map_or_else(ScanOptions::default, |digest| {
            ScanOptions::prefix(prefix(digest, 0))
        });
        self.0.values_or(options)
    }
}
