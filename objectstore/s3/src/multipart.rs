//! Bodies that go up in parts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::header::ETAG;
use hyper::{Method, StatusCode};
use ring::digest::{Context, SHA256};
use tokio::task::JoinSet;

use storehouse_objectstore::{
    Error, ErrorClass, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};

use super::client::Call;
use super::get::etag;
use super::sign::Payload;
use super::store::Shared;
use super::streamed::Pieces;
use super::upload::Upload;
use super::xml::escape;

/// The most parts that an upload has.
const MAX_PARTS: u64 = 10_000;

/// How many parts of one put are on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// What one permit of the parts' memory stands for, in bytes.
pub(super) const PERMIT: u64 = 64 * 1024;

/// The size of all parts but the last of an object of `size` bytes, if `least` bytes are enough for
/// a part.
fn part_len(size: u64, least: u64) -> u64 {
    size.div_ceil(MAX_PARTS).max(least)
}

type Tags = BTreeMap<u32, String>;
type Parts = JoinSet<Result<(u32, String)>>;

impl Shared {
    pub(super) async fn put_in_parts(
        self: &Arc<Self>,
        key: &Key,
        body: &mut SizedBody,
        options: &PutOptions,
    ) -> Result<PutResult> {
        let mut upload = Upload::start(Arc::clone(&self.client), key.clone()).await?;
        let mut parts = Parts::new();
        let done = match self
            .put_parts(key, body, options, &upload, &mut parts)
            .await
        {
            Ok(tags) => self.complete(key, &upload, &tags).await,
            Err(error) => Err(error),
        };
        if done.is_ok() {
            upload.forget();
        } else {
            parts.shutdown().await;
            upload.abort().await;
        }
        done
    }

    async fn put_parts(
        self: &Arc<Self>,
        key: &Key,
        body: &mut SizedBody,
        options: &PutOptions,
        upload: &Upload,
        parts: &mut Parts,
    ) -> Result<Tags> {
        let part_len = part_len(body.declared(), self.part_size);
        let mut hash = options
            .sha256
            .map(|expected| (Context::new(&SHA256), expected));
        let mut tags = Tags::new();
        let mut left = body.declared();
        let mut carry = Bytes::new();
        for number in 1.. {
            let len = part_len.min(left);
            left -= len;
            let hash = hash.as_mut().map(|(hash, _)| hash);
            let mut pieces = Pieces::part(body, std::mem::take(&mut carry), len, left == 0, hash);
            if len > self.part_memory {
                // Larger than what may be held: it streams, by itself, and cannot be sent again.
                let tag = self
                    .stream_part(key, upload, number, len, &mut pieces)
                    .await?;
                carry = pieces.into_carry();
                tags.insert(number, tag);
            } else {
                let part = gather(&mut pieces, parts, &mut tags).await?;
                carry = pieces.into_carry();
                while parts.len() >= PARTS_AT_ONCE {
                    reap(parts, &mut tags).await?;
                }
                self.spawn_part(key, upload, number, part, parts).await;
            }
            if left == 0 {
                break;
            }
        }
        while !parts.is_empty() {
            reap(parts, &mut tags).await?;
        }
        if hash.is_some_and(|(hash, expected)| hash.finish().as_ref() != expected) {
            return Err(Error::ChecksumMismatch { key: key.clone() });
        }
        Ok(tags)
    }

    /// Sends a part in the background. Waits for memory, which only parts on their way hold, never
    /// one that waits for its caller.
    async fn spawn_part(
        self: &Arc<Self>,
        key: &Key,
        upload: &Upload,
        number: u32,
        part: Bytes,
        parts: &mut Parts,
    ) {
        let permits = u32::try_from((part.len() as u64).div_ceil(PERMIT)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.parts).acquire_many_owned(permits).await;
        let (client, key, id) = (
            Arc::clone(&self.client),
            key.clone(),
            upload.id().to_owned(),
        );
        parts.spawn(async move {
            let _permit = permit;
            let number_text = number.to_string();
            let mut call = Call::new(Method::PUT, Some(&key));
            call.query = vec![("partNumber", &number_text), ("uploadId", &id)];
            call.body = part;
            match client.call(&call).await {
                Ok(answer) => {
                    let tag = answer
                        .headers()
                        .get(ETAG)
                        .and_then(|value| value.to_str().ok())
                        .map(str::to_owned);
                    client.drain(answer).await;
                    let tag = tag.ok_or_else(|| {
                        client.unexpected(Operation::Put, &key, "took a part and gave no ETag")
                    })?;
                    Ok((number, tag))
                }
                Err(failure) => Err(client.error(failure, Operation::Put, Some(&key))),
            }
        });
    }

