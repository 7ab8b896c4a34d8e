//! Buffers used again: a fresh one costs a page fault for every 4 KiB, more than copying those from the kernel's cache does.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The size of a full buffer, and the largest piece that is streamed, in bytes. Copying from the kernel's cache is at its fastest with pieces of this size.
pub(super) const PIECE: usize = 1024 * 1024;

/// The most buffers kept for later: 8 MiB.
const KEPT: usize = 8;

/// Where a buffer's bytes start: copying to a page's start is twice as fast as to an odd address.
const ALIGNED: usize = 4096;

/// Buffers that wait to be used again. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

impl Buffers {
    /// A buffer of at least `want` bytes, at most [`PIECE`], whatever they are.
    pub(super) fn take(&self, want: usize) -> Buffer {
        // Whoever keeps a short piece is not to keep a long buffer with it.
        if want <= PIECE / 2 {
            return Buffer { bytes: vec![0; want].into_boxed_slice(), start: 0, to: None };
        }
        // The last one given back is the one most likely in the processor's cache.
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = used.unwrap_or_else(|| vec![0; PIECE + ALIGNED].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(ALIGNED).min(ALIGNED);
        Buffer { bytes, start, to: Some(self.clone()) }
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
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
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
        let mut free = to.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}
