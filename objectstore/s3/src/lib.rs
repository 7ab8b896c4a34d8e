//! The S3 backend: any S3-compatible server.
//!
//! One request per get, head, delete and small put, signed with signature version 4. No request has
//! a time limit as a whole; silence has one
//! ([`S3Options::stall_timeout`](field@S3Options::stall_timeout)).
//!
//! # How a body is sent
//!
//! | body | request | held in memory |
//! |---|---|---|
//! | in memory, or a stream of at most [`part_size`](field@S3Options::part_size) | one PUT, whose signature covers its SHA-256 | the body |
//! | a stream whose SHA-256 is known, up to 5 GiB | one PUT, whose signature covers that SHA-256 | nothing |
//! | a stream, conditional, up to 5 GiB | one PUT in signed chunks | one chunk (256 KiB) |
//! | any other stream | a multipart upload, parts sized so that 10,000 of them hold the declared size | up to 3 parts; of parts larger than [`part_memory`](field@S3Options::part_memory) only a chunk |
//!
//! The end of a streamed body is sent after its source has ended well, so a source that fails at
//! its very end stores nothing. Uploads of puts that fail or are dropped are aborted; those of a
//! process that died are found by [`S3::sweep_uploads`].
//!
//! Every put and part carries a checksum that the server verifies and keeps: its SHA-256 if that is
//! known beforehand, else its CRC32C after the body. A server that refuses them gets none
//! ([`Capabilities::checksums`](storehouse_objectstore::Capabilities::checksums)).
//!
//! # What is sent again
//!
//! | failure | sent again |
//! |---|---|
//! | no connection could be made | always, unless the server's certificate is refused |
//! | the connection broke, the server fell silent, or the answer was cut off | if the request is idempotent, or the server lacks its end |
//! | the server says that it did nothing (`SlowDown`, 408, 421, 425, 429, …) | always |
//! | another failure of the server that may pass (500, 502, 503, 504) | if the request is idempotent |
//!
//! An `<Error>` in an answer of status 200 counts by its code. There are at most
//! [`max_attempts`](field@S3Options::max_attempts) attempts within
//! [`retry_budget`](field@S3Options::retry_budget), with pauses that double and are drawn at
//! random; `Retry-After` can make them longer. A streamed body is not sent again once any of it was
//! asked for. A conditional put is not idempotent, since the second attempt would be judged by what
//! the first one wrote, except a create whose key names its content
//! ([`PutOptions::content_addressed`](storehouse_objectstore::PutOptions::content_addressed)).
//!
//! The body of a get goes on where its connection broke, with `If-Match`, by the same rule.
//!
//! # What is done in another way if the server asks for it
//!
//! Redirects are followed at most three times, only on the host that was asked or within AWS's S3
//! hosts of one partition, and never from https to http. A region that the server names is used if
//! none is configured. A clock that differs is corrected by the server's `Date`; keys that have
//! expired are renewed; 417 and 411 change how bodies are announced.
//!
//! # What servers do differently
//!
//! [`S3::open`] finds out whether conditional puts and payload checksums are honoured. A listing
//! passes over objects whose names are no [`Key`](storehouse_objectstore::Key) (`folder/`, `a//b`)
//! or that XML cannot carry. Where one key is another one and `/…`, MinIO leaves the longer one out
//! of listings. On a HEAD a missing bucket looks like a missing object. Objects without an `ETag`
//! have the empty tag, which satisfies no condition.

mod answer;
mod attributes;
mod checksum;
mod chunked_upload;
mod client;
mod connector;
mod copy;
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
mod presign;
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