    async fn stream_part(
        &self,
        key: &Key,
        upload: &Upload,
        number: u32,
        len: u64,
        pieces: &mut Pieces<'_>,
    ) -> Result<String> {
        let number = number.to_string();
        let mut call = Call::new(Method::PUT, Some(key));
        call.query = vec![("partNumber", &number), ("uploadId", upload.id())];
        match self
            .client
            .stream_once(&call, Payload::Chunked(len), pieces)
            .await?
        {
            Ok(answer) => {
                let tag = answer
                    .headers()
                    .get(ETAG)
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned);
                self.client.drain(answer).await;
                tag.ok_or_else(|| {
                    self.client
                        .unexpected(Operation::Put, key, "took a part and gave no ETag")
                })
            }
            Err(failure) => Err(self.client.error(failure, Operation::Put, Some(key))),
        }
    }

    async fn complete(&self, key: &Key, upload: &Upload, tags: &Tags) -> Result<PutResult> {
        let mut document = String::from(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for (number, tag) in tags {
            // Writing to a string cannot fail.
            let _ = write!(
                document,
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                escape(tag)
            );
        }
        document.push_str("</CompleteMultipartUpload>");
        let mut call = Call::new(Method::POST, Some(key));
        call.query = vec![("uploadId", upload.id())];
        call.body = document.into();
        let result = match self.client.call(&call).await {
            Ok(answer) => {
                self.client
                    .xml(answer, "CompleteMultipartUploadResult")
                    .await
            }
            Err(failure) => Err(failure),
        };
        match result {
            Ok(result) => match result.get("ETag") {
                Some(tag) => Ok(PutResult { etag: etag(tag) }),
                None => Err(self.client.unexpected(
                    Operation::Put,
                    key,
                    "completed an upload and gave no ETag",
                )),
            },
            // Either somebody else ended it, or a try whose answer was lost did complete it.
            Err(failure)
                if failure.refusal().is_some_and(|r| {
                    r.status == StatusCode::NOT_FOUND && r.code == "NoSuchUpload"
                }) =>
            {
                Err(Error::Backend {
                    operation: Operation::Put,
                    key: Some(key.clone()),
                    class: ErrorClass::Transient,
                    message: format!(
                        "{} no longer knows the upload: the object may be stored or not",
                        self.client.endpoint().describe()
                    ),
                    source: None,
                })
            }
            Err(failure) => Err(self.client.error(failure, Operation::Put, Some(key))),
        }
    }
}

/// The next part in memory. A part on its way that fails meanwhile ends the waiting for the caller.
async fn gather(pieces: &mut Pieces<'_>, parts: &mut Parts, tags: &mut Tags) -> Result<Bytes> {
    let whole = usize::try_from(pieces.len()).unwrap_or(usize::MAX);
    let mut part = BytesMut::new();
    loop {
        let piece = tokio::select! {
            biased;
            reaped = reap(parts, tags), if !parts.is_empty() => {
                reaped?;
                continue;
            }
            piece = pieces.next() => piece,
        };
        let Some(piece) = piece.transpose()? else {
            return Ok(part.freeze());
        };
        if part.capacity() - part.len() < piece.len() {
            // Memory follows what has come, not what was declared, and in a few steps, not many.
            let more = (part.len() * 3).max(piece.len()).min(whole - part.len());
            part.reserve(more);
        }
        part.extend_from_slice(&piece);
    }
}

async fn reap(parts: &mut Parts, tags: &mut Tags) -> Result<()> {
    match parts.join_next().await {
        None => Ok(()),
        Some(Ok(part)) => {
            let (number, tag) = part?;
            tags.insert(number, tag);
            Ok(())
        }
        Some(Err(join)) => Err(Error::Backend {
            operation: Operation::Put,
            key: None,
            class: ErrorClass::Transient,
            message: "the upload of a part was ended with the runtime that it ran on".into(),
            source: Some(join.into()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::put::{MAX_OBJECT, MAX_PUT};
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_every_size() {
        let least = 8 << 20;
        for size in [
            least + 1,
            10_000 * least - 1,
            10_000 * least,
            10_000 * least + 1,
            MAX_OBJECT - 1,
            MAX_OBJECT,
        ] {
            let part = part_len(size, least);
            assert!(size.div_ceil(part) <= MAX_PARTS, "{size}");
            assert!((least..=MAX_PUT).contains(&part), "{size}");
        }
    }
}
