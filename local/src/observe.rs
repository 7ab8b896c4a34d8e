//! How an operation's end is counted.

use storehouse_objectstore::observe::OperationSpan;

use crate::error::Result;

pub(crate) fn note<T>(running: &mut OperationSpan, result: &Result<T>) {
    match result {
        Ok(_) => running.succeeded(),
        Err(error) => running.failed(error.outcome(), error.is_full(), error),
    }
}
