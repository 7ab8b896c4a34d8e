//! Frames of a batch's file, read at any offset.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::names::{CID_START, FRAME_CID, MAX_ARCHIVE};

/// The least that is read from the file at once, in bytes.
const READ: usize = 256 << 10;

/// A batch's file with a window of its bytes in memory: at most one largest frame.
pub(super) struct FrameFile<'a> {
    file: &'a File,
    len: u64,
    window: Vec<u8>,
    window_start: u64,
}

/// What a batch has at an offset.
pub(super) enum FrameAt {
    /// A frame whose hash is right, up to `end`.
    Whole { end: u64 },
    /// The end of the file.
    End,
    /// The beginning of a frame that is longer than the rest of the file.
    Truncated,
    /// Something else. `end`: where it ends, if its length is to be believed.
    Damaged {
        end: Option<u64>,
        reason: &'static str,
    },
}

/// A frame's length, as a varint says it.
pub(super) enum Length {
    /// The CID and the archive have `size` bytes behind a varint of `width` bytes.
    Of { size: usize, width: usize },
    /// The bytes end within the varint.
    Cut,
    /// No minimal varint, or no size of a frame.
    Wrong,
}

impl Length {
    /// The length at the start of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut size = 0;
        // The largest frame's length has 4 bytes.
        for (at, &byte) in bytes.iter().take(4).enumerate() {
            size |= usize::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                let minimal = at == 0 || byte != 0;
                return if minimal && (FRAME_CID..=FRAME_CID + MAX_ARCHIVE).contains(&size) {
                    let width = at + 1;
                    Self::Of { size, width }
                } else {
                    Self::Wrong
                };
            }
        }
        if bytes.len() < 4 {
            Self::Cut
        } else {
            Self::Wrong
        }
    }
}

impl<'a> FrameFile<'a> {
    pub(super) fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self {
            file,
            len: file.metadata()?.len(),
            window: Vec::new(),
            window_start: 0,
        })
    }

    /// The file's length when it was opened here, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Up to `len` bytes at `offset`: fewer if the file ends before.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(left);
        let in_window = |start: u64, window: &[u8]| {
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            (at + len <= window.len()).then_some(at)
        };
        let at = match in_window(self.window_start, &self.window) {
            Some(at) => at,
            None => {
                self.window.resize(len.max(READ).min(left), 0);
                self.window_start = offset;
                if let Err(e) = self.file.read_exact_at(&mut self.window, offset) {
                    self.window.clear();
                    return Err(e);
                }
                0
            }
        };
        Ok(&self.window[at..at + len])
    }

    /// Whether the archive in `range` has this hash.
    pub(super) fn has_hash(&mut self, range: Range<u64>, sha256: &[u8]) -> io::Result<bool> {
        let mut hash = Sha256::new();
        self.hash(&mut hash, range)?;
        Ok(hash.finalize().as_slice() == sha256)
    }

    /// Feeds the bytes of `range` to `hash`.
    pub(super) fn hash(&mut self, hash: &mut Sha256, range: Range<u64>) -> io::Result<()> {
        let mut at = range.start;
        while at < range.end {
            let size = READ.min(usize::try_from(range.end - at).unwrap_or(READ));
            let piece = self.bytes(at, size)?;
            if piece.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hash.update(piece);
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// What there is at `offset`.
    pub(super) fn frame_at(&mut self, offset: u64) -> io::Result<FrameAt> {
        let damaged = |end, reason| Ok(FrameAt::Damaged { end, reason });
        if offset >= self.len {
            return Ok(FrameAt::End);
        }
        let (size, width) = match Length::read(self.bytes(offset, 4)?) {
            Length::Of { size, width } => (size, width),
            Length::Cut => return Ok(FrameAt::Truncated),
            Length::Wrong => return damaged(None, "there is no length of a frame"),
        };
        let end = offset + (width + size) as u64;
        if end > self.len {
            return Ok(FrameAt::Truncated);
        }
        let frame = &self.bytes(offset, width + size)?[width..];
        let (cid, archive) = frame.split_at(FRAME_CID);
        let Some(sha256) = cid.strip_prefix(&CID_START) else {
            return damaged(
                Some(end),
                "the frame's CID is not that of a CAR with a sha2-256",
            );
        };
        if Sha256::digest(archive).as_slice() == sha256 {
            Ok(FrameAt::Whole { end })
        } else {
            damaged(Some(end), "the frame's hash is wrong")
        }
    }

    /// Where the next CID of a frame seems to begin, in `range`.
    pub(super) fn next_cid(&mut self, range: Range<u64>) -> io::Result<Option<u64>> {
        let mut at = range.start;
        while at < range.end {
            let bytes = self.bytes(at, READ)?;
            if bytes.len() < CID_START.len() {
                return Ok(None);
            }
            let found = bytes
                .windows(CID_START.len())
                .position(|window| window == CID_START);
            match found {
                Some(found) => {
                    return Ok(Some(at + found as u64).filter(|found| *found < range.end));
                }
                None => at += (bytes.len() - (CID_START.len() - 1)) as u64,
            }
        }
        Ok(None)
    }

    /// The lengths that may stand before a CID at `cid`: where the frame would begin, and where it
    /// would end. The later beginnings come first.
    pub(super) fn lengths_before(&mut self, cid: u64) -> io::Result<Vec<Range<u64>>> {
        let most = cid.min(4);
        let before = self.bytes(cid - most, most as usize)?;
        let found = (1..=before.len()).filter_map(|width| {
            match Length::read(&before[before.len() - width..]) {
                Length::Of { size, width: read } if read == width => {
                    Some(cid - width as u64..cid + size as u64)
                }
                _ => None,
            }
        });
        Ok(found.collect())
    }

    /// Whether the file ends at `offset`, or the length and the CID of a frame seem to be there.
    /// Leaves the window where it is.
    pub(super) fn seems_to_follow(&self, offset: u64) -> io::Result<bool> {
        let mut head = [0; 4 + CID_START.len()];
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let head = &mut head[..left.min(4 + CID_START.len())];
        self.file.read_exact_at(head, offset)?;
        Ok(match Length::read(head) {
            Length::Of { width, .. } => head[width..].starts_with(&CID_START),
            Length::Cut | Length::Wrong => head.is_empty(),
        })
    }

    /// Whether from `offset` on the file has nothing but zeros.
    pub(super) fn is_zero_from(&mut self, mut offset: u64) -> io::Result<bool> {
        loop {
            let bytes = self.bytes(offset, READ)?;
            if bytes.is_empty() {
                return Ok(true);
            }
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
        }
    }
}
