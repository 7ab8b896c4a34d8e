//! Bodies that go up while they come in: nothing is kept of them.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use ring::digest::Context;
use tokio::sync::mpsc;

use storehouse_objectstore::{Error, ErrorClass, Operation, Result, SizedBody};

use super::client::{Call, Client};
use super::failure::Failure;
use super::outgoing::Outgoing;
use super::sign::{CHUNK, ChunkSigner, Payload, chunked_len};

/// The largest piece that is handed to the connection at once, so that progress shows.
const PIECE: usize = 256 * 1024;

/// A stretch of a body: all of it, or one part.
pub(super) struct Pieces<'a> {
    body: &'a mut SizedBody,
    /// What was read and belongs to the next part.
    carry: Bytes,
    left: u64,
    /// The body must end where this stretch does.
    last: bool,
    /// Told of every piece.
    hash: Option<&'a mut Context>,
}

impl<'a> Pieces<'a> {
    pub(super) fn whole(body: &'a mut SizedBody) -> Self {
        let left = body.declared() - body.received();
        Self {
            body,
            carry: Bytes::new(),
            left,
            last: true,
            hash: None,
        }
    }

    /// The next `len` bytes; `last` if the body ends with them. Whichever way they go up, they pass
    /// `hash`.
    pub(super) fn part(
        body: &'a mut SizedBody,
        carry: Bytes,
        len: u64,
        last: bool,
        hash: Option<&'a mut Context>,
    ) -> Self {
        Self {
            body,
            carry,
            left: len,
            last,
            hash,
        }
    }

    pub(super) fn into_carry(self) -> Bytes {
        self.carry
    }

    pub(super) fn len(&self) -> u64 {
        self.left
    }

    fn is_untouched(&self) -> bool {
        self.body.received() == 0
    }

    /// The next piece; `None` at the end, which for the last stretch is the body's own end, verdict
    /// and all. Nothing is lost if it is dropped.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes>> {
        if self.left == 0 {
            return if self.last {
                self.body.next().await
            } else {
                None
            };
        }
        if self.carry.is_empty() {
            match self.body.next().await? {
                Ok(piece) => self.carry = piece,
                Err(error) => return Some(Err(error)),
            }
        }
        let len = (self.carry.len() as u64).min(self.left).min(PIECE as u64);
        self.left -= len;
        let piece = self.carry.split_to(len as usize);
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        Some(Ok(piece))
    }
}

/// How a body looks on the wire.
enum Framing {
    /// As it is. The last piece is held back until the body has ended well: without it the server
    /// has no whole object.
    Plain { held: Option<Bytes> },
    /// In signed chunks. The empty one that ends the body is sent when the body has ended well.
    Chunked {
        chunk: BytesMut,
        signer: Box<ChunkSigner>,
    },
}

impl Framing {
    /// What may go out now that `piece` has come.
    fn push(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        match self {
            Self::Plain { held } => held.replace(piece).into_iter().collect(),
            Self::Chunked { chunk, signer } => {
                let mut out = Vec::new();
                while !piece.is_empty() {
                    let room = CHUNK - chunk.len();
                    chunk.extend_from_slice(&piece.split_to(room.min(piece.len())));
                    if chunk.len() == CHUNK {
                        out.extend(framed(
                            signer,
                            std::mem::replace(chunk, BytesMut::with_capacity(CHUNK)).freeze(),
                        ));
                    }
                }
                out
            }
        }
    }

    /// What goes out at the end.
    fn finish(self) -> Vec<Bytes> {
        match self {
            Self::Plain { held } => held.into_iter().collect(),
            Self::Chunked { chunk, mut signer } => {
                let mut out = Vec::new();
                if !chunk.is_empty() {
                    out.extend(framed(&mut signer, chunk.freeze()));
                }
                out.extend(framed(&mut signer, Bytes::new()));
                out
            }
        }
    }
}

fn framed(signer: &mut ChunkSigner, chunk: Bytes) -> impl Iterator<Item = Bytes> + use<> {
    let header = signer.header(&chunk);
    [header, chunk, Bytes::from_static(b"\r\n")]
        .into_iter()
        .filter(|piece| !piece.is_empty())
}

