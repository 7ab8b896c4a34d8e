//! Copies on the server: one request, or parts if the object is large.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use storehouse_objectstore::{
    CopyOptions, ETag, Error, ErrorClass, Key, Metadata, Operation, PutOptions, PutResult, Result,
};

use crate::answer::{condition, etag, is_strong};
use crate::attributes;
use crate::client::Call;
use crate::error::Failure;
use crate::get::head;
use crate::limits::{MAX_PUT, flaw};
use crate::multipart::{Done, InParts, part_len, reap};
use crate::probe::copies;
use crate::shared::Shared;
use crate::upload::{Part, Parts, Upload};

const SOURCE_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
const SOURCE_RANGE: HeaderName = HeaderName::from_static("x-amz-copy-source-range");
const DIRECTIVE: HeaderName = HeaderName::from_static("x-amz-metadata-directive");

/// The least that a part of a copy has, in bytes: no byte of it passes through here.
const PART: u64 = 256 << 20;

/// How many parts of one copy the server makes at once.
const PARTS_AT_ONCE: usize = 4;

/// How many bytes a server is expected to copy in a second, at least. Most are silent meanwhile.
const PACE: u64 = 8 << 20;

/// Copies an object. Its mode is to overwrite: few servers judge another one for a copy.
///
/// # Errors
/// [`Error::Unsupported`] if the server does not copy.
pub(crate) async fn copy(
    shared: &Arc<Shared>,
    from: &Key,
    to: &Key,
    options: &CopyOptions,
) -> Result<PutResult> {
    if let Some(reason) = flaw(to.as_str()) {
        return Err(Error::invalid_key(Operation::Copy, to.as_str(), reason));
    }
    if flaw(from.as_str()).is_some() {
        return Err(Error::not_found(Operation::Copy, from));
    }
    if !copies(shared).await? {
        return Err(unsupported(from));
    }
    let mut retries = shared.client.retries();
    loop {
        let there = head(&shared.client, from)
            .await
            .map_err(|error| error.map_operation(Operation::Copy))?;
        options.check_source(from, &there.etag)?;
        let whole = there.size <= shared.single_copy;
        let copy = Copy {
            shared: Arc::clone(shared),
            from: from.clone(),
            to: to.clone(),
            options: options.clone(),
            there,
        };
        let copied = if whole {
            copy.whole().await
        } else {
            Arc::new(copy).in_parts().await
        };
        match copied {
            Err(error) if error.is_precondition() && options.if_match.is_none() => {}
            copied => return copied,
        }
        // It was replaced meanwhile.
        let Some(pause) = retries.pause(None) else {
            return Err(Error::Backend {
                operation: Operation::Copy,
                key: Some(from.clone()),
                class: ErrorClass::Transient,
                message: "the object was replaced again and again while it was copied".into(),
                source: None,
            });
        };
        tokio::time::sleep(pause).await;
    }
}

fn unsupported(key: &Key) -> Error {
    Error::Unsupported {
        operation: Operation::Copy,
        key: key.clone(),
        feature: "copies on the server",
    }
}

/// For how much longer than usual the server may be silent while it copies this number of bytes.
fn patience(bytes: u64) -> Duration {
    Duration::from_secs(bytes.div_ceil(PACE))
}

struct Copy {
    shared: Arc<Shared>,
    from: Key,
    to: Key,
    options: CopyOptions,
    /// The version that is copied.
    there: Metadata,
}

