//! A body that is verified while a store reads it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{self as objectstore, Body};

use crate::digest::Digest;
use crate::error::{BlobOperation, Error, Result};
use crate::function::HashFunction;
use crate::hasher::StreamHasher;

/// What became of a body. The store's own error may say it too, but only as deep in its chain as
/// the backend put it.
#[derive(Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Option<Result<()>>>>);

impl Verdict {
    /// The verdict, if there is one: there is none while the body has not ended, or if it failed on
    /// its own.
    pub(crate) fn take(&self) -> Option<Result<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn give(&self, verdict: Result<()>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }
}

/// The same body, which ends without an error only if it has the digest, and where its verdict will
/// be. A piece is passed on as it comes, without waiting for its hash: only the end waits for all
/// of them.
///
/// The store holds the body to its declared size: one that ends early ends here without a verdict.
pub(crate) fn verified(
    body: Body,
    declared: u64,
    digest: &Digest,
    function: HashFunction,
) -> (Body, Verdict) {
    let verdict = Verdict::default();
    let verifying = Verifying {
        body,
        left: declared,
        hasher: StreamHasher::new(function),
        digest: digest.clone(),
        verdict: verdict.clone(),
    };
    let pieces = stream::unfold(Some(verifying), async |verifying| {
        let mut verifying = verifying?;
        match verifying.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(verifying))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    (Body::from_stream(pieces).with_size(declared), verdict)
}

/// Whether the bytes have the digest.
pub(crate) fn compare(operation: BlobOperation, digest: &Digest, actual: Digest) -> Result<()> {
    if actual == *digest {
        Ok(())
    } else {
        Err(Error::DataInconsistent {
            operation,
            digest: digest.clone(),
            actual: Some(actual),
        })
    }
}

struct Verifying {
    body: Body,
    /// The bytes still to come.
    left: u64,
    hasher: StreamHasher,
    digest: Digest,
    verdict: Verdict,
}

impl Verifying {
    async fn next(&mut self) -> objectstore::Result<Option<Bytes>> {
        self.hasher.room().await.map_err(|e| failed(e.into()))?;
        match self.body.next().await {
            Some(piece) => {
                let piece = piece?;
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.hasher.push(piece.clone());
                Ok(Some(piece))
            }
            None if self.left > 0 => Ok(None),
            None => {
                let actual = self.hasher.finish().await.map_err(|e| failed(e.into()))?;
                let matches = compare(BlobOperation::Put, &self.digest, actual.clone());
                let seen =
                    compare(BlobOperation::Put, &self.digest, actual).map_err(|e| failed(e.into()));
                self.verdict.give(matches);
                seen.map(|()| None)
            }
        }
    }
}

fn failed(source: objectstore::BoxError) -> objectstore::Error {
    objectstore::Error::Body { key: None, source }
}
