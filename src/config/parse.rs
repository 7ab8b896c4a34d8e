//! From TOML to a checked [`Config`].

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::BackendKind;
use super::message::without_value;
use super::{Config, env};
use crate::tree::{StoreTree, StoreTypes};
use crate::{Error, Result, StoreName};

/// The longest file of settings that is read, in bytes (inclusive).
const LONGEST_FILE: u64 = 1 << 20;

impl Config {
    /// Reads and checks TOML.
    ///
    /// ```
    /// use storehouse::Config;
    ///
    /// let config = Config::from_toml("[repo]\ndata_dir = '/var/lib/node'")?;
    /// assert_eq!(config.repo.data_dir.as_deref(), Some("/var/lib/node".as_ref()));
    ///
    /// let error = Config::from_toml("[repo]\ndata_dri = '/var/lib/node'").unwrap_err();
    /// assert!(error.to_string().contains("data_dri"), "{error}");
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Form`] for text that is no TOML, or has a name or a type that is not known here;
    /// [`Error::Setting`] for a value that cannot be used. Neither repeats a value.
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::from_toml_with(text, &StoreTypes::default())
    }

    /// The same with types of stores of the program's own.
    ///
    /// ```
    /// use storehouse::objectstore::{BoxError, Capabilities, Memory};
    /// use storehouse::{Config, StorePlan, StoreTypes};
    ///
    /// let types = StoreTypes::default().register("scratch", |settings| {
    ///     settings.done()?;
    ///     let open = || async { Ok::<_, BoxError>(Memory::new()) };
    ///     Ok(StorePlan::leaf(Capabilities::full(), open))
    /// })?;
    /// let config = Config::from_toml_with("[stores.a]\ntype = 'scratch'", &types)?;
    /// assert_eq!(config.stores.names().collect::<Vec<_>>(), ["a"]);
    /// assert!(Config::from_toml("[stores.a]\ntype = 'scratch'").is_err());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::from_toml`].
    pub fn from_toml_with(text: &str, types: &StoreTypes) -> Result<Self> {
        let mut config = Self::from_table(table(text, None)?, None, types, &of_process)?;
        config.origin = Some(String::new());
        Ok(config)
    }