impl Copy {
    /// The headers that name the version to copy.
    fn source(&self) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let Some(source) = self.shared.client.copy_source(&self.from) else {
            return Err(Error::not_found(Operation::Copy, &self.from));
        };
        let mut headers = vec![source];
        // The tag's own value: servers compare weak and empty ones in ways of their own.
        if let Some(value) = condition(&self.there.etag).filter(|_| is_strong(&self.there.etag)) {
            headers.push((SOURCE_IF_MATCH, value));
        }
        Ok(headers)
    }

    async fn whole(&self) -> Result<PutResult> {
        let client = &self.shared.client;
        let mut call = Call::new(Method::PUT, Some(&self.to));
        call.headers = self.source()?;
        call.patience = patience(self.there.size);
        call.headers.extend(self.shared.put_headers.all());
        // A copy of a key to itself must change something; it says its own attributes again.
        let said = match &self.options.attributes {
            None if self.from != self.to => None,
            None => Some(&self.there.attributes),
            said => said.as_ref(),
        };
        let directive = if let Some(said) = said {
            call.headers.extend(attributes::headers(said));
            "REPLACE"
        } else {
            "COPY"
        };
        let directive = HeaderValue::from_static(directive);
        call.headers.push((DIRECTIVE, directive));
        let (_, answer) = client.call_xml(&call, "CopyObjectResult").await;
        let (_, answer) = answer.map_err(|failure| self.error(failure))?;
        Ok(PutResult {
            etag: answer.get("ETag").map_or_else(|| ETag::new(""), etag),
        })
    }

    async fn in_parts(self: &Arc<Self>) -> Result<PutResult> {
        let said = self.options.attributes.as_ref();
        let attributes = said.unwrap_or(&self.there.attributes);
        let mut upload = Upload::start(&self.shared, self.to.clone(), None, attributes).await?;
        let id = upload.id();
        let copied = match self.parts(&id, &mut upload.parts).await {
            Ok(done) => {
                let parts = InParts {
                    shared: &self.shared,
                    key: &self.to,
                    upload: id,
                    part_len: 0,
                    streams: false,
                    algorithm: None,
                };
                let options = PutOptions::default();
                parts.complete(&done, self.there.size, &options).await
            }
            Err(error) => Err(error),
        };
        if copied.is_ok() {
            upload.forget();
        } else {
            upload.abort().await;
        }
        copied.map_err(|error| error.map_operation(Operation::Copy))
    }

    async fn parts(self: &Arc<Self>, upload: &Arc<str>, parts: &mut Parts) -> Result<Done> {
        let size = self.there.size;
        let len = part_len(size, PART.min(self.shared.single_copy)).min(MAX_PUT);
        let source = self.source()?;
        let mut done = Done::new();
        for (number, start) in
            (1..).zip((0..size).step_by(usize::try_from(len).unwrap_or(usize::MAX)))
        {
            while parts.len() >= PARTS_AT_ONCE {
                reap(parts, &mut done).await?;
            }
            let range = start..(start + len).min(size);
            let part = Arc::clone(self).part(Arc::clone(upload), number, source.clone(), range);
            parts.spawn(part);
        }
        while !parts.is_empty() {
            reap(parts, &mut done).await?;
        }
        Ok(done)
    }

    async fn part(
        self: Arc<Self>,
        upload: Arc<str>,
        number: u32,
        source: Vec<(HeaderName, HeaderValue)>,
        range: Range<u64>,
    ) -> Result<(u32, Part)> {
        let client = &self.shared.client;
        let text = number.to_string();
        let mut call = Call::new(Method::PUT, Some(&self.to))
            .query("partNumber", &text)
            .query("uploadId", &upload);
        call.headers = source;
        call.patience = patience(range.end - range.start);
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        if let Ok(bytes) = HeaderValue::from_str(&bytes) {
            call.headers.push((SOURCE_RANGE, bytes));
        }
        let (_, answer) = client.call_xml(&call, "CopyPartResult").await;
        let (_, answer) = answer.map_err(|failure| self.error(failure))?;
        let Some(tag) = answer.get("ETag") else {
            let what = "copied a part and gave no ETag";
            return Err(client.unexpected(Operation::Copy, Some(&self.to), what));
        };
        let (tag, checksum) = (tag.to_owned(), None);
        Ok((number, Part { tag, checksum }))
    }

    fn error(&self, failure: Failure) -> Error {
        let from = self.from.clone();
        match failure.refusal() {
            Some(refusal) if refusal.status == StatusCode::PRECONDITION_FAILED => {
                let operation = Operation::Copy;
                Error::Precondition {
                    operation,
                    key: from,
                }
            }
            // Others do not copy this object, or not in parts; its bytes then pass through here.
            Some(refusal) if refusal.is_unknown_feature() && !refusal.may_pass() => {
                unsupported(&self.from)
            }
            Some(refusal) if refusal.is_not_found() => {
                Error::not_found(Operation::Copy, &self.from)
            }
            _ => self
                .shared
                .client
                .error(failure, Operation::Copy, Some(&self.to)),
        }
    }
}
