//! Reused buffers: a fresh one costs a page fault per 4 KiB, more than filling those 4 KiB from the
//! page cache.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The size of a full buffer, and the largest piece of a streamed body, in bytes. Copies from the
/// page cache are fastest at this size.
pub(super) const PIECE: usize = 1024 * 1024;

/// The most free buffers kept for reuse: 8 MiB.
const MAX_FREE: usize = 8;

/// The most full buffers in use at once: 64 MiB. A thousand slow readers would otherwise each pin a
/// full piece.
const MAX_LENT: usize = 64;

/// The size of a buffer beyond those, in bytes.
const SHORT: usize = 32 * 1024;

/// The alignment of a buffer's bytes: a copy to a page boundary is twice as fast.
const PAGE: usize = 4096;

/// A pool of buffers. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    pool: Arc<Mutex<Pool>>,
}

#[derive(Debug, Default)]
struct Pool {
    free: Vec<Box<[u8]>>,
    lent: usize,
}

impl Buffers {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of at least `want` bytes (at most [`PIECE`]) with arbitrary content. Shorter, but
    /// not empty, while too many are in use.
    pub(super) fn take(&self, want: usize) -> Buffer {
        // A short piece must not pin a long buffer.
        if want <= SHORT {
            return Buffer::short(want, None);
        }
        let mut pool = self.lock();
        if pool.lent >= MAX_LENT {
            drop(pool);
            return Buffer::short(SHORT, None);
        }
        pool.lent += 1;
        if want <= PIECE / 2 {
            drop(pool);
            return Buffer::short(want, Some(self.clone()));
        }
        // The one returned last is the likeliest to be in the processor's cache.
        let reused = pool.free.pop();
        drop(pool);
        let bytes = reused.unwrap_or_else(|| vec![0; PIECE + PAGE].into_boxed_slice());
        let start = bytes.as_ptr().align_offset(PAGE).min(PAGE);
        Buffer {
            bytes,
            start,
            home: Some(self.clone()),
        }
    }
}

/// A buffer that returns to its pool when it is dropped, as do the [`Bytes`] made of it.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    home: Option<Buffers>,
}

impl Buffer {
    fn short(len: usize, home: Option<Buffers>) -> Self {
        Self {
            bytes: vec![0; len].into_boxed_slice(),
            start: 0,
            home,
        }
    }

    /// Its first bytes, at most `most` of them.
    pub(super) fn bytes(&mut self, most: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.start + most);
        &mut self.bytes[self.start..end]
    }

    /// Its first `len` bytes, without a copy.
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
        let Some(home) = &self.home else { return };
        let mut pool = home.lock();
        pool.lent -= 1;
        if self.bytes.len() > PIECE && pool.free.len() < MAX_FREE {
            pool.free.push(std::mem::take(&mut self.bytes));
        }
    }
}
