//! The responses, header by header.

use std::fmt::Write;

use ::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use ::http::{Response, StatusCode};
use bytes::BytesMut;

use super::HttpBody;
use crate::{Blob, Digest};

const BYTES: HeaderValue = HeaderValue::from_static("bytes");
/// A digest always names the same bytes: 48 weeks, and no need to ask again.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=29030400, immutable");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// The most headers that a response has here: the map is made for them at once.
const HEADERS: usize = 8;

/// The blob's entity tag: its digest's text in quotes.
pub(super) fn entity_tag(digest: &Digest) -> HeaderValue {
    value(96, format_args!("\"{digest}\""))
}

/// 200
pub(super) fn whole(tag: HeaderValue, size: u64, body: HttpBody) -> Response<HttpBody> {
    content(StatusCode::OK, tag, size, body)
}

/// 206
pub(super) fn part(tag: HeaderValue, blob: Blob) -> Response<HttpBody> {
    let (range, size) = (blob.range.clone(), blob.size);
    let mut response = content(
        StatusCode::PARTIAL_CONTENT,
        tag,
        range.end - range.start,
        HttpBody::new(blob),
    );
    // A range that is given is not empty.
    let last = range.end.saturating_sub(1);
    response.headers_mut().insert(
        CONTENT_RANGE,
        value(72, format_args!("bytes {}-{last}/{size}", range.start)),
    );
    response
}

fn content(status: StatusCode, tag: HeaderValue, len: u64, body: HttpBody) -> Response<HttpBody> {
    let headers = [
        (CONTENT_LENGTH, HeaderValue::from(len)),
        (CONTENT_TYPE, OCTETS),
        (ETAG, tag),
        (ACCEPT_RANGES, BYTES),
        (CACHE_CONTROL, FOREVER),
        (X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    ];
    response(status, headers, body)
}

/// 304. Without a `Content-Length`, which is optional there, and which some clients then wait for.
pub(super) fn not_modified(digest: &Digest, tag: HeaderValue) -> Response<HttpBody> {
    response(
        StatusCode::NOT_MODIFIED,
        [(ETAG, tag), (CACHE_CONTROL, FOREVER)],
        HttpBody::empty(digest),
    )
}

/// 405
pub(super) fn method_not_allowed(digest: &Digest) -> Response<HttpBody> {
    nothing(StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, METHODS)], digest)
}

/// 412
pub(super) fn precondition_failed(digest: &Digest) -> Response<HttpBody> {
    nothing(StatusCode::PRECONDITION_FAILED, [], digest)
}

/// 416
pub(super) fn range_not_satisfiable(
    digest: &Digest,
    tag: HeaderValue,
    size: u64,
) -> Response<HttpBody> {
    let headers = [
        (CONTENT_RANGE, value(48, format_args!("bytes */{size}"))),
        (ACCEPT_RANGES, BYTES),
        (ETAG, tag),
    ];
    nothing(StatusCode::RANGE_NOT_SATISFIABLE, headers, digest)
}

/// A refusal, which caches must not keep.
fn nothing<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
    digest: &Digest,
) -> Response<HttpBody> {
    let mut response = response(status, headers, HttpBody::empty(digest));
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
        .headers_mut()
        .insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

fn response<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, HeaderValue); N],
    body: HttpBody,
) -> Response<HttpBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let map = response.headers_mut();
    map.reserve(HEADERS);
    headers
        .into_iter()
        .for_each(|(name, value)| drop(map.insert(name, value)));
    response
}

/// A value written into one buffer, of `capacity` bytes if that is enough, and not copied again.
fn value(capacity: usize, text: std::fmt::Arguments<'_>) -> HeaderValue {
    let mut buffer = BytesMut::with_capacity(capacity);
    // Neither can fail: the buffer grows, and all that is written here is ASCII without control
    // characters.
    let _ = buffer.write_fmt(text);
    HeaderValue::from_maybe_shared(buffer.freeze()).unwrap_or(HeaderValue::from_static(""))
}
