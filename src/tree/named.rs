//! The section `[stores]`.

use std::fmt;

use serde::Deserialize;
use toml::{Table, Value};

use super::expand::expand;
use crate::Result;

/// The section `[stores]` of a configuration: stores by names of the operator's own.
///
/// Each entry has a `type`, and the settings of that type; [`StoreTypes`](crate::StoreTypes) lists
/// them.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct NamedStores(Table);

/// Names alone: the settings may hold secrets.
impl fmt::Debug for NamedStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl NamedStores {
    /// The names, in order.
    ///
    /// ```
    /// let config = storehouse::Config::from_toml("[stores.near]\ntype = 'memory'")?;
    /// assert_eq!(config.stores.names().collect::<Vec<_>>(), ["near"]);
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there are none.
    ///
    /// ```
    /// let config = storehouse::Config::from_toml("[repo]\nbackend = 'memory'")?;
    /// assert!(config.stores.is_empty());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.iter()
    }

    /// Puts the values of variables in their places.
    pub(crate) fn expand(&mut self, variable: &dyn Fn(&str) -> Option<String>) -> Result<()> {
        self.0
            .iter_mut()
            .try_for_each(|(name, value)| expand(&format!("stores.{name}"), value, variable))
    }
}
