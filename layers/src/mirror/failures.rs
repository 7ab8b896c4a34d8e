//! What went wrong in which replica.

use storehouse_objectstore::{Error, ErrorClass, Key, Operation};

/// Replicas by their places, and their errors.
pub(super) type Failures = Vec<(usize, Error)>;

/// An error and its causes, in one line.
pub(super) fn story(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The error of an operation that needed more replicas than it got.
pub(super) fn too_few(
    operation: Operation,
    key: Option<&Key>,
    (needed, of): (usize, usize),
    mut failures: Failures,
) -> Error {
    failures.sort_by_key(|(replica, _)| *replica);
    // What every replica refuses is the caller's to change.
    let refused = |error: &Error| error.class() == ErrorClass::InvalidInput;
    if failures.len() == of && failures.iter().all(|(_, error)| refused(error)) {
        if let Some((_, error)) = failures.into_iter().next() {
            return error;
        }
        return too_few(operation, key, (needed, of), Vec::new());
    }
    let passes = |error: &Error| error.is_transient();
    let class = if failures.iter().any(|(_, error)| passes(error)) {
        ErrorClass::Transient
    } else {
        ErrorClass::Fatal
    };
    let stories: Vec<_> = failures
        .iter()
        .map(|(replica, error)| format!("replica {replica}: {}", story(error)))
        .collect();
    let failed = failures.len();
    // One that is full tells that the operation succeeds once there is space.
    let full = failures.iter().position(|(_, error)| error.is_full());
    let source = failures.into_iter().nth(full.unwrap_or(0));
    let source = source.map(|(_, error)| error);
    Error::Backend {
        operation,
        key: key.cloned(),
        class,
        message: format!(
            "needs {needed} of {of} replicas, and {failed} failed: {}",
            stories.join("; ")
        ),
        source: source.map(|error| Box::new(error) as _),
    }
}

/// A replica that did not answer or move in time.
pub(super) fn silent(operation: Operation, key: Option<&Key>, time: std::time::Duration) -> Error {
    Error::Backend {
        operation,
        key: key.cloned(),
        class: ErrorClass::Transient,
        message: format!("was silent for {time:?}"),
        source: None,
    }
}

/// A record that is none, or not what was written.
pub(super) fn damaged(operation: Operation, key: &Key, flaw: &str) -> Error {
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message: format!("the replica's record cannot be used: {flaw}"),
        source: None,
    }
}
