//! The file `MARK`: which engine the directory belongs to, and the version up to which writes were
//! acknowledged.
//!
//! An engine may take damage in its log for the end of the log, and then opens with a shorter
//! history. This file is written after each synced write, so it tells that apart from a crash.
//!
//! ```text
//! "SHMARK1\n" · name of the engine, padded with zeros to 8 bytes · number u64 · CRC-32C u32
//! ```
//!
//! Twice, at 0 and at 4096, written in turn, so that a torn write leaves the other one. Numbers
//! are little endian. The file is synced once a second while writes go on: a power cut may leave
//! an older number, which finds less, but never one that is too high.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const NAME: &str = "MARK";
const NEW: &str = "MARK.new";
const MAGIC: &[u8; 8] = b"SHMARK1\n";
const LEN: usize = 28;
const SECOND: u64 = 4096;
const SYNC_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    engine: [u8; 8],
    number: u64,
    /// Where the next number goes.
    at: u64,
    synced: Instant,
    dirty: bool,
}

/// What a mark file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Mark { engine: String, number: u64 },
    Damaged,
}

/// Reads the mark in `dir`.
pub(super) fn read(dir: &Path) -> io::Result<Found> {
    let bytes = match std::fs::read(dir.join(NAME)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(e),
    };
    let copies = [
        bytes.get(..LEN),
        bytes.get(SECOND as usize..SECOND as usize + LEN),
    ];
    let valid = copies.into_iter().flatten().filter_map(decode);
    Ok(match valid.max_by_key(|(_, number)| *number) {
        Some((engine, number)) => {
            let name: Vec<u8> = engine
                .iter()
                .copied()
                .take_while(|byte| *byte != 0)
                .collect();
            Found::Mark {
                engine: String::from_utf8_lossy(&name).into_owned(),
                number,
            }
        }
        None => Found::Damaged,
    })
}

impl Mark {
    /// Goes on with the file that holds `number`. If the disk is full, both copies stay as they
    /// are: what is there can be read and deleted.
    pub(super) fn open(dir: &Path, engine: &str, number: u64) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.read(true).write(true).open(dir.join(NAME))?;
        let engine = padded(engine);
        let newest = encode(engine, number);
        let holds = |at| read_at(&file, at).is_ok_and(|found| found == newest);
        // The copy that may be older goes first: if that fails, the other one still says it.
        let places = if holds(0) { [SECOND, 0] } else { [0, SECOND] };
        let mut mark = Self {
            at: places[0],
            engine,
            number,
            synced: Instant::now(),
            dirty: true,
            file,
        };
        let written = places
            .into_iter()
            .try_for_each(|at| write_at(&mark.file, &newest, at))
            .and_then(|()| mark.sync());
        match written {
            Err(e) if !is_full(&e) => Err(e),
            _ => Ok(mark),
        }
    }

    /// Makes the file anew, durably.
    pub(super) fn create(dir: &Path, engine: &str, number: u64) -> io::Result<Self> {
        let engine = padded(engine);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(dir.join(NEW))?;
        for at in [0, SECOND] {
            write_at(&file, &encode(engine, number), at)?;
        }
        file.sync_all()?;
        std::fs::rename(dir.join(NEW), dir.join(NAME))?;
        File::open(dir)?.sync_all()?;
        Ok(Self {
            file,
            engine,
            number,
            at: 0,
            synced: Instant::now(),
            dirty: false,
        })
    }

    /// Everything up to `number` is acknowledged. An error makes no acknowledged write less
    /// durable, so it is left for the next time.
    pub(super) fn advance(&mut self, number: u64) {
        if number <= self.number {
            return;
        }
        self.number = number;
        self.dirty = true;
        if write_at(&self.file, &encode(self.engine, number), self.at).is_ok() {
            self.at = SECOND - self.at;
        }
        if self.synced.elapsed() >= SYNC_EVERY {
            let _ = self.sync();
        }
    }

    /// The last number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            self.synced = Instant::now();
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn write_at(mut file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

fn read_at(mut file: &File, at: u64) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), QuotaExceeded | StorageFull)
}

fn padded(engine: &str) -> [u8; 8] {
    let mut name = [0; 8];
    for (place, byte) in name.iter_mut().zip(engine.bytes()) {
        *place = byte;
    }
    name
}

fn encode(engine: [u8; 8], number: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..16].copy_from_slice(&engine);
    bytes[16..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..24]);
    bytes[24..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<([u8; 8], u64)> {
    let (covered, crc) = bytes.split_last_chunk()?;
    let rest = covered.strip_prefix(MAGIC)?;
    let (engine, number) = rest.split_first_chunk()?;
    let number = u64::from_le_bytes(number.try_into().ok()?);
    (crc32c::crc32c(covered) == u32::from_le_bytes(*crc)).then_some((*engine, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(engine: &str, number: u64) -> Found {
        Found::Mark {
            engine: engine.to_owned(),
            number,
        }
    }

    #[test]
    fn the_last_number_is_read_whatever_one_bit_says() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::Nothing);
        let mut mark = Mark::create(dir.path(), "redb", 3).unwrap();
        assert_eq!(read(dir.path()).unwrap(), found("redb", 3));
        for number in [4, 7, 5, 100] {
            mark.advance(number);
        }
        mark.sync().unwrap();
        assert_eq!(read(dir.path()).unwrap(), found("redb", 100));
        Mark::open(dir.path(), "redb", 7).unwrap().advance(100);
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..LEN).chain(SECOND as usize..SECOND as usize + LEN) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            std::fs::write(&path, flipped).unwrap();
            let number = if at < LEN { 100 } else { 7 };
            let number = if whole[16] == 100 {
                107 - number
            } else {
                number
            };
            assert_eq!(
                read(dir.path()).unwrap(),
                found("redb", number),
                "byte {at}"
            );
        }
        std::fs::write(&path, "no mark").unwrap();
        assert_eq!(read(dir.path()).unwrap(), Found::Damaged);
    }
}
