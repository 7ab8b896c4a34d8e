//! Finds the next frame behind a damaged place, at a cost that is bounded by the file's length.

use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::frames::{FrameAt, FrameFile, Length};
use super::names::{CID_START, FRAME_CID, MAX_ARCHIVE};

/// What may be hashed whatever the file's length, in bytes.
const LEAST: u64 = 4 << 20;

/// What was found behind a damaged place.
pub(super) enum Found {
    /// A frame begins at `start`, or the file ends there.
    Next { start: u64 },
    /// A whole archive whose length, or the first bytes of whose CID, are damaged. Reading goes on
    /// behind it.
    Archive { data: Range<u64>, sha256: [u8; 32] },
}

/// A search in one file.
///
/// A place that looks like a frame is one if its hash is right, and that takes as many bytes as it
/// says it has. An archive that consists of such places could make that quadratic, so what may be
/// hashed in vain is bounded: for the search for ends, and for each power of two of the sizes that
/// frames may have. The small frames of the most journals are found whatever the large ones cost.
pub(super) struct Search {
    /// What the search for ends may still hash in vain.
    ends: u64,
    /// What each pass may still hash of frames with `1 << n` bytes or more, up to the next power.
    sizes: [[u64; 26]; 2],
    complete: bool,
}

impl Search {
    pub(super) fn new(file_len: u64) -> Self {
        Self {
            ends: file_len.saturating_mul(4) + LEAST.max(MAX_ARCHIVE as u64),
            sizes: [[file_len.saturating_mul(2) + LEAST; 26]; 2],
            complete: true,
        }
    }

    /// Whether no frame was passed over for what it would have cost.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What comes after the damage at `at`.
    pub(super) fn next(
        &mut self,
        file: &mut FrameFile<'_>,
        mut at: u64,
    ) -> io::Result<Option<Found>> {
        while at < file.len() {
            if let Some(found) = self.same_frame(file, at)? {
                return Ok(Some(found));
            }
            // Where its length says that the frame ends, if another seems to begin there.
            let FrameAt::Damaged { end: Some(end), .. } = file.frame_at(at)? else {
                break;
            };
            match file.frame_at(end)? {
                FrameAt::Whole { .. } | FrameAt::End => {
                    return Ok(Some(Found::Next { start: end }));
                }
                FrameAt::Damaged { end: Some(_), .. } if file.seems_to_follow(end)? => at = end,
                _ => break,
            }
        }
        self.later_frame(file, at)
    }

    /// The archive of the frame at `at` itself, if only its length or the first bytes of its CID
    /// are damaged.
    fn same_frame(&mut self, file: &mut FrameFile<'_>, at: u64) -> io::Result<Option<Found>> {
        let head = file.bytes(at, 4 + FRAME_CID)?.to_vec();
        let mut believed = None;
        if let Length::Of { size, width } = Length::read(&head) {
            let (start, end) = (at + (width + FRAME_CID) as u64, at + (width + size) as u64);
            if end <= file.len()
                && let Some(sha256) = sha256_in(&head[width..])
            {
                if file.has_hash(start..end, &sha256)? {
                    let data = start..end;
                    return Ok(Some(Found::Archive { data, sha256 }));
                }
                believed = Some(end);
            }
        }
        for width in 1..=4 {
            let Some(cid) = head.get(width..).filter(|cid| cid.starts_with(&CID_START)) else {
                continue;
            };
            let Some(sha256) = sha256_in(cid) else {
                continue;
            };
            let start = at + (width + FRAME_CID) as u64;
            let most = file.len().min(start + MAX_ARCHIVE as u64);
            // An archive that is damaged itself ends nowhere, so this is bounded.
            let limit = match believed {
                _ if self.ends > 0 => most,
                Some(end) => end.min(most),
                None => {
                    self.complete = false;
                    continue;
                }
            };
            if let Some(end) = self.end_of(file, start..limit, &sha256)? {
                let data = start..end;
                return Ok(Some(Found::Archive { data, sha256 }));
            }
        }
        Ok(None)
    }

    /// Where the archive that begins at `range.start` and has this hash ends: before another frame,
    /// or at the end of the file.
    fn end_of(
        &mut self,
        file: &mut FrameFile<'_>,
        range: Range<u64>,
        sha256: &[u8; 32],
    ) -> io::Result<Option<u64>> {
        let (mut hash, mut hashed, mut compared) = (Sha256::new(), range.start, 0);
        let mut cid_from = range.start;
        let at_end = range.end == file.len();
        loop {
            let next = file.next_cid(cid_from..file.len().min(range.end + 4))?;
            let mut ends = match next {
                Some(cid) => {
                    cid_from = cid + 1;
                    let frames = file.lengths_before(cid)?;
                    frames.into_iter().map(|frame| frame.start).collect()
                }
                None if at_end => vec![range.end],
                None => Vec::new(),
            };
            ends.retain(|end| *end > hashed && *end <= range.end);
            ends.sort_unstable();
            for end in ends {
                file.hash(&mut hash, hashed..end)?;
                hashed = end;
                compared += 1;
                if hash.clone().finalize().as_slice() == sha256 {
                    return Ok(Some(end));
                }
            }
            if next.is_none() {
                break;
            }
        }
        // A comparison costs a hash of up to two blocks.
        let cost = hashed - range.start + 128 * compared;
        self.ends = self.ends.saturating_sub(cost);
        Ok(None)
    }

    /// The first frame after `at` whose length and hash are right.
    fn later_frame(&mut self, file: &mut FrameFile<'_>, at: u64) -> io::Result<Option<Found>> {
        // First one that another follows, which bytes within an archive seldom look like; then
        // any before that one.
        let followed = self.frame_in(file, at..file.len(), Pass::Followed)?;
        let end = followed.unwrap_or(file.len());
        let first = self.frame_in(file, at..end, Pass::Any)?.or(followed);
        Ok(first.map(|start| Found::Next { start }))
    }

    /// Where the first frame begins, in `range`.
    fn frame_in(
        &mut self,
        file: &mut FrameFile<'_>,
        range: Range<u64>,
        pass: Pass,
    ) -> io::Result<Option<u64>> {
        let mut from = range.start;
        while let Some(cid) = file.next_cid(from..range.end)? {
            from = cid + 1;
            for frame in file.lengths_before(cid)? {
                if frame.start < range.start || frame.end > file.len() {
                    continue;
                }
                if pass == Pass::Followed && !file.seems_to_follow(frame.end)? {
                    continue;
                }
                if !self.may_hash(frame.end - cid, pass) {
                    continue;
                }
                let sha256 = file.bytes(cid + CID_START.len() as u64, 32)?.to_vec();
                if file.has_hash(cid + FRAME_CID as u64..frame.end, &sha256)? {
                    return Ok(Some(frame.start));
                }
            }
        }
        Ok(None)
    }

    fn may_hash(&mut self, size: u64, pass: Pass) -> bool {
        let class = size.max(1).ilog2() as usize;
        let left = self.sizes[pass as usize]
            .get_mut(class)
            .and_then(|left| Some((left.checked_sub(size)?, left)));
        match left {
            Some((rest, left)) => {
                *left = rest;
                true
            }
            None => {
                self.complete = false;
                false
            }
        }
    }
}

/// Which frames a search takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Those before another frame or the end of the file.
    Followed,
    Any,
}

/// The hash in the CID that `bytes` begin with.
fn sha256_in(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.get(CID_START.len()..FRAME_CID)?.try_into().ok()
}
