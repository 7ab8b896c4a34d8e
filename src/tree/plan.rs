//! What a type makes of the settings of a store, before anything is opened.

use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_core::future::BoxFuture;
use storehouse_objectstore::{BoxError, Capabilities, ObjectStore};

use super::settings::StoreRef;
#[cfg(feature = "encrypted")]
use super::store_keys::KeySource;
use crate::config::S3Config;

/// An open store, or why it cannot be opened.
pub(super) type Opened = Result<Arc<dyn ObjectStore>, BoxError>;

type Build = Box<dyn FnOnce(Vec<Arc<dyn ObjectStore>>) -> BoxFuture<'static, Opened> + Send>;

/// How a store of some type is opened: the stores that it is over, and what makes it of them.
///
/// Made by a type that was registered with [`StoreTypes::register`](crate::StoreTypes::register).
///
/// ```
/// use storehouse::layers::{LimitStore, TieredStore};
/// use storehouse::objectstore::{BoxError, Capabilities, Memory};
/// use storehouse::{Config, StorePlan, StoreRef, StoreTypes};
///
/// let types = StoreTypes::default()
///     .register("scratch", |mut settings| {
///         let path: String = settings.need("path")?;
///         settings.done()?;
///         let open = || async { Ok::<_, BoxError>(Memory::new()) };
///         Ok(StorePlan::leaf(Capabilities::full(), open).in_directory(path).about("for tests"))
///     })?
///     .register("one_at_a_time", |mut settings| {
///         let store: StoreRef = settings.need("store")?;
///         settings.done()?;
///         let one_at_a_time = |inner| Ok::<_, BoxError>(LimitStore::new(inner, 1));
///         Ok(StorePlan::layer("store", store, one_at_a_time))
///     })?
///     .register("two_tiers", |mut settings| {
///         let names = ["fast", "slow"];
///         let mut stores = Vec::<(String, StoreRef)>::new();
///         for name in names {
///             stores.push((name.to_owned(), settings.need(name)?));
///         }
///         settings.done()?;
///         Ok(StorePlan::over(stores, |mut opened| {
///             let slow = opened.pop().ok_or("no slow store")?;
///             let fast = opened.pop().ok_or("no fast store")?;
///             Ok::<_, BoxError>(TieredStore::new(fast, slow))
///         }))
///     })?;
/// let config = Config::from_toml_with(
///     "[stores]
///      far = { type = 'scratch', path = '/tmp/far' }
///      narrow = { type = 'one_at_a_time', store = 'far' }
///      both = { type = 'two_tiers', fast = { type = 'memory' }, slow = 'narrow' }",
///     &types,
/// )?;
/// assert!(storehouse::describe(&config)?.to_string().contains("scratch, for tests"));
/// # Ok::<(), storehouse::Error>(())
/// ```
pub struct StorePlan {
    pub(super) children: Vec<(String, StoreRef)>,
    pub(super) about: String,
    pub(super) kind: PlanKind,
}

pub(super) enum PlanKind {
    /// A backend of storehouse's own, whose options the program may change.
    Backend(BackendPlan),
    /// A backend of another kind.
    Leaf {
        capabilities: Capabilities,
        directory: Option<PathBuf>,
        build: Build,
    },
    /// A store over stores.
    Layer(Build),
    /// A store over one other, with keys that are read when it is opened.
    #[cfg(feature = "encrypted")]
    Encrypted(KeySource),
}

/// A backend by what a configuration says of it.
#[derive(Clone, Debug)]
pub(super) enum BackendPlan {
    Memory,
    Fs {
        path: PathBuf,
    },
    Flatfs {
        path: PathBuf,
        log: bool,
    },
    Redb {
        path: PathBuf,
    },
    S3 {
        server: Box<S3Config>,
        bucket: String,
    },
}

impl fmt::Debug for StorePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePlan")
            .field("children", &self.children)
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

