//! Errors of the file system.

use std::io;

use rustix::io::Errno;
use storehouse_objectstore::{Error, ErrorClass, Key, Operation};

/// An error of the file system. Running out of file handles is transient.
///
/// ```
/// use std::io;
/// use storehouse_engine::files::failed;
/// use storehouse_objectstore::{ErrorClass, Key, Operation};
///
/// let denied = io::Error::from(io::ErrorKind::PermissionDenied);
/// let error = failed(Operation::Get, Some(&Key::new("a")?), "the file cannot be opened", denied);
/// assert_eq!(error.class(), ErrorClass::Fatal);
/// assert_eq!(error.to_string(), "get \"a\": the file cannot be opened");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub fn failed(operation: Operation, key: Option<&Key>, message: &str, source: io::Error) -> Error {
    let out_of_handles = [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|e| source.raw_os_error() == Some(e.raw_os_error()));
    let mut error = Error::io(operation, key, message, source);
    if let (true, Error::Backend { class, .. }) = (out_of_handles, &mut error) {
        *class = ErrorClass::Transient;
    }
    error
}

/// The same for a put.
///
/// ```
/// use std::io;
/// use storehouse_engine::files::put_failed;
/// use storehouse_objectstore::Key;
///
/// let full = io::Error::from(io::ErrorKind::StorageFull);
/// assert!(put_failed(&Key::new("a")?, "the file cannot be renamed", full).is_full());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub fn put_failed(key: &Key, message: &str, source: io::Error) -> Error {
    failed(Operation::Put, Some(key), message, source)
}

/// The same error for one more caller.
///
/// ```
/// use std::io;
/// use storehouse_engine::files::duplicate;
///
/// let error = io::Error::from(io::ErrorKind::StorageFull);
/// assert_eq!(duplicate(&error).kind(), io::ErrorKind::StorageFull);
/// ```
pub fn duplicate(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
