//! Gets: of what is due from its record, of the rest from the tiers.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Body, ETag, Error, GetOptions, Key, Object, ObjectStore, Operation, Result,
};

use super::core::Core;
use super::drain::{lost, ready};
use super::due::Found;
use super::record;

pub(super) async fn get(core: &Arc<Core>, key: &Key, options: GetOptions) -> Result<Object> {
    ready(core, Operation::Get, Some(key)).await?;
    if record::is_reserved(key.as_str()) {
        return Err(Error::not_found(Operation::Get, key));
    }
    let mut missed = None;
    loop {
        let (record, metadata) = match core.due.look_up(key) {
            Found::Put(record, metadata) => (record, metadata),
            Found::Deleted => return Err(Error::not_found(Operation::Get, key)),
            Found::Not => {
                let get = core.conditions(key, &options);
                let object = core.below.get_opts(key, get).await;
                // Written meanwhile, it may have a tag of the slow tier that is not known yet.
                if core.due.is_due(key) {
                    continue;
                }
                return object.map(|object| Object {
                    metadata: core.seen(key, object.metadata),
                    ..object
                });
            }
        };
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        match core.read_record(&record, range.clone()).await {
            Ok(body) => {
                let body = DueBody {
                    core: Arc::clone(core),
                    key: key.clone(),
                    etag: metadata.etag.clone(),
                    left: range.clone(),
                    body,
                    reopened: false,
                };
                return Ok(Object {
                    metadata,
                    range,
                    body: body.into_body(),
                });
            }
            // Replaced, or drained and removed, since it was looked up.
            Err(error) if error.is_not_found() => {
                if missed == Some(record.number) {
                    return Err(lost(Operation::Get, key));
                }
                missed = Some(record.number);
            }
            Err(error) => return Err(about(error, key)),
        }
    }
}

/// The fast tier's error about a record, as one about the key that was put.
fn about(error: Error, key: &Key) -> Error {
    error.map_key(|name| record::is_reserved(name).then(|| key.as_str().to_owned()))
}

/// The bytes of a record. If they break, which a store may mend by opening the rest, that may be
/// since the record was removed: then the slow tier has them.
struct DueBody {
    core: Arc<Core>,
    key: Key,
    etag: ETag,
    /// What has not been given.
    left: Range<u64>,
    body: Body,
    /// Since the last piece.
    reopened: bool,
}

impl DueBody {
    fn into_body(self) -> Body {
        if self.body.as_bytes().is_some() {
            return self.body;
        }
        let size = self.left.end - self.left.start;
        let pieces = stream::unfold(Some(self), |body| async {
            let mut body = body?;
            match body.next().await? {
                Ok(piece) => Some((Ok(piece), Some(body))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Body::from_stream(pieces).with_size(size)
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let error = match self.body.next().await? {
                Ok(piece) => {
                    self.left.start += piece.len() as u64;
                    self.reopened = false;
                    return Some(Ok(piece));
                }
                Err(error) => about(error, &self.key),
            };
            if self.reopened || self.left.start >= self.left.end {
                return Some(Err(error));
            }
            self.reopened = true;
            match self.rest().await {
                Ok(object) => self.body = object.body,
                Err(_) => return Some(Err(error)),
            }
        }
    }

    /// Boxed, since what it opens may be such a body again.
    fn rest(&self) -> BoxFuture<'_, Result<Object>> {
        let get_options = GetOptions::default()
            .range(self.left.clone())
            .if_match(self.etag.clone());
        Box::pin(get(&self.core, &self.key, get_options))
    }
}
