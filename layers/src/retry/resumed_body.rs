//! A body that goes on where it broke.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Body, ETag, Error, GetOptions, Key, Object, ObjectStore, Result};

use super::attempts::{Attempts, RetryOptions, is_repeatable};

struct Reading<S> {
    inner: Arc<S>,
    options: RetryOptions,
    key: Key,
    etag: ETag,
    /// What is still to come.
    left: Range<u64>,
    /// All that was promised, in bytes.
    promised: u64,
    body: Body,
    /// Since the last piece.
    attempts: Option<Attempts>,
}

/// `object` with a body that goes on where it breaks.
pub(super) fn resumed<S: ObjectStore>(
    object: Object,
    inner: Arc<S>,
    options: RetryOptions,
    key: Key,
) -> Object {
    let (size, promised) = (object.body.size(), object.range.end - object.range.start);
    let reading = Reading {
        inner,
        options,
        key,
        etag: object.metadata.etag.clone(),
        left: object.range.clone(),
        promised,
        body: object.body,
        attempts: None,
    };
    let body = Body::from_stream(stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(piece) => Some((Ok(piece), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    }));
    Object {
        body: size.into_iter().fold(body, Body::with_size),
        ..object
    }
}

impl<S: ObjectStore> Reading<S> {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let error = match self.body.next().await {
                Some(Ok(piece)) => {
                    let start = self.left.start.saturating_add(piece.len() as u64);
                    self.left.start = start;
                    self.attempts = None;
                    return Some(Ok(piece));
                }
                None if self.left.start >= self.left.end => return None,
                None => Error::Truncated {
                    key: self.key.clone(),
                    expected: self.promised,
                    received: self.promised - (self.left.end - self.left.start),
                    source: None,
                },
                Some(Err(error)) => error,
            };
            if !is_repeatable(&error) {
                return Some(Err(error));
            }
            // What broke after the last byte has nothing more to give.
            if self.left.start >= self.left.end {
                return None;
            }
            if !self.reopen().await {
                return Some(Err(error));
            }
        }
    }

    /// Opens what is left; `false` if that cannot be done, or not in time.
    async fn reopen(&mut self) -> bool {
        let options = &self.options;
        let attempts = self.attempts.get_or_insert_with(|| options.start());
        while attempts.pause().await {
            let rest = GetOptions::default()
                .range(self.left.clone())
                .if_match(self.etag.clone());
            match self.inner.get_opts(&self.key, rest).await {
                Ok(object) if object.range == self.left => {
                    self.body = object.body;
                    return true;
                }
                Err(error) if is_repeatable(&error) => {}
                // Deleted, or another version.
                Ok(_) | Err(_) => return false,
            }
        }
        false
    }
}
