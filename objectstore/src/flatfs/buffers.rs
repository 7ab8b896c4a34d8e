//! Buffers used again: a fresh one costs a page fault for every 4 KiB, more than copying those from the kernel's cache does.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// The size of a buffer and of a streamed piece, in bytes: fits a core's second-level cache, and hides the cost of a system call.
pub(super) const PIECE: usize = 256 * 1024;

/// The most buffers kept for later: 4 MiB.
const KEPT: usize = 16;

/// Buffers that wait to be used again. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Box<[u8]>>>>,
}

impl Buffers {
    /// A buffer of [`PIECE`] bytes, whatever they are.
    pub(super) fn take(&self) -> Buffer {
        // The last one given back is the one most likely in the processor's cache.
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Buffer { bytes: used.unwrap_or_else(|| vec![0; PIECE].into_boxed_slice()), to: self.clone() }
    }
}

/// A buffer that goes back when it is dropped, as do the [`Bytes`] made of it.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Box<[u8]>,
    to: Buffers,
}

impl Buffer {
    /// Its first `len` bytes.
    pub(super) fn into_bytes(self, len: usize) -> Bytes {
        let mut bytes = Bytes::from_owner(self);
        bytes.truncate(len);
        bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.to.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}
