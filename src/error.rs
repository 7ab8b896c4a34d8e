//! The facade's error type.

use storehouse_objectstore::BoxError;

/// The result of opening stores.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a configuration cannot be used, or a store it asks for not be opened.
///
/// `Display` is one sentence that names the setting; a deeper cause is the
/// [`source()`](std::error::Error::source).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be read or is not of its form.
    #[error("configuration{}: {reason}", .origin.as_ref().map(|o| format!(" {o}")).unwrap_or_default())]
    Form {
        /// Where the text came from (a path), if it came from anywhere.
        origin: Option<String>,
        /// What is wrong, by line and name. Never a value: it may be a secret.
        reason: String,
        /// The cause, if the file cannot be read.
        source: Option<BoxError>,
    },
    /// A setting has a value that cannot be used.
    #[error("{setting}: {reason}")]
    Setting {
        /// The setting by its full name, such as `repo.s3.endpoint`, or its environment variable.
        setting: String,
        /// What is wrong with it.
        reason: String,
        /// The cause, if there is a deeper one.
        source: Option<BoxError>,
    },
}

impl Error {
    pub(crate) fn setting(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting {
            setting: setting.into(),
            reason: reason.into(),
            source: None,
        }
    }

    /// The same with a deeper cause.
    #[allow(
        dead_code,
        reason = "unused in a build whose backends cannot fail to open"
    )]
    pub(crate) fn caused_by(mut self, cause: Option<BoxError>) -> Self {
        if let Self::Setting { source, .. } = &mut self {
            *source = cause;
        }
        self
    }
}
