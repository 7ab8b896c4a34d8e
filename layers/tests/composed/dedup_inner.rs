//! What `DedupStore` asks of the stores under it.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{DedupOptions, DedupStore, SizeOptions, SizeStore};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, BoxFuture, BoxStream, CopyOptions, Durability, Key,
    ListOptions, Memory, ObjectStore, ObjectStoreExt, PutOptions, PutResult, Result, methods,
};

use super::dedup::{key, keys_of, noise, small_chunks};

/// A store that loses what was not written durably by a power cut.
#[derive(Clone, Debug, Default)]
struct Volatile {
    now: Memory,
    /// What is there after a power cut.
    durable: Memory,
}

impl Volatile {
    /// Makes one object durable, or that it is gone.
    async fn sync(&self, key: &Key) -> Result<()> {
        match self.now.get_bytes(key, 1 << 20).await {
            Ok(bytes) => self.durable.put(key, bytes).await.map(drop),
            Err(error) if error.is_not_found() => self.durable.delete(key).await,
            Err(error) => Err(error),
        }
    }
}

impl ObjectStore for Volatile {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let durability = options.durability;
            let put = self.now.put_opts(key, body, options).await?;
            if durability == Durability::Durable {
                self.sync(key).await?;
            }
            Ok(put)
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.now.delete(key).await?;
            self.sync(key).await
        })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        Box::pin(keys.then(async |key| self.delete(&key).await.map(|()| key)))
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let durability = options.durability;
            let copied = self.now.copy_opts(from, to, options).await?;
            if durability == Durability::Durable {
                self.sync(to).await?;
                self.sync(from).await?;
            }
            Ok(copied)
        })
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }

    methods!(now => get_opts, head, list, list_delimited, get_ranges_opts);
    methods!(now => events, presign, health, capabilities, close);
}

impl Batches for Volatile {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let durability = batch.durability;
            let keys: Vec<_> = batch.ops.iter().map(|op| op.key().clone()).collect();
            let done = self.now.batches().unwrap().batch(batch).await?;
            if durability == Durability::Durable {
                for key in &keys {
                    self.sync(key).await?;
                }
            }
            Ok(done)
        })
    }
}

/// Whatever durability a write asked for: no collection takes chunks that an object of before a
/// power cut has.
#[tokio::test]
async fn what_a_power_cut_leaves_can_be_read() {
    let relaxed = Durability::Relaxed;
    let (a, b) = (key("a"), key("b"));
    let (one, two, three) = (noise(1, 50_000), noise(2, 50_000), noise(3, 50_000));
    for write in ["put", "copy", "rename", "batch", "batch of a delete"] {
        let (index, chunks) = (Volatile::default(), Memory::new());
        let store = DedupStore::new(index.clone(), chunks.clone(), small_chunks()).unwrap();
        store.put(&a, one.clone()).await.unwrap();
        store.put(&b, two.clone()).await.unwrap();
        let copy = CopyOptions::default().durability(relaxed);
        let batch = Batch::new().durability(relaxed);
        match write {
            "put" => {
                let options = PutOptions::default().durability(relaxed);
                let put = store.put_opts(&a, three.clone().into(), options).await;
                put.map(drop)
            }
            "copy" => store.copy_opts(&b, &a, copy).await.map(drop),
            "rename" => {
                let rename = copy.remove_source(true);
                store.copy_opts(&b, &a, rename).await.map(drop)
            }
            _ => {
                let batch = match write {
                    "batch" => batch.put(a.clone(), three.clone()).delete(b.clone()),
                    _ => batch.delete(a.clone()),
                };
                store.batches().unwrap().batch(batch).await.map(drop)
            }
        }
        .unwrap();
        assert!(
            store.collect().await.unwrap().removed > 5,
            "after a {write}"
        );
        let after = DedupStore::new(index.durable, chunks, small_chunks()).unwrap();
        let entries = after.list(ListOptions::default());
        let entries: Vec<_> = entries.try_collect().await.unwrap();
        for entry in entries {
            let read = after.get_bytes(&entry.key, 50_000).await;
            let read = read.unwrap_or_else(|error| panic!("after a {write}: {error}"));
            assert!([&one, &two, &three].contains(&&read), "after a {write}");
        }
    }
}

/// A key that names the content does not name the manifest, which another chunk size changes.
#[tokio::test]
async fn no_key_names_a_manifest() {
    let sizes = SizeOptions::default().largest_small(500);
    let index = SizeStore::new(Memory::new(), Memory::new(), sizes).unwrap();
    let chunks = Memory::new();
    let content = noise(1, 100_000);
    for options in [small_chunks(), DedupOptions::default()] {
        let store = DedupStore::new(index.clone(), chunks.clone(), options).unwrap();
        let put = PutOptions::default().content_addressed(true);
        let put = store.put_opts(&key("a"), content.clone().into(), put).await;
        put.unwrap();
        assert!(store.get_bytes(&key("a"), 100_000).await.unwrap() == content);
        let twins = (keys_of(index.small()).await, keys_of(index.large()).await);
        assert_eq!(twins.0.len() + twins.1.len(), 1, "{twins:?}");
    }
    assert_eq!(keys_of(index.small()).await.len(), 1, "the second is small");
}

/// A chunk in memory holds its own bytes, not all that were read with it.
#[tokio::test]
async fn a_chunk_holds_no_more_than_itself() {
    let content = noise(1, 200_000);
    let pieces = content.chunks(30_000).map(Bytes::copy_from_slice);
    let pieces: Vec<_> = pieces.map(Ok::<_, std::io::Error>).collect();
    let streamed = Body::from_stream(stream::iter(pieces)).with_size(200_000);
    for body in [content.into(), streamed] {
        let store = DedupStore::new(Memory::new(), Memory::new(), small_chunks()).unwrap();
        store.put(&key("a"), body).await.unwrap();
        let mut held = Vec::new();
        for name in keys_of(store.chunks()).await {
            held.push(
                store
                    .chunks()
                    .get_bytes(&key(&name), 1 << 20)
                    .await
                    .unwrap(),
            );
        }
        assert!(held.len() > 10);
        // Slices of one buffer would follow each other.
        let begins: Vec<_> = held
            .iter()
            .map(|chunk| chunk.as_ptr_range().start)
            .collect();
        for chunk in &held {
            assert!(!begins.contains(&chunk.as_ptr_range().end));
        }
    }
}
