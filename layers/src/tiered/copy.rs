//! Making copies: by a miss, and by a put.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Attributes, Body, Durability, Error, GetOptions, Key, Metadata, ObjectStore, PutOptions,
    Result, RunningOperation,
};

use super::fill::{Fill, FillEnd};
use super::keys::Filling;
use super::options::TieredOptions;
use super::read::{look_up, open_copy, open_slow};
use super::trailer;

/// Whether the fast tier takes a copy of this size, with these attributes.
pub(super) fn fits<F: ObjectStore>(
    fast: &F,
    options: &TieredOptions,
    key: &Key,
    size: u64,
    attributes: &Attributes,
) -> bool {
    let capabilities = fast.capabilities();
    size <= options.max_copy
        && attributes.size() <= capabilities.max_attributes
        && size
            .checked_add(trailer::LEN)
            .is_some_and(|size| size <= capabilities.max_size)
        && capabilities.accepts_key(key)
}

/// How copies are put: one that a crash of the machine takes away is not missed.
fn put_options(attributes: Attributes) -> PutOptions {
    PutOptions::default()
        .durability(Durability::Relaxed)
        .attributes(attributes)
}

/// Copies an object while its readers read it.
pub(super) async fn run_fill<F: ObjectStore, S: ObjectStore>(
    (fast, slow): (Arc<F>, Arc<S>),
    options: TieredOptions,
    filling: Filling,
    running: RunningOperation,
) {
    let filling = Arc::new(filling);
    let (fill, key) = (Arc::clone(filling.fill()), filling.key().clone());
    let end = tokio::select! {
        biased;
        () = fill.cancellation() => FillEnd::Failed,
        end = copy(&*fast, &*slow, &options, &filling) => end,
    };
    fill.settle(|left| {
        let (fast, slow, fill, key) = (&fast, &slow, &fill, &key);
        async move {
            let etag = fill.etag()?;
            if end == FillEnd::Copied
                && let Some(copy) = look_up(&**fast, key).await
                && copy.metadata.etag == etag
                && let Some(body) = open_copy(&**fast, key, &copy, &left).await
            {
                return Some(body);
            }
            open_slow(&**slow, key, &etag, left).await
        }
    })
    .await;
    filling.finish(end);
    drop(running);
}

async fn copy<F: ObjectStore, S: ObjectStore>(
    fast: &F,
    slow: &S,
    options: &TieredOptions,
    filling: &Arc<Filling>,
) -> FillEnd {
    let (fill, key) = (filling.fill(), filling.key());
    // Another fill may have ended since the reader looked.
    if look_up(fast, key).await.is_some() {
        return FillEnd::Copied;
    }
    let object = match slow.get_opts(key, GetOptions::default()).await {
        Ok(object) => object,
        Err(error) if error.is_not_found() => return FillEnd::NotFound,
        Err(_) => return FillEnd::Failed,
    };
    let (size, attributes) = (object.metadata.size, object.metadata.attributes.clone());
    let trailer = trailer::write(&object.metadata);
    let Some(trailer) = trailer.filter(|_| fits(fast, options, key, size, &attributes)) else {
        fill.hand_over(object);
        return FillEnd::Failed;
    };
    fill.opened(object.metadata);
    let source = pump(object.body, Arc::clone(fill), size);
    let filling = Arc::clone(filling);
    let last = stream::once(async move {
        if filling.commit() {
            Ok(trailer)
        } else {
            Err(not_to_be_copied(filling.key()))
        }
    });
    let body = Body::from_stream(source.chain(last)).with_size(size + trailer::LEN);
    match fast.put_opts(key, body, put_options(attributes)).await {
        Ok(_) => FillEnd::Copied,
        Err(_) => FillEnd::Failed,
    }
}

/// What `body` gives, which the fill's readers get too.
fn pump(
    body: Body,
    fill: Arc<Fill>,
    size: u64,
) -> impl futures_core::Stream<Item = Result<Bytes>> + Send {
    stream::unfold(Some((body, fill, 0)), move |state| async move {
        let (mut body, fill, mut given) = state?;
        loop {
            return match body.next().await {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => {
                    given += piece.len() as u64;
                    fill.push(piece.clone());
                    Some((Ok(piece), Some((body, fill, given))))
                }
                Some(Err(error)) => Some((Err(error), None)),
                None if given == size => {
                    fill.source_ended();
                    None
                }
                None => None,
            };
        }
    })
}

/// Puts the copy of bytes that were put into the slow tier.
pub(super) async fn copy_bytes<F: ObjectStore>(
    fast: &F,
    filling: Filling,
    bytes: Body,
    metadata: &Metadata,
) {
    if let Some(trailer) = trailer::write(metadata) {
        let trailer = stream::once(async move { Ok::<_, Error>(trailer) });
        let body = Body::from_stream(bytes.chain(trailer)).with_size(metadata.size + trailer::LEN);
        // Without it a get makes the copy.
        let options = put_options(metadata.attributes.clone());
        let _ = fast.put_opts(filling.key(), body, options).await;
    }
    filling.finish(FillEnd::Copied);
}

/// What ends the put of a copy that must not be seen.
pub(super) fn not_to_be_copied(key: &Key) -> Error {
    Error::Body {
        key: Some(key.clone()),
        source: "the object was written meanwhile".into(),
    }
}