impl Client {
    /// Sends a request whose body streams. It is sent again, if that may help, only while nothing
    /// of the body was asked for. The outer error is the body's.
    pub(super) async fn stream(
        &self,
        call: &Call<'_>,
        payload: Payload,
        mut pieces: Pieces<'_>,
    ) -> Result<Result<Response<Incoming>, Failure>> {
        let mut tries = 0;
        loop {
            match self.stream_once(call, payload, &mut pieces).await? {
                Err(failure) if pieces.is_untouched() && self.may_retry(&failure, call, tries) => {
                    self.back_off(tries).await
                }
                answer => return Ok(answer),
            }
            tries += 1;
        }
    }

    /// The same, once, for a stretch that others follow.
    pub(super) async fn stream_once(
        &self,
        call: &Call<'_>,
        payload: Payload,
        pieces: &mut Pieces<'_>,
    ) -> Result<Result<Response<Incoming>, Failure>> {
        let wire = match payload {
            Payload::Sha256(_) => Some(pieces.len()),
            Payload::Chunked(len) => chunked_len(len),
        };
        let (sender, outgoing) = Outgoing::channel(wire.unwrap_or(u64::MAX));
        let progress = outgoing.progress();
        let (mut request, signer) = match self
            .request(call, payload, wire.unwrap_or(u64::MAX), outgoing)
            .await
        {
            Ok(signed) => signed,
            Err(failure) => return Ok(Err(failure)),
        };
        let framing = match payload {
            Payload::Sha256(_) => Framing::Plain { held: None },
            Payload::Chunked(_) => {
                request
                    .headers_mut()
                    .insert(CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
                Framing::Chunked {
                    chunk: BytesMut::with_capacity(CHUNK),
                    signer: Box::new(signer),
                }
            }
        };
        let mut answer = pin!(self.send(request));
        // A refusal can come before the body is read, and is the verdict whatever the body does.
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer.and_then(|_| Err(self.too_early(call)))),
            () = progress.begun() => {}
        }
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer.and_then(|_| Err(self.too_early(call)))),
            fed = feed(pieces, framing, sender) => fed?,
        }
        Ok(answer.await)
    }

    fn too_early(&self, call: &Call<'_>) -> Failure {
        Failure::Early(Error::Backend {
            operation: Operation::Put,
            key: call.key.cloned(),
            class: ErrorClass::Fatal,
            message: format!(
                "{} took an object before it had all of it",
                self.endpoint().describe()
            ),
            source: None,
        })
    }
}

async fn feed(
    pieces: &mut Pieces<'_>,
    mut framing: Framing,
    sender: mpsc::Sender<Bytes>,
) -> Result<()> {
    while let Some(piece) = pieces.next().await.transpose()? {
        send(&sender, framing.push(piece)).await;
    }
    send(&sender, framing.finish()).await;
    Ok(())
}

async fn send(sender: &mpsc::Sender<Bytes>, pieces: Vec<Bytes>) {
    for piece in pieces {
        if sender.send(piece).await.is_err() {
            // The connection is gone; whoever waits for the answer learns why.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    use super::*;
    use storehouse_objectstore::{Body, Key, PutOptions};

    /// Parts too large for memory went by the hash of the whole body once, so that every such put
    /// was refused at its end.
    #[tokio::test]
    async fn parts_pass_the_hash_whichever_way_they_go_up() {
        let content: Vec<u8> = (0..=255).cycle().take(3 * PIECE + 7).collect();
        let body = Body::from(content.clone());
        let mut body = SizedBody::new(
            &Key::new("key").unwrap(),
            body,
            &PutOptions::default(),
            u64::MAX,
        )
        .unwrap();
        let (mut hash, mut carry, mut left) =
            (Context::new(&SHA256), Bytes::new(), content.len() as u64);
        while left > 0 {
            let len = left.min(PIECE as u64 + 1);
            left -= len;
            let mut pieces = Pieces::part(&mut body, carry, len, left == 0, Some(&mut hash));
            while let Some(piece) = pieces.next().await {
                piece.unwrap();
            }
            carry = pieces.into_carry();
        }
        assert_eq!(hash.finish().as_ref(), digest(&SHA256, &content).as_ref());
    }
}
