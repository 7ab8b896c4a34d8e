//! From a request to a response.

use ::http::{HeaderMap, Method, Response};
use storehouse_objectstore::ObjectStore;

use super::answer;
use super::body::HttpBody;
use super::conditions::{self, Verdict};
use super::range;
use crate::{BlobStore, Digest, Error, GetBlob, KeyEncoder, Result};

/// The response to a request for the blob: 200, 206, 304, 405, 412 or 416, complete but for what a
/// server adds itself (`Date`).
///
/// One request of the blob store: a get, opened with the range as the client asked for it, or a
/// head where no byte of the blob is needed (`HEAD`, 304, 412); none for another method than `GET`
/// and `HEAD`, which is 405. A `Range` header that has several ranges, another unit or a mistake in
/// it is ignored, as is any with `HEAD`. Dates in conditions are ignored too (in `If-Range` they
/// never match), because no `Last-Modified` is given.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
/// use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, http::respond};
/// use storehouse_objectstore::Memory;
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// blobs.put(&digest, "hello").await?;
///
/// let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=1-2"))]);
/// let response = respond(&blobs, &digest, &Method::GET, &headers).await?;
/// assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
/// assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes 1-2/5");
///
/// let response = respond(&blobs, &digest, &Method::DELETE, &HeaderMap::new()).await?;
/// assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// [`NotFound`](Error::NotFound), for the server to answer 404 in its own words;
/// [`Store`](Error::Store). Never [`RangeNotSatisfiable`](Error::RangeNotSatisfiable), which is the
/// response 416.
pub async fn respond<S: ObjectStore, E: KeyEncoder>(
    store: &BlobStore<S, E>,
    digest: &Digest,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response<HttpBody>> {
    if *method != Method::GET && *method != Method::HEAD {
        return Ok(answer::method_not_allowed(digest));
    }
    let tag = answer::entity_tag(digest);
    let by_range = match conditions::judge(headers, tag.as_bytes()) {
        Verdict::Go { by_range } => by_range,
        // Whatever the conditions say, what is not there is not found.
        Verdict::NotModified => {
            return store
                .head(digest)
                .await
                .map(|_| answer::not_modified(digest, tag));
        }
        Verdict::Failed => {
            return store
                .head(digest)
                .await
                .map(|_| answer::precondition_failed(digest));
        }
    };
    if *method == Method::HEAD {
        // RFC 9110, section 14.2: ranges are for GET alone.
        let size = store.head(digest).await?.size;
        return Ok(answer::whole(tag, size, HttpBody::empty(digest)));
    }
    let asked = if by_range {
        range::asked(headers)
    } else {
        None
    };
    let options = GetBlob {
        range: asked.map(range::Asked::range),
    };
    match (store.get_opts(digest, options).await, asked) {
        (Ok(blob), Some(_)) => Ok(answer::part(tag, blob)),
        (Ok(blob), None) => Ok(answer::whole(tag, blob.size, HttpBody::new(blob))),
        // All of an empty blob, which is what its last bytes are, can only be said with 200.
        (Err(Error::RangeNotSatisfiable { size: 0, .. }), Some(asked)) if asked.is_suffix() => {
            Ok(answer::whole(tag, 0, HttpBody::empty(digest)))
        }
        (Err(Error::RangeNotSatisfiable { size, .. }), Some(_)) => {
            Ok(answer::range_not_satisfiable(digest, tag, size))
        }
        (Err(error), _) => Err(error),
    }
}
