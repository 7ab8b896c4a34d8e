//! Bodies that go on in another replica.

use std::ops::Range;
use std::sync::Arc;

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
    pub(super) replica: usize,
    pub(super) body: Body,
    /// The replicas that have not been tried.
    pub(super) others: Vec<Candidate>,
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
            self.shared.suspect(self.replica);
            let opened = self
                .shared
                .open(&self.key, self.version, &self.left, &mut self.others);
            match opened.await {
                Opened::Body(replica, body) => (self.replica, self.body) = (replica, body),
                Opened::None(_) => return Err(error),
            }
        }
    }

    /// The next piece of the replica that gives it first.
    async fn piece(&mut self) -> Result<Bytes> {
        let options = &self.shared.options;
        if let Ok(piece) = timeout(options.hedge_after, self.body.next()).await {
            return self.or_ended(piece);
        }
        let hedge = async {
            let (key, left) = (&self.key, &self.left);
            let others = &mut self.others;
            match self.shared.open(key, self.version, left, others).await {
                Opened::Body(replica, mut body) => match body.next().await {
                    Some(Ok(piece)) => Some((replica, body, piece)),
                    _ => None,
                },
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
            Ok(Ok((replica, body, piece))) => {
                (self.replica, self.body) = (replica, body);
                Ok(piece)
            }
            Ok(Err(piece)) => self.or_ended(piece),
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
                self.shared.suspect(self.replica);
                Arc::clone(&self.shared).repair_soon(&self.key, true);
                return Err(damaged(Operation::Get, &self.key, "its content is damaged"));
            }
        }
        Ok(piece)
    }
}
