//! The settings of one store, as they stand in a configuration.

use std::ffi::OsStr;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::fields::fields_of;
use super::nearest::meant;
use crate::config::without_value;
use crate::{Error, Result};

/// A store that another one is over: the name of a store, or the settings of one, in place.
///
/// A field of this type in the settings of a store is `store = "near"` or
/// `store = { type = "memory" }` in a configuration.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum StoreRef {
    /// A store of the section `[stores]`, which is opened once for all that name it.
    Named(String),
    /// A store of its own.
    Inline(Table),
}

/// Names and types alone: the settings may hold secrets.
impl fmt::Debug for StoreRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.debug_tuple("Named").field(name).finish(),
            Self::Inline(table) => f.debug_tuple("Inline").field(&table.get("type")).finish(),
        }
    }
}

/// The settings of one store: a table, without `type`, and the table's full name.
///
/// ```
/// use storehouse::layers::LimitStore;
/// use storehouse::objectstore::BoxError;
/// use storehouse::{Config, StorePlan, StoreRef, StoreTypes};
///
/// let types = StoreTypes::default().register("polite", |mut settings| {
///     assert_eq!(settings.path(), "stores.a");
///     let guests = settings.take("guests")?.unwrap_or(4);
///     if guests == 0 {
///         return Err(settings.error("guests", "is 0"));
///     }
///     let store: StoreRef = settings.need("store")?;
///     settings.done()?;
///     Ok(StorePlan::layer("store", store, move |inner| {
///         Ok::<_, BoxError>(LimitStore::new(inner, guests))
///     }))
/// })?;
/// let polite = |settings: &str| {
///     Config::from_toml_with(&format!("[stores.a]\ntype = 'polite'\n{settings}"), &types)
/// };
/// assert!(polite("store = { type = 'memory' }").is_ok());
/// let why = |settings| polite(settings).unwrap_err().to_string();
/// assert_eq!(why("guests = 0"), "stores.a.guests: is 0");
/// assert_eq!(why("guests = 2"), "stores.a.store: is not set");
/// assert!(why("guests = 'two'").starts_with("stores.a.guests: "));
/// assert!(why("store = 'b'\nguest = 2").contains("guests"));
/// # Ok::<(), storehouse::Error>(())
/// ```
#[derive(Clone)]
pub struct StoreSettings {
    path: String,
    table: Table,
    taken: Vec<String>,
}

/// Names alone: the values may be secrets.
impl fmt::Debug for StoreSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSettings")
            .field("path", &self.path)
            .field("names", &self.table.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl StoreSettings {
    pub(super) fn new(path: String, table: Table) -> Self {
        Self {
            path,
            table,
            taken: Vec::new(),
        }
    }

    /// The table's full name, such as `stores.blobs.slow`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An error about the setting `name` of this table. `reason` follows the name: "is empty".
    #[must_use]
    pub fn error(&self, name: &str, reason: impl Into<String>) -> Error {
        Error::setting(format!("{}.{name}", self.path), reason)
    }

    /// Checks that a text or a path is not empty.
    pub(super) fn not_empty(&self, name: &str, value: impl AsRef<OsStr>) -> Result<()> {
        if value.as_ref().is_empty() {
            return Err(self.error(name, "is empty"));
        }
        Ok(())
    }

    /// Takes one setting out, if it is there. [`read`](Self::read) takes all at once.
    ///
    /// # Errors
    /// [`Error::Setting`] if it has another type. The value is not repeated.
    pub fn take<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>> {
        self.taken.push(name.to_owned());
        let Some(value) = self.table.remove(name) else {
            return Ok(None);
        };
        let value =
            T::deserialize(value).map_err(|e| self.error(name, without_value(e.message())))?;
        Ok(Some(value))
    }

    /// Takes one setting out, which must be there.
    ///
    /// # Errors
    /// As [`take`](Self::take); [`Error::Setting`] if it is not set.
    pub fn need<T: DeserializeOwned>(&mut self, name: &str) -> Result<T> {
        match self.take(name)? {
            Some(value) => Ok(value),
            None => Err(self.error(name, "is not set")),
        }
    }

    /// Checks that every setting was taken.
    ///
    /// # Errors
    /// [`Error::Setting`] with the name of one that was not, and the name that is closest to it.
    pub fn done(self) -> Result<()> {
        let taken: Vec<&str> = self.taken.iter().map(String::as_str).collect();
        self.all_known(&taken)
    }

    fn all_known(&self, known: &[&str]) -> Result<()> {
        let Some(name) = self
            .table
            .keys()
            .find(|name| !known.contains(&name.as_str()))
        else {
            return Ok(());
        };
        let mut all = known.to_vec();
        all.sort_unstable();
        let all = if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(", ")
        };
        let meant = meant(name, known.iter().copied());
        let reason = format!("is no setting of this store{meant}; its settings are {all}");
        Err(self.error(name, reason))
    }

    /// Reads all settings into a struct that derives `Deserialize`.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use storehouse::layers::LimitStore;
    /// use storehouse::objectstore::BoxError;
    /// use storehouse::{Config, StorePlan, StoreRef, StoreTypes};
    ///
    /// #[derive(Deserialize)]
    /// struct Polite {
    ///     guests: usize,
    ///     store: StoreRef,
    /// }
    ///
    /// let types = StoreTypes::default().register("polite", |settings| {
    ///     let Polite { guests, store } = settings.read()?;
    ///     Ok(StorePlan::layer("store", store, move |inner| {
    ///         Ok::<_, BoxError>(LimitStore::new(inner, guests))
    ///     }))
    /// })?;
    /// let config = "[stores.a]\ntype = 'polite'\nguests = 2\nstore = { type = 'memory' }";
    /// assert!(Config::from_toml_with(config, &types).is_ok());
    /// let error = Config::from_toml_with(&config.replace("guests", "gusts"), &types).unwrap_err();
    /// assert!(error.to_string().starts_with("stores.a.gusts: "), "{error}");
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] with the full name of a setting that the struct does not have, and the
    /// name that is closest to it; or of one that has another type. Values are not repeated.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.read_but(&[])
    }

    /// The same; the fields `hidden` of the struct count as fields that it does not have.
    pub(super) fn read_but<T: DeserializeOwned>(&self, hidden: &[&str]) -> Result<T> {
        if let Some(known) = fields_of::<T>() {
            let known: Vec<_> = known
                .iter()
                .copied()
                .filter(|name| !hidden.contains(name))
                .chain(self.taken.iter().map(String::as_str))
                .collect();
            self.all_known(&known)?;
        }
        let value = Value::Table(self.table.clone());
        serde_path_to_error::deserialize(value).map_err(|e| {
            let at = e.path().to_string();
            let reason = without_value(e.inner().message());
            if at == "." || at.is_empty() {
                Error::setting(self.path.clone(), reason)
            } else {
                self.error(&at, reason)
            }
        })
    }
}
