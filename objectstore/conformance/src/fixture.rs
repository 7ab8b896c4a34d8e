//! A store under test, with what the suite has to know about it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;

use super::Profile;
use storehouse_objectstore::{Error, Key, ObjectStore, Result};

const OPEN: &str = "the store is open but while it is opened again";

type Open = Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn ObjectStore>>> + Send + Sync>;
type Leftovers = Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>;

/// A fresh, empty store under test, and what the suite has to know about it. Every case gets one of
/// its own.
///
/// ```
/// use std::path::Path;
/// use storehouse_conformance::{Fixture, Pace, Profile};
/// use storehouse_objectstore::Memory;
///
/// async fn limited() -> Fixture {
///     let (store, dir) = (Memory::new(), tempfile::tempdir().unwrap());
///     let temp = dir.path().to_owned();
///     Fixture::new(store.clone())
///         .opens(move || {
///             let store = store.reopen();
///             async move { Ok(store) }
///         })
///         .leftovers(move || {
///             let temp = temp.clone();
///             async move { names_in(&temp) }
///         })
///         .profile(Profile { pace: Pace::MEMORY, batches: true, ..Profile::default() })
///         .keeps(dir) // removed after the store
///         .wrapped(Box::new) // a layer of yours
/// }
///
/// fn names_in(dir: &Path) -> Vec<String> {
///     let entries = std::fs::read_dir(dir).unwrap();
///     entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
/// }
///
/// storehouse_conformance::run("lengths::one_byte_less", limited);
/// ```
pub struct Fixture {
    // Dropped in this order: a directory must outlive the store in it.
    /// `None` only between closing and opening again.
    store: Option<Arc<dyn ObjectStore>>,
    open: Option<Open>,
    leftovers: Option<Leftovers>,
    profile: Profile,
    /// In a lock only so that a fixture can be shared whatever it keeps.
    guards: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Fixture {
    /// A fixture of a store that holds no object.
    pub fn new(store: impl ObjectStore) -> Self {
        Self {
            store: Some(Arc::new(store)),
            open: None,
            leftovers: None,
            profile: Profile::default(),
            guards: Mutex::default(),
        }
    }

    /// Opens the same data again: after this store was dropped (rule 3), and while it is open (rule
    /// 14).
    ///
    /// Every fixture needs it. Where the data ends with the store, give another handle on it that
    /// does not close with the first, as `Memory::reopen` does.
    #[must_use]
    pub fn opens<S, F>(mut self, open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: ObjectStore,
        F: Future<Output = Result<S>> + Send + 'static,
    {
        self.open = Some(Arc::new(move || {
            let opening = open();
            Box::pin(async move { Ok(Arc::new(opening.await?) as Arc<dyn ObjectStore>) })
        }));
        self
    }

    /// Lists by name what failed or cancelled writes left behind: temporary files, open uploads.
    /// Empty is as it should be.
    ///
    /// Every fixture needs it, but for a store that [holds bodies in memory](Profile::holds_bodies)
    /// until they commit.
    #[must_use]
    pub fn leftovers<F>(mut self, leftovers: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<String>> + Send + 'static,
    {
        self.leftovers = Some(Arc::new(move || Box::pin(leftovers())));
        self
    }

    /// What the suite may ask of the store, and how it is known to differ.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Keeps something until the store was dropped: its directory, its server.
    #[must_use]
    pub fn keeps(self, guard: impl Any + Send) -> Self {
        self.guards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(guard));
        self
    }

    /// The same fixture with its store wrapped, also when it is opened again: for testing wrappers
    /// over any backend.
    #[must_use]
    pub fn wrapped<S: ObjectStore>(
        mut self,
        wrap: impl Fn(Arc<dyn ObjectStore>) -> S + Send + Sync + 'static,
    ) -> Self {
        self.store = self
            .store
            .map(|store| Arc::new(wrap(store)) as Arc<dyn ObjectStore>);
        let wrap = Arc::new(wrap);
        self.open = self.open.map(|open| -> Open {
            Arc::new(move || {
                let (opening, wrap) = (open(), Arc::clone(&wrap));
                Box::pin(async move { Ok(Arc::new(wrap(opening.await?)) as Arc<dyn ObjectStore>) })
            })
        });
        self
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        self.store.as_deref().expect(OPEN)
    }

    /// A handle for another task. It must be gone before [`Fixture::reopen`].
    pub(super) fn handle(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(self.store.as_ref().expect(OPEN))
    }

    pub(super) fn known(&self) -> &Profile {
        &self.profile
    }

    /// A key that every store accepts: lower-case letters, digits and `-`.
    pub(super) fn key(&self, name: &str) -> Key {
        let key = Key::new(name).unwrap_or_else(|e| panic!("rule 1: {e}"));
        let flaw = self.store().capabilities().keys.flaw(name);
        assert!(
            flaw.is_none(),
            "rule 1: the suite needs keys of lower-case letters, digits and '-', but {name:?} is refused: {flaw:?}"
        );
        key
    }

    /// Opens the same data, whether or not it is open.
    pub(super) async fn second(&self) -> Result<Arc<dyn ObjectStore>> {
        self.open
            .as_ref()
            .expect("the fixture has to say how to open its data again: Fixture::opens")()
        .await
    }

    /// Drops the store and opens its data again.
    ///
    /// Waits for a directory that is still in use: what a cancelled operation left running may hold
    /// it for a moment.
    pub(super) async fn reopen(&mut self) {
        let closing = self.store.take().expect(OPEN);
        assert_eq!(
            Arc::strong_count(&closing),
            1,
            "the suite's own mistake: a handle is alive while the store is opened again"
        );
        drop(closing);
        let deadline = Instant::now() + self.profile.patience;
        self.store = loop {
            match self.second().await {
                Ok(store) => break Some(store),
                Err(Error::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                Err(e) => panic!(
                    "rule 12: the data cannot be opened again after its store was dropped: {e:?}"
                ),
            }
        };
    }

    /// Opens the data of a closed store again, at once, before the store is dropped.
    pub(super) async fn reopen_beside(&mut self) {
        match self.second().await {
            Ok(store) => self.store = Some(store),
            Err(e) => panic!("rule 15: the data of a closed store cannot be opened again: {e:?}"),
        }
    }

    /// Asserts that failed and cancelled writes leave nothing behind, waiting a bounded time for
    /// what is cleared in the background.
    pub(super) async fn assert_nothing_left(&self, rule: u8, after: &str) {
        let Some(leftovers) = &self.leftovers else {
            assert!(
                self.profile.holds_bodies,
                "the fixture has to say how to list what is left behind: Fixture::leftovers"
            );
            return;
        };
        let deadline = Instant::now() + self.profile.patience;
        loop {
            let left = leftovers().await;
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "rule {rule}: {after} left behind {left:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
