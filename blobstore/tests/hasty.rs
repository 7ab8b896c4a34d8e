//! A store that breaks its contract must not pass for one that verified.

mod support;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use storehouse_blobstore::{BlobStore, Digest, Error, HashFunction, PlainKeys, PutBlob};
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, ErrorClass, Events, GetOptions,
    Key, ListOptions, Listed, Memory, Metadata, Object, ObjectRanges, ObjectStore, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result,
};
use support::{in_pieces, noise};

/// Commits as soon as it has the declared number of bytes, as an HTTP client does that counts down
/// a content length.
#[derive(Debug)]
struct Hasty(Memory);

impl ObjectStore for Hasty {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        mut body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let declared = options.size.or(body.size()).unwrap_or(0) as usize;
            let mut all = BytesMut::new();
            while all.len() < declared {
                let Some(piece) = body.next().await else {
                    break;
                };
                all.extend_from_slice(&piece?);
            }
            self.0.put_opts(key, Bytes::from(all).into(), options).await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.0.get_opts(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.0.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.0.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.0.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.0.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.0.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        ObjectStore::copy_opts(&self.0, from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        ObjectStore::get_ranges_opts(&self.0, key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.0.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        ObjectStore::presign(&self.0, key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.0.health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.0.close())
    }
}

#[tokio::test]
async fn a_store_that_commits_before_the_verdict_is_found_out() {
    let bytes = noise(2 << 20, 1);
    let digest = Digest::of(HashFunction::Sha2_256, &bytes);
    for body in [bytes, noise(2 << 20, 2)] {
        let blobs = BlobStore::new(Hasty(Memory::new()), PlainKeys);
        let options = PutBlob::default().size(body.len() as u64);
        let error = blobs
            .put_opts(&digest, in_pieces(&body, 100_000), options)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Unverified { key, .. } if key.as_str() == digest.to_string()),
            "{error:?}"
        );
        assert_eq!(error.class(), ErrorClass::Fatal);
    }
}
