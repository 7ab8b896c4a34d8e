//! A body becomes chunks, cut where its content says.

use bytes::{Buf, Bytes, BytesMut};
use fastcdc::v2020::FastCDC;
use storehouse_objectstore::{Result, SizedBody};

/// How large the chunks are, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    average: usize,
}

impl Sizes {
    pub(super) fn new(average: usize) -> Self {
        Self { average }
    }

    /// The least, but for the last chunk (inclusive).
    pub(super) fn least(self) -> usize {
        self.average / 4
    }

    /// The most (inclusive).
    pub(super) fn most(self) -> usize {
        self.average * 4
    }

    /// The length of the first chunk of `bytes`, which are all that is left or enough for one.
    fn cut(self, bytes: &[u8]) -> usize {
        let cdc = FastCDC::new(bytes, self.least(), self.average, self.most());
        cdc.cut(0, bytes.len()).1
    }
}

/// A piece of a content.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// No other follows.
    pub(super) is_last: bool,
}

/// Cuts a body.
#[derive(Debug)]
pub(super) struct Chunker {
    sizes: Sizes,
    body: SizedBody,
    /// A piece of the body that is not in the buffer yet.
    arrived: Bytes,
    buffer: BytesMut,
    /// All that is left of a body in memory, which is cut without a copy.
    whole: Option<Bytes>,
    ended: bool,
}

impl Chunker {
    pub(super) fn new(body: SizedBody, sizes: Sizes) -> Self {
        Self {
            whole: body.as_bytes().cloned(),
            sizes,
            body,
            arrived: Bytes::new(),
            buffer: BytesMut::new(),
            ended: false,
        }
    }

    /// The next chunk.
    ///
    /// # Errors
    /// Those of the body.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>> {
        if let Some(rest) = &mut self.whole {
            if rest.is_empty() {
                return Ok(None);
            }
            let bytes = rest.split_to(self.sizes.cut(rest));
            let is_last = rest.is_empty();
            return Ok(Some(Piece { bytes, is_last }));
        }
        if self.buffer.len() < self.sizes.most() {
            self.fill().await?;
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let len = self.sizes.cut(&self.buffer);
        let bytes = self.buffer.split_to(len).freeze();
        let is_last = self.ended && self.buffer.is_empty();
        Ok(Some(Piece { bytes, is_last }))
    }

    /// Reads ahead for some chunks, so that little is moved: each byte is copied once, and a part
    /// of a chunk again. Ends with the body's end or with a full buffer.
    async fn fill(&mut self) -> Result<()> {
        let full = 4 * self.sizes.most();
        while !self.ended {
            let now = self.arrived.len().min(full - self.buffer.len());
            if self.buffer.capacity() - self.buffer.len() < now {
                let left = self.body.declared() - self.body.received();
                let all = left.saturating_add((self.arrived.len() + self.buffer.len()) as u64);
                let room = (full as u64).min(all) as usize;
                let mut larger = BytesMut::with_capacity(room);
                larger.extend_from_slice(&self.buffer);
                self.buffer = larger;
            }
            self.buffer.extend_from_slice(&self.arrived[..now]);
            self.arrived.advance(now);
            if self.buffer.len() == full {
                return Ok(());
            }
            match self.body.next().await.transpose()? {
                Some(piece) => self.arrived = piece,
                None => self.ended = true,
            }
        }
        Ok(())
    }
}
