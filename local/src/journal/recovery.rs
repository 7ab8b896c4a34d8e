//! What opening did about an open batch that was not whole.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What opening found wrong with the open batch, and did about it. A whole batch gives
/// [`Recovery::default`].
///
/// `Display` is one line for a log.
///
/// ```
/// use storehouse_local::journal::Recovery;
///
/// assert!(Recovery::default().is_clean());
/// assert_eq!(Recovery::default().to_string(), "the open batch was whole");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The bytes cut off after the last whole frame: a frame that a crash kept from being written
    /// whole.
    pub torn: u64,
    /// The damaged batch that was set aside. Its whole frames were copied into a new batch.
    pub set_aside: Option<SetAside>,
}

impl Recovery {
    /// Whether nothing was wrong.
    ///
    /// ```
    /// # use storehouse_local::journal::Recovery;
    /// let mut recovery = Recovery::default();
    /// recovery.torn = 3;
    /// assert!(!recovery.is_clean());
    /// ```
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.set_aside, self.torn) {
            (Some(aside), _) => aside.fmt(f),
            (None, 0) => f.write_str("the open batch was whole"),
            (None, torn) => write!(
                f,
                "the open batch ended with {torn} bytes of a torn frame, which were cut off"
            ),
        }
    }
}

/// A damaged batch, renamed and otherwise as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// Where it is now. [`BatchReader`](super::BatchReader) reads it up to the first damaged
    /// length.
    pub path: PathBuf,
    /// The frames that are whole, before and after the damage. All of them are in the new batch.
    pub frames: u64,
    /// The bytes that are not in the new batch: damaged frames, and what lies between.
    pub lost: u64,
    /// Where the damage begins, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
    /// Whether every whole frame was found. `false` only for a file made to be costly to search.
    pub complete: bool,
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            frames,
            lost,
            offset,
            reason,
            complete,
        } = self;
        write!(
            f,
            "the open batch was damaged at byte {offset} ({reason}) and set aside as {}; its {frames} whole frames were kept, {lost} bytes were not",
            path.display()
        )?;
        if !complete {
            f.write_str("; the search for whole frames was cut short")?;
        }
        Ok(())
    }
}

/// The recovery of the last opening that found anything wrong. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LatestRecovery(Arc<Mutex<Arc<Recovery>>>);

impl LatestRecovery {
    pub(super) fn get(&self) -> Arc<Recovery> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, recovery: Recovery) {
        #[cfg(feature = "observe")]
        tracing::warn!(target: storehouse_objectstore::observe::TARGET, "journal: {recovery}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(recovery);
    }
}
