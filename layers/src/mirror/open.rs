//! Opening the content of one version, in whichever replica answers first.

use std::ops::Range;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use storehouse_objectstore::{
    Body, ETag, Error, GetOptions, Key, Object, ObjectStore, Operation, Result,
};
use tokio::time::timeout;

use super::failures::Failures;
use super::record::Version;
use super::shared::{Found, Shared};

/// A replica to read from, and the tag that it gives the version, if that is known.
pub(super) type Candidate = (usize, Option<ETag>);

/// What came of opening a content.
#[derive(Debug)]
pub(super) enum Opened {
    Body(Candidate, Body),
    /// No replica has this version any more, or each that has it failed.
    None(Failures),
}

impl<S: ObjectStore> Shared<S> {
    /// Opens `range` (not empty) of this version in one replica; `None` if it has another one.
    async fn open_in(
        &self,
        (replica, etag): Candidate,
        key: &Key,
        version: Version,
        range: Range<u64>,
    ) -> Result<Option<Body>> {
        let etag = match etag {
            Some(etag) => etag,
            None => match self.ask(Operation::Get, replica, key, 0).await? {
                Found::Record(record) if record.trailer.version == version => record.etag,
                _ => return Ok(None),
            },
        };
        let options = GetOptions::default().range(range).if_match(etag);
        let get = self.replicas[replica].store.get_opts(key, options);
        match self.timed((Operation::Get, Some(key), replica), get).await {
            Ok(Object { body, .. }) => Ok(Some(body)),
            Err(error) if error.is_not_found() || error.is_precondition() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens `range` (not empty) in the first replica that answers. The next one is asked when one
    /// fails or takes too long. The replica that was opened and those that failed are taken out of
    /// `candidates`; one that was too slow, also if this is dropped, is moved to the end.
    pub(super) async fn open(
        &self,
        key: &Key,
        version: Version,
        range: &Range<u64>,
        candidates: &mut Vec<Candidate>,
    ) -> Opened {
        let open = |candidate: Candidate| {
            let range = range.clone();
            async move {
                let opened = self.open_in(candidate.clone(), key, version, range);
                (candidate, opened.await)
            }
        };
        let mut failures = Vec::new();
        let mut unasked = candidates.len();
        let mut next = |candidates: &mut Vec<Candidate>| {
            unasked = unasked.checked_sub(1)?;
            candidates.rotate_left(1);
            candidates.last().cloned()
        };
        let mut opening: FuturesUnordered<_> = next(candidates).map(open).into_iter().collect();
        loop {
            let answer = match timeout(self.options.hedge_after, opening.next()).await {
                Ok(Some(answer)) => answer,
                Ok(None) => return Opened::None(failures),
                Err(_) => match next(candidates) {
                    Some(candidate) => {
                        opening.push(open(candidate));
                        continue;
                    }
                    None => match opening.next().await {
                        Some(answer) => answer,
                        None => return Opened::None(failures),
                    },
                },
            };
            let (candidate, answer) = answer;
            candidates.retain(|(replica, _)| *replica != candidate.0);
            match answer {
                Ok(Some(body)) => return Opened::Body(candidate, body),
                Ok(None) => {}
                Err(error) => failures.push((candidate.0, error)),
            }
            opening.extend(next(candidates).map(open));
        }
    }
}

/// A read that met another version each time it opened one.
pub(super) fn replaced(key: &Key, times: usize) -> Error {
    Error::Backend {
        operation: Operation::Get,
        key: Some(key.clone()),
        class: storehouse_objectstore::ErrorClass::Transient,
        message: format!("the object was replaced {times} times while it was read"),
        source: None,
    }
}
