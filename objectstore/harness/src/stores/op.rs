//! What every store does here.

use std::error::Error;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::content::content;

/// One write: all of its keys change, or none.
#[derive(Clone, Debug)]
pub struct Op {
    /// Its number, which is the version of the objects that it puts.
    pub id: u64,
    /// What it is to be.
    pub mode: Mode,
    /// For each key the size of the new object, or `None` to delete.
    pub writes: Vec<(String, Option<usize>)>,
}

/// The kinds of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Puts one key, whether or not it is there.
    Put,
    /// Puts one key if it is not there.
    Create,
    /// Puts one key if it has the tag that it has now.
    Replace,
    /// Deletes one key; in a journal a rotated batch with all its frames.
    Delete,
    /// Writes several keys at once.
    Batch,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// It is acknowledged.
    Done,
    /// Nothing happened: a key to be created is there.
    Exists,
    /// Nothing happened: a key to be replaced is not there.
    Missing,
    /// It failed. It may have happened.
    Failed(String),
}

/// What a store can do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits {
    /// Several keys at once.
    pub batches: bool,
    /// [`Mode::Replace`].
    pub replace: bool,
    /// Keys are put once, and go in groups.
    pub appends: bool,
}

/// An open store.
pub trait Store: Send + Sync {
    /// What it can do.
    fn traits(&self) -> Traits;

    /// Makes one write.
    fn apply<'a>(&'a self, op: &'a Op) -> BoxFuture<'a, OpOutcome>;

    /// The object under a key. Not of stores that append.
    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, String>>;

    /// All keys with their objects, or the errors with which they were read.
    fn all(&self) -> BoxFuture<'_, Result<Vec<Read>, String>>;

    /// What the store finds damaged when it checks itself.
    fn check(&self) -> BoxFuture<'_, Result<Vec<String>, String>>;

    /// The keys that a [`Mode::Delete`] would take next from a store that appends.
    fn removable(&self) -> BoxFuture<'_, Option<Vec<String>>>;

    /// Makes the store smaller, if it has such work.
    fn compact(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Ends all work.
    fn close(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// A key and its object.
pub type Read = (String, Result<Bytes, String>);

impl Op {
    /// The object of a put.
    #[must_use]
    pub fn object(&self, key: &str, size: usize) -> Bytes {
        content(key, self.id, size).into()
    }

    /// The one key of a write that is no batch, with the size of its object.
    #[must_use]
    pub fn single(&self) -> (&str, Option<usize>) {
        self.writes
            .first()
            .map_or(("", None), |(key, size)| (key, *size))
    }
}

/// An error with its causes.
pub(super) fn tell(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', " ")
}
