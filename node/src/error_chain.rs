//! An error and its causes, as one line of a log.

use std::error::Error;

/// The messages of `error` and of its causes, outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    std::iter::successors(Some(error), |&e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
