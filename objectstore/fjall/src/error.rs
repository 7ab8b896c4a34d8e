//! fjall's errors as the store's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fjall::LsmError;
use storehouse_engine::Fault;

/// Translates an error of fjall.
pub(crate) fn fault(what: &str) -> impl FnOnce(fjall::Error) -> Fault {
    move |error| match error {
        fjall::Error::Io(source) | fjall::Error::Storage(LsmError::Io(source)) => {
            Fault::io(what, source)
        }
        fjall::Error::Storage(LsmError::ChecksumMismatch { .. }) => {
            Fault::damaged(format!("{what}: a checksum of the files does not match"))
        }
        fjall::Error::Poisoned => Fault::stopped(format!(
            "{what}: the database has stopped after an earlier error"
        )),
        fjall::Error::Locked => Fault::stopped(format!("{what}: the database is still closing")),
        error => Fault::damaged(format!("{what}: {error:?}")),
    }
}

/// Runs `work`. fjall panics on some damaged files; that is damage like any other.
pub(crate) fn guarded<T>(
    what: &str,
    work: impl FnOnce() -> Result<T, fjall::Error>,
) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(fault(what)),
        Err(_) => Err(Fault::damaged(format!(
            "{what}: fjall panicked on the files"
        ))),
    }
}
