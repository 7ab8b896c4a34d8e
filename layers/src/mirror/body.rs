//! Bodies that go on in another replica.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, Error, Key, ObjectStore, Operation, Result};
use tokio::time::timeout;

use super::failures::{damaged, silent};
use super::open::{Candidate, Opened};
use super::record::Version;
use super::shared::Shared;

/// A range of one version of an object, from one replica after the other.
pub(super) struct MirrorBody<S> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) key: Key,
    pub(super) version: Version,
    /// What has not been given yet.
    pub(super) left: Range<u64>,
    /// The replica that gives it.
    pub(super) from: Candidate,
    pub(super) body: Body,
    /// The replicas that it can go on in: those that have not failed.
    pub(super) others: Vec<Candidate>,
    /// How long a piece may take before another replica is asked.
    pub(super) hedge_after: Duration,
    /// The checksum so far and the one that a whole content has to have.
    pub(super) crc: Option<(u32, u32)>,
}

impl<S: ObjectStore> MirrorBody<S> {
    pub(super) fn into_body(self) -> Body {
        let size = self.left.end - self.left.start;
        let pieces = stream::unfold(Some(self), |body| async {
            let mut body = body?;
            if body.left.is_empty() {
                body.finish().await;
                return None;
            }
            match body.next().await {
                Ok(piece) => Some((Ok(piece), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Body::from_stream(pieces.boxed()).with_size(size)
    }

    async fn next(&mut self) -> Result<Bytes> {
        loop {
            let error = match self.piece().await {
                Ok(piece) if piece.is_empty() => continue,
                Ok(piece) => return self.give(piece),
                Err(error) => error,
            };
            self.shared.suspect(self.from.0);
            let opened = self
                .shared
                .open(&self.key, self.version, &self.left, &mut self.others);
            match opened.await {
                Opened::Body(from, body) => (self.from, self.body) = (from, body),
                Opened::None(_) => return Err(error),
            }
        }
    }

    /// The next piece of the replica that gives it first.
    async fn piece(&mut self) -> Result<Bytes> {
        let options = &self.shared.options;
        if let Ok(piece) = timeout(self.hedge_after, self.body.next()).await {
            return self.or_ended(piece);
        }
        let hedge = async {
            let (key, left) = (&self.key, &self.left);
            let others = &mut self.others;
            match self.shared.open(key, self.version, left, others).await {
                Opened::Body(from, mut body) => {
                    // It is still there if this is dropped.
                    others.push(from);
                    let piece = body.next().await;
                    let from = others.pop()?;
                    piece?.ok().map(|piece| (from, body, piece))
                }
                Opened::None(_) => None,
            }
        };
        let first = async {
            let mut hedge = std::pin::pin!(hedge);
            let mut body = &mut self.body;
            tokio::select! {
                biased;
                piece = body.next() => Err(piece),
                other = &mut hedge => match other {
                    Some(other) => Ok(other),
                    None => Err((&mut body).next().await),
                },
            }
        };
        match timeout(options.timeout, first).await {
            Ok(Ok((from, body, piece))) => {
                // It is slow and has not failed.
                self.others.push(std::mem::replace(&mut self.from, from));
                self.body = body;
                Ok(piece)
            }
            Ok(Err(piece)) => {
                // So a body that is slow all the time costs few such requests.
                self.hedge_after = self.hedge_after.saturating_mul(2);
                self.or_ended(piece)
            }
            Err(_) => Err(silent(Operation::Get, Some(&self.key), options.timeout)),
        }
    }

    fn or_ended(&self, piece: Option<Result<Bytes>>) -> Result<Bytes> {
        piece.unwrap_or_else(|| {
            Err(Error::Truncated {
                key: self.key.clone(),
                expected: self.left.end,
                received: self.left.start,
                source: None,
            })
        })
    }

    /// Reads what follows the content, so that a connection can be used again.
    async fn finish(&mut self) {
        let rest = async { while let Some(Ok(_)) = self.body.next().await {} };
        let _ = timeout(self.shared.options.hedge_after, rest).await;
    }

    /// The last piece of a whole content is given once all of it was right.
    fn give(&mut self, piece: Bytes) -> Result<Bytes> {
        // A trailer may follow.
        let left = self.left.end - self.left.start;
        let piece = piece.slice(..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.left.start += piece.len() as u64;
        if let Some((crc, expected)) = &mut self.crc {
            *crc = crc32c::crc32c_append(*crc, &piece);
            if self.left.is_empty() && crc != expected {
                self.shared.suspect(self.from.0);
                Arc::clone(&self.shared).repair_soon(&self.key, true);
                return Err(damaged(Operation::Get, &self.key, "its content is damaged"));
            }
        }
        Ok(piece)
    }
}
