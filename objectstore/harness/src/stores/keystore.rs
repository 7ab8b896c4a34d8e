//! The keystore.

use std::path::Path;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyName, KeyStore, PutKey};
use storehouse_local::{Error, Secret};

use super::op::{Read, tell};
use super::{Mode, Op, OpOutcome, Store, Traits};

#[derive(Debug)]
pub(super) struct Keys(FileKeyStore);

impl Keys {
    pub(super) async fn open(dir: &Path) -> Result<Self, String> {
        FileKeyStore::open(dir, FileKeyStoreOptions::default())
            .await
            .map(Self)
            .map_err(|e| tell(&e))
    }

    async fn write(&self, op: &Op) -> Result<(), Error> {
        let (key, size) = op.single();
        let name: KeyName = key.parse()?;
        let Some(size) = size else {
            return self.0.delete(&name).await;
        };
        let mode = if op.mode == Mode::Create {
            PutKey::Create
        } else {
            PutKey::Replace
        };
        self.0
            .put(&name, &Secret::from(op.object(key, size).to_vec()), mode)
            .await
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, String> {
        let name: KeyName = key.parse().map_err(|e: Error| tell(&e))?;
        match self.0.get(&name).await {
            Ok(key) => Ok(Some(Bytes::copy_from_slice(key.expose()))),
            Err(Error::KeyNotFound { .. }) => Ok(None),
            Err(e) => Err(tell(&e)),
        }
    }
}

impl Store for Keys {
    fn traits(&self) -> Traits {
        Traits::default()
    }

    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, OpOutcome> {
        self.write(op)
            .map(|written| match written {
                Ok(()) => OpOutcome::Done,
                Err(Error::KeyExists { .. }) => OpOutcome::Exists,
                Err(e) => OpOutcome::Failed(tell(&e)),
            })
            .boxed()
    }

    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, String>> {
        self.get(key).boxed()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Read>, String>> {
        async {
            let mut all = Vec::new();
            for name in self.0.list().await.map_err(|e| tell(&e))? {
                let object = match self.get(name.as_str()).await {
                    Ok(object) => object.ok_or_else(|| "listed, but not found".to_owned()),
                    Err(e) => Err(e),
                };
                all.push((name.to_string(), object));
            }
            Ok(all)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        // Reading a key checks it, and `all` reads each.
        async { Ok(Vec::new()) }.boxed()
    }

    fn removable(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        async { None }.boxed()
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
}
