//! Buffers used again: a fresh one costs a page fault for every 4 KiB, more than copying those from
//! the kernel's cache does.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The size of a full buffer, and the largest piece that is streamed, in bytes. Copying from the
/// kernel's cache is at its fastest with pieces of this size.
pub(super) const PIECE: usize = 1024 * 1024;

/// The most buffers kept for later: 8 MiB.
const KEPT: usize = 8;

/// The most full buffers that are out at once: 64 MiB. Readers that take their time, a thousand of
/// them say, each keep a piece that they have not sent on.
const LENT: usize = 64;

/// What a reader gets while so many are out, in bytes.
const SHORT: usize = 32 * 1024;

/// Where a buffer's bytes start: copying to a page's start is twice as fast as to an odd address.
const ALIGNED: usize = 4096;

/// Buffers that wait to be used again. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    full: Arc<Mutex<Full>>,
}

/// The full buffers.
#[derive(Debug, Default)]
struct Full {
    free: Vec<Box<[u8]>>,
    lent: usize,
}

impl Buffers {
    /// A buffer of at least `want` bytes, at most [`PIECE`], whatever they are; of fewer, but some,
    /// if too many are out.
    pub(super) fn take(&self, want: usize) -> Buffer {
        // Whoever keeps a short piece is not to keep a long buffer with it.
        if want <= SHORT {
            return Buffer {
                bytes: vec![0; want].into_boxed_slice(),
                start: 0,
                to: None,
            };
        }
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if full.lent >= LENT {
            drop(full);
            return Buffer {
                bytes: vec![0; SHORT].into_boxed_slice(),
                start: 0,
                to: None,
            };
        }
        full.lent += 1;
        if want <= PIECE / 2 {
            drop(full);
            return Buffer {
                bytes: vec![0; want].into_boxed_slice(),
                start: 0,
                to: Some(self.clone()),
            };
        }
        // The last one given back is the one most likely in the processor's cache.
        let used = full.free.pop();
        drop(full);
        let bytes = used.unwrap_or_else(|| vec![0; PIECE + ALIGNED].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        Buffer {
            bytes,
            start,
            to: Some(self.clone()),
        }
    }

    /// Whether half of those that there may be are out, so that nobody should take any for later.
    pub(super) fn are_scarce(&self) -> bool {
        self.full
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lent
            >= LENT / 2
    }

    /// How many full buffers are out.
    #[cfg(test)]
    pub(super) fn lent(&self) -> usize {
        self.full
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lent
    }
}

/// A buffer that goes back when it is dropped, as do the [`Bytes`] made of it.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    to: Option<Buffers>,
}

impl Buffer {
    /// Its bytes, at most so many of them.
    pub(super) fn bytes(&mut self, most: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.start + most);
        &mut self.bytes[self.start..end]
    }

    /// Its first `len` bytes.
    pub(super) fn into_bytes(self, len: usize) -> Bytes {
        let mut bytes = Bytes::from_owner(self);
        bytes.truncate(len);
        bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(to) = &self.to else { return };
        let mut full = to.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.lent -= 1;
        if self.bytes.len() > PIECE && full.free.len() < KEPT {
            full.free.push(std::mem::take(&mut self.bytes));
        }
    }
}