    /// Reads and checks a TOML file.
    ///
    /// ```
    /// let file = tempfile::NamedTempFile::new().unwrap();
    /// std::fs::write(file.path(), "[repo]\ndata_dir = '/var/lib/node'").unwrap();
    /// let config = storehouse::Config::from_path(file.path())?;
    /// assert_eq!(config.repo.data_dir.as_deref(), Some("/var/lib/node".as_ref()));
    /// assert!(storehouse::Config::from_path("/nonexistent/node.toml").is_err());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::from_toml`]; [`Error::Form`] if it cannot be read.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let (text, origin) = read(path.as_ref())?;
        let types = StoreTypes::default();
        Self::from_table(
            table(&text, Some(&origin))?,
            Some(&origin),
            &types,
            &of_process,
        )
    }

    /// What a program usually wants: the TOML file at `path`, if one is given, with this process's
    /// environment over it.
    ///
    /// The variables are `STOREHOUSE_` and the setting's full name in capitals, dots as
    /// underscores: `STOREHOUSE_REPO_DATA_DIR`, `STOREHOUSE_REPO_S3_ENDPOINT`,
    /// `STOREHOUSE_REPO_S3_CREDENTIALS_SECRET_ACCESS_KEY`, `STOREHOUSE_REPO_STORES_BLOBS_PATH`,
    /// `STOREHOUSE_REPO_STORES_RECEIPTS_S3_ENDPOINT`, `STOREHOUSE_REPO_KEYSTORE_PASSPHRASE`,
    /// `STOREHOUSE_REPO_JOURNAL_SYNC` and so on, for every setting. Flags are `true` or `false`,
    /// numbers whole. One that starts with `STOREHOUSE_REPO_` and is no setting is an error.
    ///
    /// ```
    /// let path = std::env::args_os().nth(1).map(std::path::PathBuf::from);
    /// let config = storehouse::Config::load(path.as_deref())?; // none: the environment alone
    /// assert!(config.stores.is_empty());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::from_path`]; [`Error::Setting`] for a variable that cannot be used.
    pub fn load(path: Option<&Path>) -> Result<Self> {
        Self::load_with(path, &StoreTypes::default())
    }

    /// The same with types of stores of the program's own.
    ///
    /// # Errors
    /// As [`Config::load`].
    ///
    /// ```
    /// use storehouse::{Config, StoreTypes};
    ///
    /// let config = Config::load_with(None, &StoreTypes::default())?;
    /// assert!(config.stores.is_empty());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    pub fn load_with(path: Option<&Path>, types: &StoreTypes) -> Result<Self> {
        let vars =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let mut vars: Vec<(String, String)> = vars
            .filter(|(name, _)| name.starts_with(env::PREFIX))
            .map(|(name, value)| match value.into_string() {
                Ok(value) => Ok((name, value)),
                Err(_) => Err(Error::setting(name, "the value is not UTF-8")),
            })
            .collect::<Result<_>>()?;
        vars.sort();
        Self::laid_over(path, vars, types, &of_process)
    }

    /// The same with these environment variables instead of the process's own.
    ///
    /// ```
    /// let vars = [("STOREHOUSE_REPO_DATA_DIR".to_owned(), "/var/lib/node".to_owned())];
    /// let config = storehouse::Config::with_env(None, vars)?;
    /// assert_eq!(config.repo.data_dir.as_deref(), Some("/var/lib/node".as_ref()));
    ///
    /// let misspelt = [("STOREHOUSE_REPO_DATA_DRI".to_owned(), "/var/lib/node".to_owned())];
    /// assert!(storehouse::Config::with_env(None, misspelt).is_err());
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn with_env(
        path: Option<&Path>,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let vars: Vec<_> = vars.into_iter().collect();
        let held: BTreeMap<_, _> = vars.iter().cloned().collect();
        let variable = |name: &str| held.get(name).cloned();
        Self::laid_over(path, vars, &StoreTypes::default(), &variable)
    }

    fn laid_over(
        path: Option<&Path>,
        vars: Vec<(String, String)>,
        types: &StoreTypes,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let (mut values, origin) = match path.map(read).transpose()? {
            Some((text, origin)) => (table(&text, Some(&origin))?, Some(origin)),
            None => (toml::Table::new(), None),
        };
        env::lay_over(&mut values, vars)?;
        Self::from_table(values, origin.as_deref(), types, variable)
    }

    fn from_table(
        values: toml::Table,
        origin: Option<&str>,
        types: &StoreTypes,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let mut config: Self = values
            .try_into()
            .map_err(|e: toml::de::Error| form(origin, &without_value(&e.to_string())))?;
        config.types = types.clone();
        config.stores.expand(variable)?;
        config.check_each()?;
        config.origin = origin.map(str::to_owned);
        Ok(config)
    }

    /// Checks everything that can be checked without opening a store. [`Stores::open`] does so too.
    ///
    /// Reading a configuration checks each setting by itself. What one setting needs of another is
    /// checked here, so that a program can first set what its flags say.
    ///
    /// # Errors
    /// [`Error::Setting`], which names the setting.
    ///
    /// ```
    /// use storehouse::Config;
    ///
    /// let mut config = Config::from_toml("[repo.keystore]\npassphrase = 'correct horse'")?;
    /// assert!(config.check().is_err(), "keys in memory are not sealed");
    /// config.repo.data_dir = Some("/var/lib/node".into());
    /// config.check()?;
    /// # Ok::<(), storehouse::Error>(())
    /// ```
    ///
    /// [`Stores::open`]: crate::Stores::open
    pub fn check(&self) -> Result<()> {
        self.check_each()?;
        self.repo
            .keystore
            .check_place(self.repo.data_dir.is_some())?;
        self.check_backend()
    }

    /// Checks that a text picks a backend, and that `repo.backend` contradicts nothing.
    fn check_backend(&self) -> Result<()> {
        let repo = &self.repo;
        let stores = StoreName::ALL
            .iter()
            .any(|&name| repo.stores.get(name).is_some());
        match repo.backend {
            None if repo.data_dir.is_none()
                && repo.s3.is_none()
                && !stores
                && self.stores.is_empty() => match &self.origin {
                None => Ok(()),
                Some(origin) => Err(Error::Form {
                    origin: Some(origin.clone()).filter(|origin| !origin.is_empty()),
                    reason: "picks no backend; set repo.data_dir or repo.s3, or repo.backend = \"memory\""
                        .to_owned(),
                    source: None,
                }),
            },
            None => Ok(()),
            Some(BackendKind::Memory) => {
                let other = [
                    ("repo.data_dir", repo.data_dir.is_some()),
                    ("repo.s3", repo.s3.is_some()),
                ];
                match other.iter().find(|(_, set)| *set) {
                    None => Ok(()),
                    Some((name, _)) => Err(Error::setting(
                        "repo.backend",
                        format!("is \"memory\", and {name} is set; leave one out"),
                    )),
                }
            }
            Some(kind) => Err(Error::setting(
                "repo.backend",
                format!(
                    "is {:?}; only \"memory\" stands here, and other backends follow from repo.data_dir and repo.s3",
                    kind.as_str()
                ),
            )),
        }
    }

    /// Checks what the types do not say: nothing empty, credentials whole.
    fn check_each(&self) -> Result<()> {
        for (name, path) in [
            ("repo.data_dir", &self.repo.data_dir),
            ("repo.temp_dir", &self.repo.temp_dir),
        ] {
            if path
                .as_ref()
                .is_some_and(|path| path.as_os_str().is_empty())
            {
                return Err(Error::setting(name, "is empty"));
            }
        }
        self.repo
            .s3
            .as_ref()
            .map_or(Ok(()), |s3| s3.check("repo.s3", true))?;
        self.repo.stores.check()?;
        self.repo.keystore.check()?;
        self.repo.journal.check()?;
        self.tree().map(drop)
    }

    /// The named stores, checked.
    pub(crate) fn tree(&self) -> Result<StoreTree> {
        let tree = StoreTree::parse(&self.stores, &self.types)?;
        for name in StoreName::ALL {
            if let Some(store) = self
                .repo
                .stores
                .get(name)
                .and_then(|own| own.store.as_ref())
            {
                tree.must_have(&format!("repo.stores.{name}.store"), store)?;
            }
        }
        Ok(tree)
    }
}

