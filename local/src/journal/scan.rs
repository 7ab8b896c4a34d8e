//! What a crash, or a broken disk, left of an open batch.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::names::{self, CID_START, FRAME_CID, HEADER};
use crate::car::{CarError, CarLimits, CarProblem, CarReader};
use crate::error::{IoContext, Result};

/// What opening found wrong with the open batch, and did about it. A whole one gives
/// [`Recovery::default`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The bytes cut off after the last whole frame: a frame that a crash kept from being written
    /// whole.
    pub torn: u64,
    /// The damaged batch that was set aside; a new one was begun then.
    pub set_aside: Option<SetAside>,
}

/// A damaged batch, renamed and otherwise as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now. [`BatchReader`](super::BatchReader) reads what is whole of it.
    pub path: PathBuf,
    /// The whole frames before the damage.
    pub frames: u64,
    /// Where the damage begins, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

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
    Damaged {
        offset: u64,
        frames: u64,
        reason: String,
    },
}

/// Reads an open batch from its start, in constant memory (one frame).
pub(super) fn scan(file: &File, path: &Path) -> Result<Scan> {
    let file_len = file.metadata().context("read", path)?.len();
    let mut start: &File = file;
    start.seek(SeekFrom::Start(0)).context("read", path)?;
    let mut hash = Sha256::new();
    let mut reader = match CarReader::new(
        BufReader::with_capacity(256 << 10, file),
        CarLimits {
            blocks: usize::MAX,
            ..CarLimits::default()
        },
    ) {
        Ok(reader) if reader.roots().is_empty() => reader,
        Ok(_) => {
            return Ok(Scan::Damaged {
                offset: 0,
                frames: 0,
                reason: "the header names roots".into(),
            });
        }
        Err(CarError {
            problem: CarProblem::Io(e),
            ..
        }) => return Err(from_shared(e)).context("read", path),
        Err(_) if is_torn_header(file, file_len).context("read", path)? => {
            return Ok(Scan::Whole {
                len: 0,
                frames: 0,
                hash,
                file_len,
            });
        }
        Err(e) => {
            return Ok(Scan::Damaged {
                offset: 0,
                frames: 0,
                reason: e.problem.to_string(),
            });
        }
    };
    hash.update(HEADER);
    let mut frames = 0;
    loop {
        let offset = reader.offset();
        let damaged = |reason: String| {
            Ok(Scan::Damaged {
                offset,
                frames,
                reason,
            })
        };
        match reader.next_block() {
            Ok(Some(block)) if names::is_car(&block.cid) => {
                let mut sha256 = [0; 32];
                sha256.copy_from_slice(block.cid.hash().digest());
                hash.update(names::frame(sha256, &block.data));
                frames += 1;
            }
            Ok(Some(_)) => {
                return damaged("the frame's CID is not that of a CAR with a sha2-256".into());
            }
            Ok(None) => {
                return Ok(Scan::Whole {
                    len: offset,
                    frames,
                    hash,
                    file_len,
                });
            }
            Err(CarError {
                problem: CarProblem::Truncated,
                ..
            }) => {
                return match whole_frame_after(file, offset, file_len).context("read", path)? {
                    None => Ok(Scan::Whole {
                        len: offset,
                        frames,
                        hash,
                        file_len,
                    }),
                    Some(at) => damaged(format!(
                        "the frame's length reaches past the end, but a whole frame lies at byte {at}"
                    )),
                };
            }
            Err(CarError {
                problem: CarProblem::Io(e),
                ..
            }) => return Err(from_shared(e)).context("read", path),
            Err(e) => {
                if never_arrived(file, offset, file_len).context("read", path)? {
                    return Ok(Scan::Whole {
                        len: offset,
                        frames,
                        hash,
                        file_len,
                    });
                }
                return damaged(e.problem.to_string());
            }
        }
    }
}

/// Whether the file is the beginning of a header, or zeros.
fn is_torn_header(file: &File, len: u64) -> io::Result<bool> {
    let mut found = vec![0; HEADER.len().min(len as usize)];
    file.read_exact_at(&mut found, 0)?;
    Ok((len < HEADER.len() as u64 && HEADER.starts_with(&found)) || never_arrived(file, 0, len)?)
}

/// Where, in what looks like a torn frame, the data of a whole one begins with its CID.
///
/// A damaged length in the middle of the file reads like a torn tail: it reaches past the end. But
/// a torn write is the beginning of one frame and nothing after it, so any CID in there whose data
/// is whole (up to where its length says, or up to the end) says that it was not the write that
/// failed.
fn whole_frame_after(file: &File, offset: u64, end: u64) -> io::Result<Option<u64>> {
    // Truncated means that less than one largest frame is left.
    let mut tail = vec![0; (end - offset) as usize];
    file.read_exact_at(&mut tail, offset)?;
    // What may be hashed: an archive made of nothing but CIDs must not take for ever. Past it,
    // setting the file aside is the safe answer.
    let mut budget = 4 * tail.len() + (1 << 20);
    for at in tail
        .windows(CID_START.len())
        .enumerate()
        .filter(|(_, window)| *window == CID_START)
        .map(|(at, _)| at)
    {
        let Some((digest, data)) = tail
            .get(at + CID_START.len()..)
            .and_then(|rest| rest.split_at_checked(32))
        else {
            break;
        };
        for size in sizes_before(&tail[..at])
            .filter(|&size| size <= data.len())
            .chain([data.len()])
        {
            budget = match budget.checked_sub(size) {
                Some(left) => left,
                None => return Ok(Some(offset + at as u64)),
            };
            if Sha256::digest(&data[..size]).as_slice() == digest {
                return Ok(Some(offset + at as u64));
            }
        }
    }
    Ok(None)
}

/// The sizes of archives that a varint at the end of `before` may announce: where it begins is not
/// known.
fn sizes_before(before: &[u8]) -> impl Iterator<Item = usize> {
    (1..=before.len().min(4)).filter_map(|width| {
        let (last, more) = before[before.len() - width..].split_last()?;
        let varint = last & 0x80 == 0 && more.iter().all(|byte| byte & 0x80 != 0);
        let size = more.iter().rev().fold(usize::from(*last), |size, byte| {
            size << 7 | usize::from(byte & 0x7f)
        });
        if varint {
            size.checked_sub(FRAME_CID)
        } else {
            None
        }
    })
}

/// Whether from `offset` on the file holds nothing but zeros: after a power failure a file may have
/// its new length without its new bytes.
fn never_arrived(file: &File, mut offset: u64, end: u64) -> io::Result<bool> {
    let mut piece = vec![0; 64 << 10];
    while offset < end {
        let size = piece.len().min((end - offset) as usize);
        file.read_exact_at(&mut piece[..size], offset)?;
        if piece[..size].iter().any(|&b| b != 0) {
            return Ok(false);
        }
        offset += size as u64;
    }
    Ok(true)
}

fn from_shared(e: std::sync::Arc<io::Error>) -> io::Error {
    std::sync::Arc::try_unwrap(e).unwrap_or_else(io::Error::other)
}
