//! The S3 backend: any S3-compatible server.
//!
//! One request per get, head, delete and small put. Requests name the bucket in their path and are signed (signature version 4). Nothing has a time
//! limit as a whole; silence has one ([`S3Options::stall_timeout`]).
//!
//! # How a body goes up
//!
//! | body | request | held in memory |
//! |---|---|---|
//! | in memory, or a stream of at most [`S3Options::part_size`] | one PUT, whose signature covers its SHA-256 | the body |
//! | a stream whose SHA-256 is known, up to 5 GiB | one PUT, whose signature covers that SHA-256 | nothing |
//! | a stream, conditional, up to 5 GiB | one PUT in signed chunks | one chunk (256 KiB) |
//! | any other stream | a multipart upload, parts sized so that 10,000 of them hold the declared size | up to 3 parts; of parts larger than [`S3Options::part_memory`] nothing but a chunk |
//!
//! A streamed body's end goes out when its source has ended well, so a source that fails at its very end stores nothing. Uploads of puts that
//! fail or are dropped are aborted; those of a process that died are found by [`S3::sweep_uploads`].
//!
//! # What is tried again
//!
//! Connections that cannot be made or break, and the answers 408, 429, 500, 502, 503 and 504, up to [`S3Options::max_retries`] times; not silence, which has cost
//! its time already. A streamed body is not sent again once any of it was asked for. A conditional put is sent again only if the server cannot have acted on
//! it, for otherwise the second try could be judged against what the first one wrote.
//!
//! # What servers do differently
//!
//! [`S3::open`] finds out whether conditional puts and payload checksums are honoured. A listing passes over objects whose names are no [`Key`] (`folder/`, `a//b`).
//! Where one key is another one and `/…`, MinIO leaves the longer one out of listings. On a HEAD a missing bucket looks like a missing object.

mod answer;
mod checksum;
mod chunked_upload;
mod client;
mod connector;
mod credentials;
mod delete;
mod endpoint;
mod error;
mod get;
mod key_sources;
mod limits;
mod list;
mod multipart;
mod open;
mod options;
mod probe;
mod put;
mod read_stream;
mod request_body;
mod retry;
mod session;
mod shared;
mod sign;
mod store;
mod sweep;
mod tls;
mod transport;
mod upload;
mod xml;

pub use credentials::{CredentialProvider, Credentials, SharedCredentials};
pub use options::{Addressing, Encryption, KeyFilter, S3Options};
pub use store::S3;
pub use sweep::PendingUpload;
