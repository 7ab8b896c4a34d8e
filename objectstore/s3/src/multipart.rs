//! Bodies that are sent in parts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::Method;
use hyper::header::HeaderMap;
use md5::{Digest, Md5};
use ring::digest::{Context, SHA256};

use storehouse_objectstore::{
    ETag, Error, ErrorClass, Key, Operation, PutOptions, PutResult, Result, SizedBody,
};

use crate::answer::{etag, etag_of};
use crate::checksum::{self, Algorithm, crc32c_text, sha256_text};
use crate::chunked_upload::{self, Stretch};
use crate::client::{Call, Client, hash};
use crate::get::head;
use crate::limits::MAX_PARTS;
use crate::probe::takes_trailers;
use crate::shared::{PERMIT, Shared};
use crate::sign::{Payload, hex};
use crate::upload::{Part, Parts, Upload};
use crate::xml::escape;

/// How many parts of one put are on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// The size of all parts but the last of an object of `size` bytes, if `least` bytes are enough for
/// a part.
pub(crate) fn part_len(size: u64, least: u64) -> u64 {
    size.div_ceil(MAX_PARTS).max(least)
}

pub(crate) type Done = BTreeMap<u32, Part>;

/// One put in parts.
pub(crate) struct InParts<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) key: &'a Key,
    /// The upload's id.
    pub(crate) upload: Arc<str>,
    pub(crate) part_len: u64,
    /// Parts are larger than may be held: they stream, one after another, and are sent again only
    /// while nothing of them was asked for.
    pub(crate) streams: bool,
    /// The checksum that every part carries, if any.
    pub(crate) algorithm: Option<Algorithm>,
}

/// Puts a body that goes up in parts.
pub(crate) async fn put_in_parts(
    shared: &Arc<Shared>,
    key: &Key,
    body: &mut SizedBody,
    options: &PutOptions,
) -> Result<PutResult> {
    let part_len = part_len(body.declared(), shared.part_size);
    let streams = part_len > shared.part_memory;
    let algorithm = match (shared.capabilities.checksums, streams) {
        (false, _) => None,
        (true, false) => Some(Algorithm::Sha256),
        (true, true) => takes_trailers(shared).await?.then_some(Algorithm::Crc32c),
    };
    let mut upload = Upload::start(shared, key.clone(), algorithm, &options.attributes).await?;
    let put = InParts {
        shared,
        key,
        upload: upload.id(),
        part_len,
        streams,
        algorithm,
    };
    let result = match put.send(body, options, &mut upload.parts).await {
        Ok(done) => put.complete(&done, body.declared(), options).await,
        Err(error) => Err(error),
    };
    if result.is_ok() {
        upload.forget();
    } else {
        upload.abort().await;
    }
    result
}

