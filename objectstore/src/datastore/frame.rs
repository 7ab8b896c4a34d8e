//! Frames: what logs and tables are made of.
//!
//! ```text
//! 0      1         4        8           12           16
//! ┌──────┬─────────┬────────┬───────────┬────────────┬─────────┬──────────────────┐
//! │ kind │ "SHF"   │ length │ CRC of    │ CRC of     │ payload │ zeros to the     │
//! │ u8   │ 3 bytes │ u32    │ payload   │ header u32 │         │ next 8 bytes     │
//! └──────┴─────────┴────────┴───────────┴────────────┴─────────┴──────────────────┘
//! ```
//!
//! All numbers are little endian, the CRCs are CRC-32C. That of the header covers the store's
//! random id, the file's number and the frame's place as well: what is left of a file's earlier
//! life, a frame in the wrong place and one that somebody put into a record are no frames.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use super::disk::DiskFile;
use super::entry::u32_at;

pub(super) const HEADER: usize = 16;

/// Frames start at multiples of this.
const ALIGN: u64 = 8;

/// How much is read at once when a file is searched, in bytes.
const SEARCH: usize = 256 * 1024;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    LogStart = 1,
    Group = 2,
    Block = 3,
    Index = 4,
    Filter = 5,
    Footer = 6,
}

/// The file that a frame belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// The store's id.
    pub(super) store: u64,
    /// The file's number.
    pub(super) file: u64,
}

/// What lies at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole frame, and where the next one starts.
    Frame(Kind, Bytes, u64),
    /// No frame: what is there is not one, or not whole.
    Nothing,
}

/// An empty frame, to append a payload to.
pub(super) fn start() -> Vec<u8> {
    vec![0; HEADER]
}

/// Makes a frame of what [`start`] gave and what was appended since. It is then to be written at
/// `at`. The payload must be shorter than 4 GiB.
pub(super) fn seal(frame: &mut Vec<u8>, kind: Kind, origin: Origin, at: u64) {
    let len = (frame.len() - HEADER) as u32;
    let payload = crc32c::crc32c(&frame[HEADER..]);
    frame[0] = kind as u8;
    frame[1..4].copy_from_slice(b"SHF");
    frame[4..8].copy_from_slice(&len.to_le_bytes());
    frame[8..12].copy_from_slice(&payload.to_le_bytes());
    let header = header_crc(&frame[..12], origin, at);
    frame[12..HEADER].copy_from_slice(&header.to_le_bytes());
    frame.resize(padded(frame.len() as u64) as usize, 0);
}

/// Reads the frame at `at` of a file that has `end` bytes.
pub(super) fn read(file: &dyn DiskFile, origin: Origin, at: u64, end: u64) -> io::Result<Found> {
    if end < at.saturating_add(HEADER as u64) {
        return Ok(Found::Nothing);
    }
    let mut header = [0; HEADER];
    file.read(&mut header, at)?;
    let Some((kind, len)) = judge(&header, origin, at) else {
        return Ok(Found::Nothing);
    };
    let next = padded(at + HEADER as u64 + u64::from(len));
    // Nothing is allocated for what cannot be there.
    if next > end {
        return Ok(Found::Nothing);
    }
    let mut rest = vec![0; (next - at) as usize - HEADER];
    file.read(&mut rest, at + HEADER as u64)?;
    Ok(whole(&header, &rest, len).map_or(Found::Nothing, |()| {
        rest.truncate(len as usize);
        Found::Frame(kind, rest.into(), next)
    }))
}

/// Where the payload lies of the frame of `kind` that `bytes`, read from `at`, must be.
pub(super) fn payload(bytes: &[u8], kind: Kind, origin: Origin, at: u64) -> Option<Range<usize>> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>()?;
    let (found, len) = judge(header, origin, at)?;
    if found != kind || padded((HEADER as u64) + u64::from(len)) != bytes.len() as u64 {
        return None;
    }
    whole(header, rest, len)?;
    Some(HEADER..HEADER + len as usize)
}

/// Where the next frame with a good header starts, at `from` or later.
pub(super) fn search(
    file: &dyn DiskFile,
    origin: Origin,
    from: u64,
    end: u64,
) -> io::Result<Option<u64>> {
    let mut start = from.next_multiple_of(ALIGN);
    let mut window = vec![0; SEARCH];
    while start + HEADER as u64 <= end {
        let len = (end - start).min(SEARCH as u64) as usize;
        file.read(&mut window[..len], start)?;
        for place in (0..=len - HEADER).step_by(ALIGN as usize) {
            let at = start + place as u64;
            if window[..len][place..]
                .first_chunk::<HEADER>()
                .is_some_and(|header| judge(header, origin, at).is_some())
            {
                return Ok(Some(at));
            }
        }
        // The last places had no room for a header.
        start += (len - HEADER) as u64 / ALIGN * ALIGN + ALIGN;
    }
    Ok(None)
}

/// How many bytes a frame takes up whose header and payload have `len` together.
pub(super) fn padded(len: u64) -> u64 {
    len.next_multiple_of(ALIGN)
}

fn header_crc(header: &[u8], origin: Origin, at: u64) -> u32 {
    let mut bytes = [0; 36];
    bytes[..8].copy_from_slice(&origin.store.to_le_bytes());
    bytes[8..16].copy_from_slice(&origin.file.to_le_bytes());
    bytes[16..24].copy_from_slice(&at.to_le_bytes());
    bytes[24..].copy_from_slice(header);
    crc32c::crc32c(&bytes)
}

/// The kind and the length of the payload, if this is the header of a frame.
fn judge(header: &[u8; HEADER], origin: Origin, at: u64) -> Option<(Kind, u32)> {
    if &header[1..4] != b"SHF" || header_crc(&header[..12], origin, at) != u32_at(header, 12) {
        return None;
    }
    let kinds = [
        Kind::LogStart,
        Kind::Group,
        Kind::Block,
        Kind::Index,
        Kind::Filter,
        Kind::Footer,
    ];
    let kind = kinds.into_iter().find(|kind| *kind as u8 == header[0])?;
    Some((kind, u32_at(header, 4)))
}

/// Checks payload and padding.
fn whole(header: &[u8; HEADER], rest: &[u8], len: u32) -> Option<()> {
    let (payload, padding) = rest.split_at_checked(len as usize)?;
    (crc32c::crc32c(payload) == u32_at(header, 8) && padding.iter().all(|byte| *byte == 0))
        .then_some(())
}
