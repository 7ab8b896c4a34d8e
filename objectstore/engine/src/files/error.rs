//! Errors of the file system.

use std::io;

use rustix::io::Errno;
use storehouse_objectstore::{Error, ErrorClass, Key, Operation};

/// An error of the file system. Running out of file handles is transient.
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
pub fn put_failed(key: &Key, message: &str, source: io::Error) -> Error {
    failed(Operation::Put, Some(key), message, source)
}

/// The same error for one more caller.
pub fn duplicate(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
