//! Reading: one request, whose answer is compared with what was asked for.

use std::sync::Arc;

use hyper::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE};
use hyper::{Method, StatusCode};

use storehouse_objectstore::{
    ByteRange, Error, GetOptions, Key, Metadata, Object, Operation, Result,
};

use crate::answer::{Description, condition, describe};
use crate::client::{Call, Client};
use crate::error::Failure;
use crate::limits::MAX_OBJECT;
use crate::read_stream::{self, Reading};

/// Gives an object or a range of it.
pub(crate) async fn get(client: &Arc<Client>, key: &Key, options: GetOptions) -> Result<Object> {
    let get = Get {
        client,
        key,
        options: &options,
    };
    get.run().await
}

/// Gives what is known of an object.
pub(crate) async fn head(client: &Client, key: &Key) -> Result<Metadata> {
    let mut answer = client.call(&Call::new(Method::HEAD, Some(key))).await;
    // The answer to a HEAD does not say why: ask again in a way that is told. That may settle it,
    // if other keys were needed.
    if answer
        .as_ref()
        .err()
        .and_then(Failure::refusal)
        .is_some_and(|refusal| refusal.code.is_empty() && refusal.status == StatusCode::BAD_REQUEST)
    {
        answer = match client.call(&first_byte(key)).await {
            Ok(_) => client.call(&Call::new(Method::HEAD, Some(key))).await,
            Err(failure) => Err(failure),
        };
    }
    let failed = |failure| client.error(failure, Operation::Head, Some(key));
    let answer = answer.map_err(failed)?;
    let found = describe(answer.status(), answer.headers())
        .map_err(|what| client.unexpected(Operation::Head, Some(key), &what))?;
    let size = match found.size {
        Some(size) => size,
        None => size_by_range(client, key).await.map_err(failed)?,
    };
    Ok(Metadata::new(size, found.etag)
        .last_modified(found.last_modified)
        .attributes(found.attributes))
}

fn first_byte(key: &Key) -> Call<'_> {
    Call::new(Method::GET, Some(key)).header(RANGE, HeaderValue::from_static("bytes=0-0"))
}

/// The size of an object whose HEAD does not tell it: a range's answer does.
async fn size_by_range(client: &Client, key: &Key) -> Result<u64, Failure> {
    let untold = || Failure::Wrong("describes an object without its size (Content-Length)".into());
    match client.call(&first_byte(key)).await {
        Ok(answer) => describe(answer.status(), answer.headers())
            .map_err(Failure::Wrong)?
            .size
            .ok_or_else(untold),
        Err(failure) => match failure.refusal() {
            // No object but an empty one lacks its first byte.
            Some(refusal) if refusal.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                Ok(refusal.size.unwrap_or(0))
            }
            _ => Err(failure),
        },
    }
}

/// One get.
struct Get<'a> {
    client: &'a Arc<Client>,
    key: &'a Key,
    options: &'a GetOptions,
}

