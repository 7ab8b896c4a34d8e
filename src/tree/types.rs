//! The types of stores that a configuration can name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::builtin;
use super::nearest::meant;
use super::plan::StorePlan;
use super::settings::StoreSettings;
use crate::{Error, Result};

type PlanOf = Arc<dyn Fn(StoreSettings) -> Result<StorePlan> + Send + Sync>;

/// The types of stores that `type = "…"` in the section `[stores]` of a configuration can name.
///
/// [`StoreTypes::default`] has storehouse's own. A program adds its own types with
/// [`register`](Self::register), and reads its configuration with them:
/// [`Config::from_toml_with`](crate::Config::from_toml_with),
/// [`Config::load_with`](crate::Config::load_with).
#[derive(Clone)]
pub struct StoreTypes(BTreeMap<String, PlanOf>);

impl fmt::Debug for StoreTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Default for StoreTypes {
    fn default() -> Self {
        let types = builtin::TYPES.iter().map(|builtin| {
            let plan: PlanOf = Arc::new(builtin.plan);
            (builtin.name.to_owned(), plan)
        });
        Self(types.collect())
    }
}

impl StoreTypes {
    /// Adds a type: `plan` says what stands behind its settings. It must check them and open
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Setting`] if there is a type of this name already, or the name is empty.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::layers::LimitStore;
    /// use storehouse::objectstore::BoxError;
    /// use storehouse::{Config, StorePlan, StoreRef, StoreTypes, Stores};
    ///
    /// let types = StoreTypes::default().register("polite", |mut settings| {
    ///     let guests: usize = settings.need("guests")?;
    ///     if guests == 0 {
    ///         return Err(settings.error("guests", "is 0"));
    ///     }
    ///     let store: StoreRef = settings.need("store")?;
    ///     settings.done()?;
    ///     Ok(StorePlan::layer("store", store, move |inner| {
    ///         Ok::<_, BoxError>(LimitStore::new(inner, guests))
    ///     }))
    /// })?;
    /// let config = Config::from_toml_with(
    ///     "repo.stores.blobs.store = 'b'
    ///      [stores]
    ///      b = { type = 'polite', guests = 4, store = { type = 'memory' } }",
    ///     &types,
    /// )?;
    /// let stores = Stores::open(&config).await?;
    /// assert!(stores.named("b").is_some());
    /// # stores.close().await?;
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn register(
        mut self,
        name: impl Into<String>,
        plan: impl Fn(StoreSettings) -> Result<StorePlan> + Send + Sync + 'static,
    ) -> Result<Self> {
        let name = name.into();
        if name.is_empty() {
            return Err(Error::setting("type", "has an empty name"));
        }
        if self.0.contains_key(&name) {
            return Err(Error::setting("type", format!("{name:?} is there already")));
        }
        self.0.insert(name, Arc::new(plan));
        Ok(self)
    }

    /// The names of the types, in order.
    ///
    /// ```
    /// assert!(storehouse::StoreTypes::default().names().any(|name| name == "memory"));
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The plan of the store whose settings these are.
    pub(super) fn plan(&self, name: &str, settings: StoreSettings) -> Result<StorePlan> {
        match self.0.get(name) {
            Some(plan) => plan(settings),
            None => {
                let reason = format!(
                    "is {name:?}, which is no type of store{}; the types are {}",
                    meant(name, self.names()),
                    self.names().collect::<Vec<_>>().join(", ")
                );
                Err(settings.error("type", reason))
            }
        }
    }
}
