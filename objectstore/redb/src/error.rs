//! redb's errors as the store's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use storehouse_engine::Fault;

/// Translates an error of redb.
pub(crate) fn fault(what: &str) -> impl FnOnce(redb::Error) -> Fault {
    move |error| match error {
        redb::Error::Io(source) => Fault::io(what, source),
        redb::Error::Corrupted(why) => {
            Fault::damaged(format!("{what}: the file is damaged: {why}"))
        }
        redb::Error::PreviousIo => Fault::stopped(format!(
            "{what}: the database has stopped after an earlier error"
        )),
        redb::Error::DatabaseClosed => Fault::stopped(format!("{what}: the database is closed")),
        error => Fault::damaged(format!("{what}: {error}")),
    }
}

/// Runs `work`. redb panics on some damaged pages; that is damage like any other.
pub(crate) fn guarded<T>(
    what: &str,
    work: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(fault(what)),
        Err(_) => Err(Fault::damaged(format!(
            "{what}: the file is damaged: redb panicked on it"
        ))),
    }
}
