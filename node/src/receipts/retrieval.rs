//! Noticing that a blob was retrieved: the body of an answer that says so when all of it is gone.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Method, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Body as HttpBodyTrait, Frame, SizeHint};
use storehouse::blobstore::http::HttpBody;
use storehouse::blobstore::{Digest, Error};
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::mpsc::{OwnedPermit, Sender};

/// Bytes of a blob that went out.
#[derive(Clone, Debug)]
pub(crate) struct Retrieval {
    pub(crate) digest: Digest,
    /// Which of its bytes; half open.
    pub(crate) range: Range<u64>,
}

/// The same response, which tells `retrievals` once the connection has taken all of its body.
/// Responses without any of the blob's bytes are none.
pub(crate) async fn watch(
    response: Response<HttpBody>,
    method: &Method,
    digest: &Digest,
    retrievals: &Sender<Retrieval>,
) -> Response<Body> {
    let start = match response.status() {
        StatusCode::OK if *method == Method::GET => Some(0),
        StatusCode::PARTIAL_CONTENT => first_byte(&response),
        _ => None,
    };
    let Some(start) = start else {
        return response.map(Body::new);
    };
    let length = response.body().size_hint().lower();
    let retrieval = Retrieval {
        digest: digest.clone(),
        range: start..start + length,
    };
    if length == 0 {
        // This body will not be polled.
        let _ = retrievals.send(retrieval).await;
        return response.map(Body::new);
    }
    response.map(|body| {
        Body::new(Watched {
            body,
            left: length,
            told: Some((retrieval, retrievals.clone())),
            last: None,
        })
    })
}

/// The first of the bytes that `Content-Range` names.
fn first_byte(response: &Response<HttpBody>) -> Option<u64> {
    let range = response
        .headers()
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    range
        .strip_prefix("bytes ")?
        .split_once('-')?
        .0
        .parse()
        .ok()
}

struct Watched {
    body: HttpBody,
    /// The bytes still to come.
    left: u64,
    told: Option<(Retrieval, Sender<Retrieval>)>,
    last: Option<Last>,
}

/// The last frame, while there is no room for its retrieval.
struct Last {
    frame: Bytes,
    retrieval: Retrieval,
    room: BoxFuture<'static, Result<OwnedPermit<Retrieval>, SendError<()>>>,
}

impl Watched {
    /// Tells of the retrieval before the last frame goes out. If the receipts are that far behind,
    /// it waits: a receipt is never lost for want of room, and the memory for those to come is
    /// bounded.
    fn poll_last(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(mut last) = self.last.take() else {
            return Poll::Ready(None);
        };
        match last.room.as_mut().poll(cx) {
            Poll::Pending => {
                self.last = Some(last);
                Poll::Pending
            }
            Poll::Ready(room) => {
                // Without a receiver the node is ending.
                if let Ok(room) = room {
                    room.send(last.retrieval);
                }
                Poll::Ready(Some(Ok(Frame::data(last.frame))))
            }
        }
    }
}

impl HttpBodyTrait for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if this.last.is_some() {
            return this.poll_last(cx);
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
        {
            this.left = this.left.saturating_sub(bytes.len() as u64);
            if this.left == 0
                && let Some((retrieval, retrievals)) = this.told.take()
                && let Err(TrySendError::Full(retrieval)) = retrievals.try_send(retrieval)
            {
                this.last = Some(Last {
                    frame: bytes.clone(),
                    retrieval,
                    room: Box::pin(retrievals.reserve_owned()),
                });
                return this.poll_last(cx);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(
            self.left + self.last.as_ref().map_or(0, |last| last.frame.len() as u64),
        )
    }
}
