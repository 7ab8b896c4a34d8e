//! A body whose last piece waits for a condition: what a put does right before it commits.

use bytes::Bytes;
use futures_util::stream;
use storehouse_objectstore::{Body, Result, SizedBody};

/// The same body; its last piece is given once the source has ended well and `ready` has returned.
/// An error of `ready` is the body's, and so the put's.
///
/// A store commits only after a body's end, and waits on no caller from there on: so a lock taken
/// in `ready` is held just for the commit.
pub(crate) fn gated<F>(body: SizedBody, ready: impl FnOnce() -> F + Send + 'static) -> Body
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let declared = body.declared();
    let state = Some((body, ready));
    let pieces = stream::try_unfold(state, |state| async move {
        let Some((mut body, ready)) = state else {
            return Ok(None);
        };
        let mut piece = Bytes::new();
        while let Some(next) = body.next().await.transpose()? {
            if body.received() < body.declared() {
                return Ok(Some((next, Some((body, ready)))));
            }
            piece = next;
        }
        ready().await?;
        Ok::<_, storehouse_objectstore::Error>(Some((piece, None)))
    });
    Body::from_stream(pieces).with_size(declared)
}
