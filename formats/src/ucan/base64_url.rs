use std::io::{self, Write};

use multibase::Base;

/// Writes base64url without padding to another writer, piece by piece.
pub(super) struct Base64Url<W> {
    out: W,
    buffer: Vec<u8>,
}

/// Whole groups of three bytes: no piece but the last ends in the middle of one.
const PIECE: usize = 3 << 10;

impl<W: Write> Base64Url<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::with_capacity(PIECE),
        }
    }

    /// Writes what is still buffered.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write_piece()
    }

    fn write_piece(&mut self) -> io::Result<()> {
        self.out
            .write_all(Base::Base64Url.encode(&self.buffer).as_bytes())?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Base64Url<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            self.write_piece()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