impl StorePlan {
    /// A store over nothing else: `open` opens it. `capabilities` are those that it has once it is
    /// open, as far as they are known before.
    pub fn leaf<S, F, E>(
        capabilities: Capabilities,
        open: impl FnOnce() -> F + Send + 'static,
    ) -> Self
    where
        S: ObjectStore,
        F: Future<Output = Result<S, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            children: Vec::new(),
            about: String::new(),
            kind: PlanKind::Leaf {
                capabilities,
                directory: None,
                build: Box::new(move |_| {
                    let opening = open();
                    Box::pin(async move { made(opening.await) })
                }),
            },
        }
    }

    /// A store over one other, which the setting `name` says.
    ///
    /// `build` is called with that store, opened. For a description of the configuration it is
    /// called with a stand-in that has the capabilities and nothing else, so it must not use the
    /// store yet.
    pub fn layer<S, E>(
        name: impl Into<String>,
        store: StoreRef,
        build: impl FnOnce(Arc<dyn ObjectStore>) -> Result<S, E> + Send + 'static,
    ) -> Self
    where
        S: ObjectStore,
        E: Into<BoxError>,
    {
        Self::over([(name.into(), store)], move |mut stores| {
            // One was asked for, so one is there.
            build(stores.remove(0))
        })
    }

    /// A store over several others. `build` is called with them in this order; otherwise as
    /// [`layer`](Self::layer).
    pub fn over<S, E>(
        stores: impl IntoIterator<Item = (String, StoreRef)>,
        build: impl FnOnce(Vec<Arc<dyn ObjectStore>>) -> Result<S, E> + Send + 'static,
    ) -> Self
    where
        S: ObjectStore,
        E: Into<BoxError>,
    {
        Self {
            children: stores.into_iter().collect(),
            about: String::new(),
            kind: PlanKind::Layer(Box::new(move |stores| {
                let built = made(build(stores));
                Box::pin(async move { built })
            })),
        }
    }

    /// With the directory that it writes to, so that two stores with one directory are found before
    /// they are opened. For a [`leaf`](Self::leaf).
    #[must_use]
    pub fn in_directory(mut self, path: impl Into<PathBuf>) -> Self {
        if let PlanKind::Leaf { directory, .. } = &mut self.kind {
            *directory = Some(path.into());
        }
        self
    }

    /// With a few words about it for [`describe`](crate::describe): no secrets.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// A store that encrypts, over the one that the setting `name` says.
    #[cfg(feature = "encrypted")]
    pub(super) fn encrypted(name: &str, store: StoreRef, keys: KeySource) -> Self {
        Self {
            children: vec![(name.to_owned(), store)],
            about: String::new(),
            kind: PlanKind::Encrypted(keys),
        }
    }

    pub(super) fn backend(plan: BackendPlan) -> Self {
        Self {
            children: Vec::new(),
            about: match &plan {
                BackendPlan::Memory => String::new(),
                BackendPlan::Flatfs { path, .. }
                | BackendPlan::Fs { path }
                | BackendPlan::Redb { path } => path.display().to_string(),
                BackendPlan::S3 { server, bucket } => {
                    format!("bucket {bucket} at {}", server.endpoint)
                }
            },
            kind: PlanKind::Backend(plan),
        }
    }

    /// The directory that the store writes to.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.kind {
            PlanKind::Backend(
                BackendPlan::Flatfs { path, .. }
                | BackendPlan::Fs { path }
                | BackendPlan::Redb { path },
            ) => Some(path),
            PlanKind::Leaf { directory, .. } => directory.as_deref(),
            PlanKind::Backend(_) | PlanKind::Layer(_) => None,
            #[cfg(feature = "encrypted")]
            PlanKind::Encrypted(_) => None,
        }
    }
}

fn made<S: ObjectStore, E: Into<BoxError>>(result: Result<S, E>) -> Opened {
    match result {
        Ok(store) => Ok(Arc::new(store)),
        Err(e) => Err(e.into()),
    }
}
