//! Options of an import.

use std::sync::Arc;

use super::report::Progress;

/// What is called with the progress of an import, on a thread that may block.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Options of [`piri`](super::piri).
///
/// ```
/// use std::sync::Arc;
/// use storehouse_stores::import::ImportOptions;
///
/// let options = ImportOptions::default()
///     .dry_run(true)
///     .progress(Arc::new(|progress| println!("{}: {}", progress.directory, progress.read)));
/// assert!(options.dry_run);
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Only look: everything is read and checked, and nothing written.
    pub dry_run: bool,
    /// Called now and then with how far it is.
    pub progress: Option<OnProgress>,
}

impl ImportOptions {
    /// Whether to only look.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// With this called now and then.
    #[must_use]
    pub fn progress(mut self, progress: OnProgress) -> Self {
        self.progress = Some(progress);
        self
    }
}

impl std::fmt::Debug for ImportOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportOptions")
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// How many records are written at once.
pub(super) const AT_ONCE: usize = 64;
