//! The manifest: which files the store consists of.
//!
//! ```text
//! "SHDBMAN1" · CRC-32C of what follows u32 · number of tables u32 · id of the store u64 · next table's number u64 · first log u64 · last sequence number u64
//! · for each table, the newest first: number u64, bytes u64, entries u64
//! ```
//!
//! All numbers are little endian. The file has this twice, so that one damaged byte is found and
//! does no harm. It is written anew under another name and renamed.

use std::io;

use super::disk::Disk;
use super::entry::{u32_at, u64_at};
use super::fault::{Damage, Fault};
use super::table::TableId;

pub(super) const NAME: &str = "MANIFEST";
const NEW: &str = "MANIFEST.new";
const MAGIC: &[u8; 8] = b"SHDBMAN1";
const HEADER: usize = 48;
const TABLE: usize = 24;

/// The largest manifest, in bytes: far more tables than there ever are.
const MAX: u64 = 16 * 1024 * 1024;

/// What a store consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// Random, made with the store.
    pub(super) id: u64,
    pub(super) next_table: u64,
    /// Logs before this one are no longer needed.
    pub(super) first_log: u64,
    /// The greatest sequence number in a table.
    pub(super) last_sequence: u64,
    /// The newest first.
    pub(super) tables: Vec<TableId>,
}

impl Manifest {
    /// Makes this the store's manifest. After an error it is, or the one before still is.
    pub(super) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let copy = self.encode();
        let file = disk.create(NEW)?;
        file.write(&[&copy[..], &copy[..]].concat(), 0)?;
        file.sync()?;
        disk.rename(NEW, NAME)?;
        disk.sync_names()
    }

    /// Reads it; with it what is wrong with one of its copies.
    pub(super) fn read(disk: &dyn Disk) -> Result<(Self, Option<Damage>), Fault> {
        let failed = || Fault::io(format!("{NAME} cannot be read"));
        let file = disk.open(NAME).map_err(failed())?;
        let len = file.len().map_err(failed())?;
        let unusable = || Fault::damaged(NAME, 0, "no manifest of a datastore");
        if len > MAX {
            return Err(unusable());
        }
        let mut bytes = vec![0; len as usize];
        file.read(&mut bytes, 0).map_err(failed())?;
        let half = bytes.len() / 2;
        let damage = |at| {
            Some(Damage {
                file: NAME.to_owned(),
                at,
                what: "one of the manifest's two copies",
            })
        };
        match (Self::decode(&bytes[..half]), Self::decode(&bytes[half..])) {
            (Some(first), Some(second)) if first == second => Ok((first, None)),
            (Some(first), None) => Ok((first, damage(half as u64))),
            (None, Some(second)) => Ok((second, damage(0))),
            _ => Err(unusable()),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = [
            &MAGIC[..],
            &[0; 4],
            &(self.tables.len() as u32).to_le_bytes(),
        ]
        .concat();
        for number in [self.id, self.next_table, self.first_log, self.last_sequence] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in self
            .tables
            .iter()
            .flat_map(|table| [table.number, table.len, table.entries])
        {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (header, tables) = bytes.split_at_checked(HEADER)?;
        if !header.starts_with(MAGIC) || crc32c::crc32c(&bytes[12..]) != u32_at(header, 8) {
            return None;
        }
        if tables.len() != (u32_at(header, 12) as usize).checked_mul(TABLE)? {
            return None;
        }
        let table = |bytes: &[u8]| TableId {
            number: u64_at(bytes, 0),
            len: u64_at(bytes, 8),
            entries: u64_at(bytes, 16),
        };
        Some(Self {
            id: u64_at(header, 16),
            next_table: u64_at(header, 24),
            first_log: u64_at(header, 32),
            last_sequence: u64_at(header, 40),
            tables: tables.chunks_exact(TABLE).map(table).collect(),
        })
    }
}
