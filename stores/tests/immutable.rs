//! Delegations and receipts do not change: the first of a CID stays, and the first of an
//! invocation is found by it, on stores with batches, without them, and without conditional puts.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::FutureExt;
use storehouse_formats::ucan::{Capability, DelegationBuilder, ReceiptBuilder, Signer};
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error, Events, GetOptions, Key,
    ListOptions, Listed, Memory, Metadata, Object, ObjectRanges, ObjectStore, Operation,
    PresignOptions, PresignedRequest, PutMode, PutOptions, PutResult, Result,
};
use storehouse_stores::{Delegation, DelegationStore, Ipld, Layout, Receipt, ReceiptStore};

/// Memory without batches, and perhaps without conditional puts.
#[derive(Debug)]
struct Plain {
    memory: Arc<dyn ObjectStore>,
    conditions: bool,
}

impl ObjectStore for Plain {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if !self.conditions && options.mode != PutMode::Overwrite {
            let error = Error::Unsupported {
                operation: Operation::Put,
                key: key.clone(),
                feature: "conditions",
            };
            return async { Err(error) }.boxed();
        }
        self.memory.put_opts(key, body, options)
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        self.memory.get_opts(key, options)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        self.memory.head(key)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.memory.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.memory.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.memory.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.memory.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        ObjectStore::copy_opts(&self.memory, from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        ObjectStore::get_ranges_opts(&self.memory, key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.memory.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        ObjectStore::presign(&self.memory, key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.memory.health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.memory.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.memory.close()
    }
}

fn stores() -> [Arc<dyn ObjectStore>; 3] {
    let plain = |conditions| Plain {
        memory: Arc::new(Memory::new()),
        conditions,
    };
    [
        Arc::new(Memory::new()),
        Arc::new(plain(true)),
        Arc::new(plain(false)),
    ]
}

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

fn delegation(attached: &[u8]) -> Delegation {
    let capability = Capability::new("blob/accept", "did:web:example.com");
    DelegationBuilder::new(signer().did().clone(), vec![capability])
        .attach(attached.to_vec().into())
        .sign(&signer())
        .unwrap()
}

fn receipt(of: &Delegation, number: i128) -> Receipt {
    ReceiptBuilder::for_invocation(of, Ok::<_, Ipld>(Ipld::Integer(number)))
        .sign(&signer())
        .unwrap()
}

#[tokio::test]
async fn the_first_of_a_cid_stays() {
    for store in stores() {
        let store = DelegationStore::new(store, &Layout::database());
        let (whole, poor) = (delegation(&[0xa0]), delegation(&[0xf6]));
        assert_eq!(whole.cid(), poor.cid());
        assert_ne!(whole.as_bytes(), poor.as_bytes());
        assert!(store.put(&whole).await.unwrap());
        assert!(!store.put(&poor).await.unwrap());
        let stored = async || store.get(&whole.cid()).await.unwrap();
        assert_eq!(stored().await.as_bytes(), whole.as_bytes());
        store.replace(&poor).await.unwrap();
        assert_eq!(stored().await.as_bytes(), poor.as_bytes());
    }
}

#[tokio::test]
async fn the_first_receipt_of_an_invocation_is_found_by_it() {
    for store in stores() {
        let store = ReceiptStore::new(store, &Layout::database()).unwrap();
        let ran = delegation(&[0xa0]);
        let [first, second] = [1, 2].map(|number| receipt(&ran, number));
        let found = async || {
            let found = store.get_by_ran(&ran.cid()).await.unwrap();
            found.map(|receipt| receipt.cid())
        };
        assert!(store.put(&first).await.unwrap());
        assert!(store.put(&second).await.unwrap());
        assert!(!store.put(&second).await.unwrap());
        assert_eq!(found().await, Some(first.cid()));
        assert!(store.get(&second.cid()).await.is_ok());
        let report = store.repair().await.unwrap();
        assert_eq!((report.added, report.removed, report.conflicts), (0, 0, 1));
        assert_eq!(found().await, Some(first.cid()));
        // One that replaces, replaces there too.
        store.replace(&second).await.unwrap();
        assert_eq!(found().await, Some(second.cid()));
        // Deleting one that is not led to leaves what is.
        store.delete(&first.cid()).await.unwrap();
        assert_eq!(found().await, Some(second.cid()));
        assert!(store.put(&first).await.unwrap());
        store.delete(&second.cid()).await.unwrap();
        assert_eq!(found().await, None);
        assert_eq!(store.repair().await.unwrap().added, 1);
        assert_eq!(found().await, Some(first.cid()));
    }
}