impl InParts<'_> {
    async fn send(
        &self,
        body: &mut SizedBody,
        options: &PutOptions,
        parts: &mut Parts,
    ) -> Result<Done> {
        let mut whole = options
            .sha256
            .map(|expected| (Context::new(&SHA256), expected));
        let mut done = Done::new();
        let mut left = body.declared();
        let mut carry = Bytes::new();
        for number in 1.. {
            let len = self.part_len.min(left);
            left -= len;
            let whole = whole.as_mut().map(|(hash, _)| hash);
            let mut stretch =
                Stretch::part(body, std::mem::take(&mut carry), len, left == 0, whole);
            if self.streams {
                let part = self.stream_part(number, len, &mut stretch).await?;
                carry = stretch.into_carry();
                done.insert(number, part);
            } else {
                let part = gather(&mut stretch, parts, &mut done).await?;
                carry = stretch.into_carry();
                while parts.len() >= PARTS_AT_ONCE {
                    reap(parts, &mut done).await?;
                }
                self.spawn_part(number, part, parts).await;
            }
            if left == 0 {
                break;
            }
        }
        while !parts.is_empty() {
            reap(parts, &mut done).await?;
        }
        if whole.is_some_and(|(hash, expected)| hash.finish().as_ref() != expected) {
            return Err(Error::ChecksumMismatch {
                key: self.key.clone(),
            });
        }
        Ok(done)
    }

    /// Sends a part in the background. Waits for memory, which only parts on their way hold, never
    /// one that waits for its caller.
    async fn spawn_part(&self, number: u32, part: Bytes, parts: &mut Parts) {
        let permits = u32::try_from((part.len() as u64).div_ceil(PERMIT)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.shared.parts)
            .acquire_many_owned(permits)
            .await;
        let (client, key) = (Arc::clone(&self.shared.client), self.key.clone());
        let (id, algorithm) = (Arc::clone(&self.upload), self.algorithm);
        parts.spawn(async move {
            let _permit = permit;
            let sha256 = hash(&part).await;
            let checksum = algorithm.map(|algorithm| match algorithm {
                Algorithm::Sha256 => (algorithm, sha256_text(&sha256)),
                Algorithm::Crc32c => (algorithm, crc32c_text(crc32c::crc32c(&part))),
            });
            let number_text = number.to_string();
            let mut call = Call::new(Method::PUT, Some(&key))
                .query("partNumber", &number_text)
                .query("uploadId", &id)
                .body(part);
            call.sha256 = Some(sha256);
            if let Some((algorithm, text)) = &checksum {
                call.headers
                    .push((algorithm.header(), checksum::value(text)));
            }
            let headers = client
                .call_discarding(&call)
                .await
                .map_err(|failure| client.error(failure, Operation::Put, Some(&key)))?;
            let checksum = checksum.map(|(_, text)| text);
            Ok((number, taken(&client, &key, &headers, checksum)?))
        });
    }

    async fn stream_part(&self, number: u32, len: u64, stretch: &mut Stretch<'_>) -> Result<Part> {
        let client = &self.shared.client;
        let number = number.to_string();
        let call = Call::new(Method::PUT, Some(self.key))
            .query("partNumber", &number)
            .query("uploadId", &self.upload);
        let trailer = self.algorithm.is_some();
        let payload = Payload::Chunked { len, trailer };
        match chunked_upload::send(client, &call, payload, stretch).await? {
            Ok(sent) => taken(client, self.key, &sent.headers, sent.crc32c),
            Err(failure) => Err(client.error(failure, Operation::Put, Some(self.key))),
        }
    }

    pub(crate) async fn complete(
        &self,
        done: &Done,
        size: u64,
        options: &PutOptions,
    ) -> Result<PutResult> {
        let client = &self.shared.client;
        let mut document = String::from(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        );
        for (number, part) in done {
            // Writing to a string cannot fail.
            let _ = write!(
                document,
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag>",
                escape(&part.tag)
            );
            if let (Some(algorithm), Some(checksum)) = (self.algorithm, &part.checksum) {
                let element = algorithm.element();
                let _ = write!(document, "<{element}>{checksum}</{element}>");
            }
            document.push_str("</Part>");
        }
        document.push_str("</CompleteMultipartUpload>");
        let call = Call::new(Method::POST, Some(self.key))
            .query("uploadId", &self.upload)
            .body(document);
        let (uncertain, result) = client
            .call_xml(&call, "CompleteMultipartUploadResult")
            .await;
        match result {
            Ok((_, result)) => Ok(PutResult {
                etag: result.get("ETag").map_or_else(|| ETag::new(""), etag),
            }),
            // Either somebody else ended it, or an attempt whose answer was lost did complete it.
            Err(failure) if failure.has_code("NoSuchUpload") => {
                if let Some(etag) = self
                    .completed_before(done, size, options)
                    .await
                    .filter(|_| uncertain)
                {
                    return Ok(PutResult { etag });
                }
                Err(Error::Backend {
                    operation: Operation::Put,
                    key: Some(self.key.clone()),
                    class: ErrorClass::Transient,
                    message: format!(
                        "{} no longer knows the upload: the object may be stored or not",
                        client.describe()
                    ),
                    source: None,
                })
            }
            Err(failure) => Err(client.error(failure, Operation::Put, Some(self.key))),
        }
    }

    /// The tag of the object, if it is the one that this upload makes: most servers make the tag
    /// from those of the parts.
    async fn completed_before(&self, done: &Done, size: u64, options: &PutOptions) -> Option<ETag> {
        let there = head(&self.shared.client, self.key).await.ok()?;
        let expected = joint_tag(done);
        let ours = there.size == size
            && (options.content_addressed || expected.as_ref() == Some(&there.etag));
        ours.then_some(there.etag)
    }
}

/// The tag of an object whose parts have MD5s as their tags: the MD5 of those, and their number.
fn joint_tag(done: &Done) -> Option<ETag> {
    let mut all = Md5::new();
    for part in done.values() {
        let text = part.tag.trim_matches('"');
        if text.len() != 32 {
            return None;
        }
        for at in (0..32).step_by(2) {
            let byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
            all.update([byte]);
        }
    }
    let sum = hex(&all.finalize());
    Some(ETag::new(format!("\"{sum}-{}\"", done.len())))
}

/// A part that the server took.
fn taken(
    client: &Client,
    key: &Key,
    headers: &HeaderMap,
    checksum: Option<String>,
) -> Result<Part> {
    let tag = etag_of(headers).as_str().to_owned();
    if tag.is_empty() {
        return Err(client.unexpected(
            Operation::Put,
            Some(key),
            "took a part and gave no ETag, without which the upload cannot be completed",
        ));
    }
    Ok(Part { tag, checksum })
}

/// The next part in memory. A part on its way that fails meanwhile ends the waiting for the caller.
async fn gather(stretch: &mut Stretch<'_>, parts: &mut Parts, done: &mut Done) -> Result<Bytes> {
    let whole = usize::try_from(stretch.len()).unwrap_or(usize::MAX);
    let mut part = BytesMut::new();
    loop {
        let piece = tokio::select! {
            biased;
            reaped = reap(parts, done), if !parts.is_empty() => {
                reaped?;
                continue;
            }
            piece = stretch.next() => piece,
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

/// Waits for one of the parts on their way.
pub(crate) async fn reap(parts: &mut Parts, done: &mut Done) -> Result<()> {
    match parts.join_next().await {
        None => Ok(()),
        Some(Ok(part)) => {
            let (number, part) = part?;
            done.insert(number, part);
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
    use super::*;
    use crate::limits::{MAX_OBJECT, MAX_PUT};

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

    /// By the definition: the MD5 of the parts' MD5s, not of their text.
    #[test]
    fn the_tag_of_an_object_in_parts() {
        let part = |text: &str| Part {
            tag: format!("\"{}\"", hex(&Md5::digest(text.as_bytes()))),
            checksum: None,
        };
        let done: Done = [(1, part("a")), (2, part("b"))].into();
        let sums = [Md5::digest(b"a"), Md5::digest(b"b")].concat();
        let expected = format!("\"{}-2\"", hex(&Md5::digest(sums)));
        assert_eq!(joint_tag(&done).unwrap().as_str(), expected);
        let other = Part {
            tag: "\"x\"".into(),
            checksum: None,
        };
        assert!(joint_tag(&[(1, other)].into()).is_none());
    }
}
