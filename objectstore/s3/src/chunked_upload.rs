//! Bodies that are sent while they come in: nothing is kept of them.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use ring::digest::Context;
use tokio::sync::mpsc;

use storehouse_objectstore::{Result, SizedBody};

use crate::checksum::crc32c_text;
use crate::client::{Attempts, Call, Client};
use crate::error::Failure;
use crate::request_body::RequestBody;
use crate::sign::{CHUNK, ChunkSigner, Payload, chunked_len};

/// The largest piece that is handed to the connection at once, so that progress shows.
const PIECE: usize = 256 * 1024;

/// A stretch of a body: all of it, or one part.
pub(crate) struct Stretch<'a> {
    body: &'a mut SizedBody,
    /// What was read and belongs to the next part.
    carry: Bytes,
    whole: u64,
    left: u64,
    /// The body must end where this stretch does.
    last: bool,
    /// Told of every piece.
    hash: Option<&'a mut Context>,
}

impl<'a> Stretch<'a> {
    pub(crate) fn whole(body: &'a mut SizedBody) -> Self {
        let left = body.declared() - body.received();
        Self {
            body,
            carry: Bytes::new(),
            whole: left,
            left,
            last: true,
            hash: None,
        }
    }

    /// The next `len` bytes; `last` if the body ends with them. They pass `hash`, whichever way
    /// they are sent.
    pub(crate) fn part(
        body: &'a mut SizedBody,
        carry: Bytes,
        len: u64,
        last: bool,
        hash: Option<&'a mut Context>,
    ) -> Self {
        Self {
            body,
            carry,
            whole: len,
            left: len,
            last,
            hash,
        }
    }

    pub(crate) fn into_carry(self) -> Bytes {
        self.carry
    }

    pub(crate) fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing of it was taken.
    fn is_untouched(&self) -> bool {
        self.left == self.whole
    }

    /// The next piece; `None` at the end, which for the last stretch is the body's own end, verdict
    /// and all. Nothing is lost if it is dropped.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes>> {
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

/// A stretch that the server took.
pub(crate) struct Sent {
    pub(crate) headers: HeaderMap,
    /// The CRC32C that went with it, if one did.
    pub(crate) crc32c: Option<String>,
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
        /// The checksum so far, if one follows the body.
        crc32c: Option<u32>,
    },
}

