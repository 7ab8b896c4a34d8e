//! What a crash, or a broken disk, left of an open batch.

use std::fs::File;
use std::io;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::frames::{FrameAt, FrameFile};
use super::names::HEADER;
use super::search::{Found, Search};

/// What a scan found.
pub(super) enum Scan {
    /// Whole frames up to `len`, then at most a torn one.
    Whole {
        len: u64,
        frames: u64,
        hash: Sha256,
        file_len: u64,
    },
    /// Something that no torn write explains.
    Damaged(Damage),
}

/// A damaged batch.
pub(super) struct Damage {
    /// Where the damage begins.
    pub(super) offset: u64,
    /// What is wrong there.
    pub(super) reason: &'static str,
    /// What can be kept, in the order of the file.
    pub(super) pieces: Vec<Piece>,
    /// The bytes that are in none of them.
    pub(super) lost: u64,
    /// Whether the search for whole frames came to its end.
    pub(super) searched: bool,
}

/// A part of a damaged batch that can be kept.
pub(super) enum Piece {
    /// Frames one behind another.
    Frames { range: Range<u64>, frames: u64 },
    /// An archive with its hash. Its length or the first bytes of its CID are damaged.
    Archive { data: Range<u64>, sha256: [u8; 32] },
}

/// Reads an open batch from its start. Holds one frame in memory, and some bytes for each damaged
/// place.
pub(super) fn scan(file: &File) -> io::Result<Scan> {
    let mut file = FrameFile::new(file)?;
    let file_len = file.len();
    let header = file.bytes(0, HEADER.len())?;
    if header != HEADER {
        let torn = header.len() < HEADER.len() && HEADER.starts_with(header);
        if torn || file.is_zero_from(0)? {
            return Ok(Scan::Whole {
                len: 0,
                frames: 0,
                hash: Sha256::new(),
                file_len,
            });
        }
        let nothing = Run {
            range: 0..0,
            frames: 0,
        };
        return resume(
            &mut file,
            nothing,
            "it does not begin with a batch's header",
        );
    }
    let mut hash = Sha256::new();
    hash.update(HEADER);
    let mut run = Run {
        range: HEADER.len() as u64..HEADER.len() as u64,
        frames: 0,
    };
    loop {
        let at = run.range.end;
        match file.frame_at(at)? {
            FrameAt::Whole { end } => {
                hash.update(file.bytes(at, (end - at) as usize)?);
                run.add(end);
            }
            FrameAt::End => break,
            FrameAt::Truncated => {
                let reason = "the frame's length reaches past the end, but a whole one comes after";
                return match resume(&mut file, run.clone(), reason)? {
                    // Nothing but the beginning of a frame: a torn write.
                    Scan::Damaged(damage) if damage.is_torn_tail(&run) => {
                        Ok(run.whole(hash, file_len))
                    }
                    damaged => Ok(damaged),
                };
            }
            FrameAt::Damaged { .. } if file.is_zero_from(at)? => break,
            FrameAt::Damaged { reason, .. } => return resume(&mut file, run, reason),
        }
    }
    Ok(run.whole(hash, file_len))
}

/// Frames one behind another.
#[derive(Clone)]
struct Run {
    range: Range<u64>,
    frames: u64,
}

impl Run {
    fn add(&mut self, end: u64) {
        self.range.end = end;
        self.frames += 1;
    }

    fn whole(self, hash: Sha256, file_len: u64) -> Scan {
        Scan::Whole {
            len: self.range.end,
            frames: self.frames,
            hash,
            file_len,
        }
    }
}

impl Damage {
    /// Whether nothing was found after the whole frames of `run`, for certain.
    fn is_torn_tail(&self, run: &Run) -> bool {
        self.offset == run.range.end && self.searched && self.frames() == run.frames
    }

    /// The number of frames that can be kept.
    pub(super) fn frames(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Frames { frames, .. } => *frames,
                Piece::Archive { .. } => 1,
            })
            .sum()
    }
}

/// Goes on behind a damaged place, which `run` ends at.
fn resume(file: &mut FrameFile<'_>, mut run: Run, reason: &'static str) -> io::Result<Scan> {
    let offset = run.range.end;
    let header = run.range.start;
    let mut search = Search::new(file.len());
    let mut pieces = Vec::new();
    let mut kept = header;
    loop {
        // The run ends at damage or at the end of the file.
        let damaged_at = run.range.end;
        kept += run.range.end - run.range.start;
        if run.frames > 0 {
            pieces.push(Piece::Frames {
                range: run.range.clone(),
                frames: run.frames,
            });
        }
        let start = match search.next(file, damaged_at)? {
            None => break,
            Some(Found::Next { start }) => start,
            Some(Found::Archive { data, sha256 }) => {
                kept += data.end - damaged_at;
                let end = data.end;
                pieces.push(Piece::Archive { data, sha256 });
                end
            }
        };
        run = Run {
            range: start..start,
            frames: 0,
        };
        while let FrameAt::Whole { end } = file.frame_at(run.range.end)? {
            run.add(end);
        }
    }
    Ok(Scan::Damaged(Damage {
        offset,
        reason,
        pieces,
        lost: file.len().saturating_sub(kept),
        searched: search.is_complete(),
    }))
}