/// An environment variable of this process. One that is not UTF-8 counts as not set.
fn of_process(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn read(path: &Path) -> Result<(String, String)> {
    let origin = path.display().to_string();
    let mut text = String::new();
    // A device need not end.
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_string(&mut text));
    match read {
        Ok(len) if len as u64 <= LONGEST_FILE => Ok((text, origin)),
        Ok(_) => Err(form(
            Some(&origin),
            &format!("has more than {LONGEST_FILE} bytes"),
        )),
        Err(e) => Err(Error::Form {
            origin: Some(origin),
            reason: "cannot be read".to_owned(),
            source: Some(e.into()),
        }),
    }
}

fn table(text: &str, origin: Option<&str>) -> Result<toml::Table> {
    text.parse::<toml::Table>().map_err(|e| {
        // The error's own display quotes the line, and the line may hold a secret.
        let line = e.span().map_or(1, |span| {
            text[..span.start.min(text.len())].matches('\n').count() + 1
        });
        form(origin, &format!("line {line}: {}", e.message()))
    })
}

fn form(origin: Option<&str>, reason: &str) -> Error {
    Error::Form {
        origin: origin.map(str::to_owned),
        reason: reason.trim().replace('\n', " "),
        // A deserializer's error quotes values, which may be secrets.
        source: None,
    }
}