impl Framing {
    /// What may be sent now that `piece` has come.
    fn push(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        match self {
            Self::Plain { held } => held.replace(piece).into_iter().collect(),
            Self::Chunked {
                chunk,
                signer,
                crc32c,
            } => {
                if let Some(crc) = crc32c {
                    *crc = crc32c::crc32c_append(*crc, &piece);
                }
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

    /// What is sent at the end, and the checksum that is part of it.
    fn finish(self) -> (Vec<Bytes>, Option<String>) {
        match self {
            Self::Plain { held } => (held.into_iter().collect(), None),
            Self::Chunked {
                chunk,
                mut signer,
                crc32c,
            } => {
                let mut out = Vec::new();
                if !chunk.is_empty() {
                    out.extend(framed(&mut signer, chunk.freeze()));
                }
                let Some(crc) = crc32c.map(crc32c_text) else {
                    out.extend(framed(&mut signer, Bytes::new()));
                    return (out, None);
                };
                out.push(signer.header(&[]));
                out.push(signer.trailer(&crc));
                (out, Some(crc))
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

/// Sends a request whose body streams, or one part of it does. It is sent again, if that may help,
/// only while nothing of the stretch was asked for. The outer error is the body's.
pub(crate) async fn send(
    client: &Client,
    call: &Call<'_>,
    payload: Payload,
    stretch: &mut Stretch<'_>,
) -> Result<Result<Sent, Failure>> {
    let mut attempts = client.attempts(call);
    loop {
        match send_once(client, call, &mut attempts, payload, stretch).await? {
            Err(failure) if stretch.is_untouched() && attempts.again_after(&failure).await => {}
            answer => return Ok(answer),
        }
    }
}

/// The same for a body that can be made anew: it is sent again like any in memory.
pub(crate) async fn send_anew(
    client: &Client,
    call: &Call<'_>,
    payload: Payload,
    body: impl Fn() -> Result<SizedBody>,
) -> Result<Result<Sent, Failure>> {
    let mut attempts = client.attempts(call);
    loop {
        let mut body = body()?;
        let mut stretch = Stretch::whole(&mut body);
        match send_once(client, call, &mut attempts, payload, &mut stretch).await? {
            Err(failure) if attempts.again_after(&failure).await => {}
            answer => return Ok(answer),
        }
    }
}

async fn send_once(
    client: &Client,
    call: &Call<'_>,
    attempts: &mut Attempts<'_>,
    payload: Payload,
    stretch: &mut Stretch<'_>,
) -> Result<Result<Sent, Failure>> {
    // Without keys there is nothing to sign chunks with.
    let chunked = !client.is_anonymous();
    let wire = match payload {
        Payload::Chunked { len, trailer } if chunked => chunked_len(len, trailer),
        Payload::Chunked { .. } | Payload::Sha256(_) => Some(stretch.len()),
    };
    let wire = wire.unwrap_or(u64::MAX);
    let (sender, body) = RequestBody::channel(wire, client.may_hold());
    let progress = body.progress();
    let (mut request, signer) = match client
        .request(call, &mut attempts.course, payload, wire, body)
        .await
    {
        Ok(signed) => signed,
        Err(failure) => return Ok(Err(failure)),
    };
    let framing = match (payload, signer) {
        (Payload::Chunked { trailer, .. }, Some(signer)) => {
            // The first of all codings, since it is undone first.
            let own = request.headers().get(CONTENT_ENCODING);
            let coding = own.and_then(|own| own.to_str().ok()).map_or_else(
                || "aws-chunked".to_owned(),
                |own| format!("aws-chunked,{own}"),
            );
            if let Ok(coding) = HeaderValue::from_str(&coding) {
                request.headers_mut().insert(CONTENT_ENCODING, coding);
            }
            Framing::Chunked {
                chunk: BytesMut::with_capacity(CHUNK),
                signer: Box::new(signer),
                crc32c: trailer.then_some(0),
            }
        }
        _ => Framing::Plain { held: None },
    };
    let mut answer = pin!(async {
        let answer = client.send(request).await?;
        client.discard(answer).await
    });
    let too_early = |_| {
        Err(Failure::Wrong(
            "took an object before it had all of it".into(),
        ))
    };
    // A refusal can come before the body is read, and is the verdict whatever the body does.
    tokio::select! {
        biased;
        answer = &mut answer => return Ok(answer.and_then(too_early)),
        () = progress.begun() => {}
    }
    let crc32c = tokio::select! {
        biased;
        answer = &mut answer => return Ok(answer.and_then(too_early)),
        fed = feed(stretch, framing, sender) => fed?,
    };
    Ok(answer.await.map(|headers| Sent { headers, crc32c }))
}

async fn feed(
    stretch: &mut Stretch<'_>,
    mut framing: Framing,
    sender: mpsc::Sender<Bytes>,
) -> Result<Option<String>> {
    while let Some(piece) = stretch.next().await.transpose()? {
        push(&sender, framing.push(piece)).await;
    }
    let (rest, crc32c) = framing.finish();
    push(&sender, rest).await;
    Ok(crc32c)
}

async fn push(sender: &mpsc::Sender<Bytes>, pieces: Vec<Bytes>) {
    for piece in pieces {
        if sender.send(piece).await.is_err() {
            // The connection is gone; the task that waits for the answer learns why.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use ring::digest::{SHA256, digest};

    use super::*;
    use storehouse_objectstore::{Body, Key, PutOptions};

    /// Parts too large for memory once passed the hash of the whole body by, so that every such put
    /// was refused at its end.
    #[tokio::test]
    async fn parts_pass_the_hash_whichever_way_they_are_sent() {
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
            let mut stretch = Stretch::part(&mut body, carry, len, left == 0, Some(&mut hash));
            while let Some(piece) = stretch.next().await {
                piece.unwrap();
            }
            carry = stretch.into_carry();
        }
        assert_eq!(hash.finish().as_ref(), digest(&SHA256, &content).as_ref());
    }
}
