//! Blobs over HTTP: from the parts of a request and a blob store to a response, as RFC 9110 has it.
//! Types of the crates `http` and `http-body`, no framework.
//!
//! [`respond`] is the whole of it. `GET` and `HEAD`, single ranges of bytes in all three forms,
//! conditional requests by the blob's entity tag, which is its digest's text in quotes.
//! `docs/reference/http.md` has the table of answers.
//!
//! ```
//! use http::{HeaderMap, Method, StatusCode, header};
//! use http_body::Body;
//! use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys, PutBlob, http::respond};
//! use storehouse_objectstore::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let blobs = BlobStore::new(Memory::new(), PlainKeys);
//! let digest = Digest::of(HashFunction::Sha2_256, b"hello");
//! blobs.put(&digest, "hello").await?;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert(header::RANGE, "bytes=1-2".parse()?);
//! let response = respond(&blobs, &digest, &Method::GET, &headers).await?;
//! assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
//! assert_eq!(response.headers()[header::CONTENT_RANGE], "bytes 1-2/5");
//! assert_eq!(response.headers()[header::ETAG], "\"zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5\"");
//! assert_eq!(response.body().size_hint().exact(), Some(2));
//!
//! // With hyper and its relatives the response goes out as it is; axum wraps it: `response.map(axum::body::Body::new)`.
//! // What is not there is an error, for the server to put in its own words.
//! let missing = Digest::of(HashFunction::Sha2_256, b"missing");
//! assert!(respond(&blobs, &missing, &Method::GET, &headers).await.is_err_and(|e| e.is_not_found()));
//! # Ok(()) }
//! ```

mod answer;
mod body;
mod conditions;
mod range;
mod respond;

pub use body::HttpBody;
pub use respond::respond;
