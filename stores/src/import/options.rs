//! Options of an import.

use std::sync::Arc;

use super::report::Progress;

/// What is called with the progress of an import, on a thread that may block.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Options of [`piri`](super::piri).
#[derive(Clone, Default)]
pub struct ImportOptions {
    /// Only look: everything is read and checked, and nothing written.
    pub dry_run: bool,
    /// Called now and then with how far it is.
    pub progress: Option<OnProgress>,
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
