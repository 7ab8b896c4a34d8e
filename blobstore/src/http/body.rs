//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use storehouse_objectstore::{self as objectstore, Body, ErrorClass};

use crate::{Blob, BlobOperation, Digest, Error, Result};

/// The body of a response: as many bytes as its `Content-Length` says, or an error.
///
/// It never ends short as if it were whole: a body that fails, or of which the store gives too
/// little or too much, is an error, upon which a server breaks the connection. Dropping it stops
/// the read. Its size hint is exact, and what lies in memory comes as one frame (of up to 1 MiB).
#[derive(Debug)]
pub struct HttpBody {
    digest: Digest,
    body: Body,
    /// The bytes still to come.
    left: u64,
}

impl HttpBody {
    /// The bytes of the blob, or of the range of it.
    pub(super) fn new(blob: Blob) -> Self {
        Self {
            digest: blob.digest,
            body: blob.body,
            left: blob.range.end - blob.range.start,
        }
    }

    /// No bytes, in a response about the blob.
    pub(super) fn empty(digest: &Digest) -> Self {
        Self {
            digest: digest.clone(),
            body: Body::empty(),
            left: 0,
        }
    }

    fn failed(&self, source: objectstore::Error) -> Error {
        Error::store(BlobOperation::Get, Some(&self.digest), source)
    }

    /// The store's body is not what the store said.
    fn broken(&self, what: &str) -> Error {
        let message = format!("the store's body {what}");
        self.failed(objectstore::Error::Backend {
            operation: objectstore::Operation::Get,
            key: None,
            class: ErrorClass::Fatal,
            message,
            source: None,
        })
    }
}

impl http_body::Body for HttpBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        while this.left > 0 {
            // A body that has failed gives nothing more, so that this fails again.
            let piece = match ready!(Pin::new(&mut this.body).poll_next(cx)) {
                Some(Ok(piece)) if piece.is_empty() => continue,
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Poll::Ready(Some(Err(this.failed(error)))),
                None => {
                    return Poll::Ready(Some(Err(
                        this.broken(&format!("ended with {} bytes to come", this.left))
                    )));
                }
            };
            let Some(left) = this.left.checked_sub(piece.len() as u64) else {
                this.body = Body::empty();
                return Poll::Ready(Some(Err(this.broken("has more bytes than its range"))));
            };
            this.left = left;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt, stream};
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;
    use crate::HashFunction;

    fn announcing(announced: u64, pieces: &[&'static str]) -> HttpBody {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())))
            .collect();
        let digest = Digest::of(HashFunction::Sha2_256, b"hello");
        let body = Body::from_stream(stream::iter(pieces));
        HttpBody::new(Blob {
            digest,
            size: 1000,
            range: 10..10 + announced,
            last_modified: None,
            body,
        })
    }

    fn next(body: &mut HttpBody) -> Option<Result<Bytes>> {
        body.frame()
            .now_or_never()
            .unwrap()
            .map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn the_end_comes_after_exactly_what_was_announced() {
        let mut body = announcing(5, &["", "hel", "", "lo"]);
        for (piece, left) in [("hel", 2), ("lo", 0)] {
            assert!(!body.is_end_stream());
            assert_eq!(next(&mut body).unwrap().unwrap(), piece);
            assert_eq!(body.size_hint().exact(), Some(left));
        }
        assert!(body.is_end_stream() && next(&mut body).is_none());
    }

    #[test]
    fn too_little_or_too_much_is_an_error_however_often_it_is_asked() {
        for (announced, pieces, good) in [
            (5, vec!["hel"], 1),
            (5, vec![], 0),
            (5, vec!["hel", "lo!"], 1),
            (2, vec!["hel"], 0),
        ] {
            let mut body = announcing(announced, &pieces);
            for _ in 0..good {
                next(&mut body).unwrap().unwrap();
            }
            for _ in 0..3 {
                let error = next(&mut body).unwrap().unwrap_err();
                assert!(
                    error
                        .to_string()
                        .contains("zQmRN6wdp1S2A5EtjW9A3M1vKSBuQQGcgvuhoMUoEz4iiT5"),
                    "{error}"
                );
                assert!(!body.is_end_stream());
            }
        }
    }
}