impl Get<'_> {
    async fn run(&self) -> Result<Object> {
        let (client, key, options) = (self.client, self.key, self.options);
        let range = options.range.unwrap_or(ByteRange::WHOLE);
        let mut call = Call::new(Method::GET, Some(key));
        // What the largest object does not satisfy, none does: no header says some of it, and
        // servers take others for mistakes. The error lacks the object's size alone.
        if range.resolve(MAX_OBJECT).is_none() {
            return Err(self.unsatisfiable(None).await);
        }
        // Servers take numbers past 2^63 for mistakes.
        if let Some(value) = range
            .within(MAX_OBJECT)
            .to_http()
            .and_then(|text| HeaderValue::from_str(&text).ok())
        {
            call.headers.push((RANGE, value));
        }
        if let Some(etag) = &options.if_match {
            match condition(etag) {
                Some(value) => call.headers.push((IF_MATCH, value)),
                None => return Err(self.unsatisfiable(None).await),
            }
        }
        if let Some(value) = options.if_none_match.as_ref().and_then(condition) {
            call.headers.push((IF_NONE_MATCH, value));
        }
        let answer = match client.call(&call).await {
            // Some servers fail at a suffix longer than the object, which is all of it.
            Err(failure) if failure.is_breakdown() && self.is_whole(range).await => {
                call.headers.retain(|(name, _)| *name != RANGE);
                client.call(&call).await
            }
            answer => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return Err(self.error(failure).await),
        };
        let (head, body) = answer.into_parts();
        let found = match describe(head.status, &head.headers) {
            Ok(found) => found,
            // An empty object's range, as some servers describe it, is none.
            Err(what) => match self.unsatisfiable(None).await {
                error @ (Error::RangeNotSatisfiable { .. } | Error::NotFound { .. })
                    if options.range.is_some() =>
                {
                    return Err(error);
                }
                _ => return Err(client.unexpected(Operation::Get, Some(key), &what)),
            },
        };
        // Not every server looks at every condition, and servers clamp ranges.
        check_conditions(options, key, &found)?;
        let size = match found.size {
            Some(size) => size,
            None => self.size_of(&found).await?,
        };
        let asked = options.resolve_range(key, size)?;
        let given = found.range.clone().unwrap_or(0..size);
        if asked != given {
            return Err(client.unexpected(
                Operation::Get,
                Some(key),
                &format!("gave the bytes {given:?} for {asked:?}"),
            ));
        }
        let metadata = Metadata::new(size, found.etag)
            .last_modified(found.last_modified)
            .attributes(found.attributes);
        let reading = Reading::new(client, key, body, given.clone(), &metadata);
        Ok(Object {
            metadata,
            range: given,
            body: read_stream::body(reading),
        })
    }

    /// The size of the object that `found` describes without it.
    async fn size_of(&self, found: &Description) -> Result<u64> {
        let there = head(self.client, self.key)
            .await
            .map_err(|e| of_get(e, self.key))?;
        if there.etag != found.etag || there.last_modified != found.last_modified {
            return Err(read_stream::replaced(self.client, self.key));
        }
        Ok(there.size)
    }

    /// Whether the range is a suffix that the server should have cut to the whole object.
    async fn is_whole(&self, range: ByteRange) -> bool {
        range.is_clamped_suffix()
            && head(self.client, self.key)
                .await
                .is_ok_and(|metadata| range.resolve(metadata.size) == Some(0..metadata.size))
    }

    async fn error(&self, failure: Failure) -> Error {
        let (client, key) = (self.client, self.key);
        match failure
            .refusal()
            .map(|refusal| (refusal.status, refusal.size))
        {
            Some((StatusCode::NOT_MODIFIED, _)) => Error::NotModified { key: key.clone() },
            Some((StatusCode::PRECONDITION_FAILED, _)) => Error::Precondition {
                operation: Operation::Get,
                key: key.clone(),
            },
            Some((StatusCode::RANGE_NOT_SATISFIABLE, size)) => self.unsatisfiable(size).await,
            // Some servers fail at a range that the object does not have.
            _ if self.options.range.is_some() && failure.is_breakdown() => {
                match self.unsatisfiable(None).await {
                    Error::Backend { .. } => client.error(failure, Operation::Get, Some(key)),
                    error => error,
                }
            }
            _ => client.error(failure, Operation::Get, Some(key)),
        }
    }

    /// The error for a range or a condition that cannot be met, from the object's size if the
    /// server told it and conditions do not matter, else from a HEAD.
    async fn unsatisfiable(&self, size: Option<u64>) -> Error {
        let (key, options) = (self.key, self.options);
        let unconditional = options.if_match.is_none() && options.if_none_match.is_none();
        let size = match size {
            Some(size) if unconditional => Ok(size),
            _ => head(self.client, key)
                .await
                .map_err(|e| of_get(e, key))
                .and_then(|metadata| {
                    options.check_conditions(key, &metadata.etag)?;
                    Ok(metadata.size)
                }),
        };
        match size {
            Err(error) => error,
            Ok(size) => match options.resolve_range(key, size) {
                Err(error) => error,
                Ok(_) => self.client.unexpected(
                    Operation::Get,
                    Some(key),
                    "did not give a range that the object has",
                ),
            },
        }
    }
}

/// Judges the conditions. An object without a tag satisfies none that names one.
fn check_conditions(options: &GetOptions, key: &Key, found: &Description) -> Result<()> {
    if found.etag.as_str().is_empty() && options.if_match.is_some() {
        return Err(Error::Precondition {
            operation: Operation::Get,
            key: key.clone(),
        });
    }
    if found.etag.as_str().is_empty() {
        return Ok(());
    }
    options.check_conditions(key, &found.etag)
}

/// An error of a HEAD that was done for a get.
fn of_get(error: Error, key: &Key) -> Error {
    match error {
        Error::NotFound { .. } => Error::not_found(Operation::Get, key),
        Error::Backend {
            key,
            class,
            message,
            source,
            ..
        } => Error::Backend {
            operation: Operation::Get,
            key,
            class,
            message,
            source,
        },
        other => other,
    }
}
