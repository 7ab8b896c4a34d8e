//! Object stores.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use storehouse_engine::{Engine, RecordStore};
use storehouse_flatfs::FlatFs;
use storehouse_fs::Fs;
use storehouse_objectstore::{
    Batch, Error, Key, ObjectStore, ObjectStoreExt, Operation, PutMode, PutOptions,
};

use super::op::{Read, tell};
use super::{Mode, Op, OpOutcome, Store, Traits};

/// The largest object that is read, in bytes.
const LIMIT: u64 = 64 << 20;

/// An object store with what its own type has beside the trait.
#[derive(Debug)]
pub(super) struct Objects<S>(S);

impl<S: Own> Objects<S> {
    pub(super) fn new(store: S) -> Self {
        Self(store)
    }

    async fn write(&self, op: &Op) -> Result<(), Error> {
        let (name, size) = op.single();
        let key = S::key(name)?;
        let object = |size: usize| op.object(name, size);
        match (op.mode, size) {
            (Mode::Delete, _) | (Mode::Put | Mode::Create | Mode::Replace, None) => {
                self.0.delete(&key).await
            }
            (Mode::Put, Some(size)) => self.put(&key, object(size), PutMode::Overwrite).await,
            (Mode::Create, Some(size)) => self.put(&key, object(size), PutMode::Create).await,
            (Mode::Replace, Some(size)) => self.replace(&key, object(size)).await,
            (Mode::Batch, _) => {
                let mut batch = Batch::new();
                for (name, size) in &op.writes {
                    let key = S::key(name)?;
                    batch = match size {
                        Some(size) => batch.put(key, op.object(name, *size)),
                        None => batch.delete(key),
                    };
                }
                match self.0.batches() {
                    Some(batches) => batches.batch(batch).await.map(drop),
                    None => Ok(()),
                }
            }
        }
    }

    /// The tag may change without a write: when a store puts an object in its place once more.
    async fn replace(&self, key: &Key, object: Bytes) -> Result<(), Error> {
        for _ in 0..3 {
            let etag = self.0.head(key).await?.etag;
            match self.put(key, object.clone(), PutMode::Replace(etag)).await {
                Err(Error::Precondition { .. }) => {}
                replaced => return replaced,
            }
        }
        let error = std::io::Error::other("it is there, and its tag is another each time");
        Err(Error::io(
            Operation::Put,
            Some(key),
            "an object cannot be replaced",
            error,
        ))
    }

    async fn put(&self, key: &Key, object: Bytes, mode: PutMode) -> Result<(), Error> {
        self.0
            .put_opts(key, object.into(), PutOptions::default().mode(mode))
            .await
            .map(drop)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, String> {
        let key = S::key(key).map_err(|e| tell(&e))?;
        match self.0.get_bytes(&key, LIMIT).await {
            Ok(object) => Ok(Some(object)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(tell(&e)),
        }
    }
}

impl<S: Own> Store for Objects<S> {
    fn traits(&self) -> Traits {
        let replace = self.0.capabilities().replace;
        Traits {
            batches: self.0.batches().is_some(),
            replace,
            appends: false,
        }
    }

    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, OpOutcome> {
        self.write(op)
            .map(|written| match written {
                Ok(()) => OpOutcome::Done,
                Err(Error::AlreadyExists { .. }) => OpOutcome::Exists,
                Err(Error::NotFound { .. } | Error::Precondition { .. }) => OpOutcome::Missing,
                Err(e) => OpOutcome::Failed(tell(&e)),
            })
            .boxed()
    }

    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, String>> {
        self.get(key).boxed()
    }

    fn all(&self) -> BoxFuture<'_, Result<Vec<Read>, String>> {
        async {
            let entries: Vec<_> = self
                .0
                .list_prefix("")
                .try_collect()
                .await
                .map_err(|e| tell(&e))?;
            let mut all = Vec::new();
            for entry in entries {
                let name = S::name(&entry.key);
                let object = match self.get(&name).await {
                    Ok(Some(object)) if object.len() as u64 == entry.metadata.size => Ok(object),
                    Ok(Some(object)) => Err(format!(
                        "listed with {} bytes, has {}",
                        entry.metadata.size,
                        object.len()
                    )),
                    Ok(None) => Err("listed, but not found".to_owned()),
                    Err(e) => Err(e),
                };
                all.push((name, object));
            }
            Ok(all)
        }
        .boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        self.0.damage()
    }

    fn removable(&self) -> BoxFuture<'_, Option<Vec<String>>> {
        async { None }.boxed()
    }

    fn compact(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.shrink()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), String>> {
        self.0.end()
    }
}

/// What is not in the trait.
pub(super) trait Own: ObjectStore {
    /// The key of a name.
    fn key(name: &str) -> Result<Key, Error> {
        Key::new(name)
    }

    /// The name that [`key`](Own::key) makes this key of.
    fn name(key: &Key) -> String {
        key.as_str().to_owned()
    }

    fn damage(&self) -> BoxFuture<'_, Result<Vec<String>, String>>;
    fn shrink(&self) -> BoxFuture<'_, Result<(), String>>;
    fn end(&self) -> BoxFuture<'_, Result<(), String>>;
}

impl Own for FlatFs {
    fn damage(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        async {
            self.health()
                .await
                .map(|()| Vec::new())
                .map_err(|e| tell(&e))
        }
        .boxed()
    }

    fn shrink(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<(), String>> {
        async { FlatFs::close(self).await.map_err(|e| tell(&e)) }.boxed()
    }
}

/// Key n lies under key n/4, so that files make way for directories, and directories go with their
/// last file, all the time.
impl Own for Fs {
    fn key(name: &str) -> Result<Key, Error> {
        let mut path = String::new();
        let (writer, number) = name.split_once('-').unwrap_or((name, ""));
        let mut number = number.parse::<u64>().ok();
        while let Some(n) = number.filter(|n| *n > 0) {
            path.insert_str(0, &format!("/{n}"));
            number = Some(n / 4);
        }
        Key::new(format!("{writer}{path}"))
    }

    fn name(key: &Key) -> String {
        let mut parts = key.as_str().split('/');
        let writer = parts.next().unwrap_or_default();
        format!("{writer}-{}", parts.next_back().unwrap_or("0"))
    }

    fn damage(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        async {
            let health = self.health().await.map_err(|e| tell(&e));
            health.map(|()| Vec::new())
        }
        .boxed()
    }

    fn shrink(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<(), String>> {
        async { Fs::close(self).await.map_err(|e| tell(&e)) }.boxed()
    }
}

impl<E: Engine> Own for RecordStore<E> {
    fn damage(&self) -> BoxFuture<'_, Result<Vec<String>, String>> {
        async {
            let report = RecordStore::check(self).await.map_err(|e| tell(&e))?;
            let keys = report.damaged.iter().map(|key| format!("{key} is damaged"));
            let ranges = report.unreadable.iter().map(ToString::to_string);
            Ok(keys.chain(ranges).chain(report.files).collect())
        }
        .boxed()
    }

    fn shrink(&self) -> BoxFuture<'_, Result<(), String>> {
        async { RecordStore::compact(self).await.map_err(|e| tell(&e)) }.boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<(), String>> {
        async { RecordStore::close(self).await.map_err(|e| tell(&e)) }.boxed()
    }
}
