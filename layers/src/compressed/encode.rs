//! Content becomes an object of the inner store.

use std::io;

use bytes::{Bytes, BytesMut};
use storehouse_objectstore::{Body, Error, Key, Operation, Result, SizedBody};

use super::options::CompressedOptions;
use super::spool::Spool;
use crate::parts::off_thread;

/// How much content is compressed at once off the async threads, in bytes: whole frames.
const STEP: usize = 1024 * 1024;

/// Content of at most this many bytes is compressed in place: less than a hop to another thread.
const IN_PLACE: u64 = 16 * 1024;

/// The object of a whole content.
pub(super) fn encode_bytes(content: &[u8], options: &CompressedOptions) -> io::Result<Bytes> {
    let mut spool = Spool::new(&options.clone().memory(usize::MAX))?;
    spool.write(content)?;
    Ok(spool.finish_in_memory())
}

/// The object of a body, once all of that was read.
pub(super) async fn encode(
    key: &Key,
    mut body: SizedBody,
    options: &CompressedOptions,
) -> Result<Body> {
    let failed = |error| Error::io(Operation::Put, Some(key), "compressing the body", error);
    if body.declared() <= IN_PLACE {
        let content = body.gather().await?;
        return encode_bytes(&content, options)
            .map_err(failed)
            .map(Body::from);
    }
    let mut spool = Spool::new(options).map_err(failed)?;
    let mut rest = Bytes::new();
    let mut next = step(&mut body, &mut rest).await?;
    while !next.is_empty() {
        let content = next;
        let written = off_thread(move || spool.write(&content).map(|()| spool));
        // Read on while that is compressed.
        next = step(&mut body, &mut rest).await?;
        spool = written.await.map_err(failed)?;
    }
    let finished = off_thread(move || spool.finish()).await;
    finished.map_err(failed)?.into_body()
}

/// The next bytes of the body: less than a step only at its end. Copied, so that the caller's
/// pieces are free again.
async fn step(body: &mut SizedBody, rest: &mut Bytes) -> Result<BytesMut> {
    let mut step = BytesMut::new();
    loop {
        let room = STEP - step.len();
        step.extend_from_slice(&rest.split_to(room.min(rest.len())));
        if step.len() == STEP {
            return Ok(step);
        }
        match body.next().await.transpose()? {
            Some(piece) => *rest = piece,
            None => return Ok(step),
        }
    }
}
