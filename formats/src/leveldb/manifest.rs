//! The manifest: which files make up the database.

use std::collections::BTreeMap;

use super::bytes::Cursor;
use super::error::{Damage, Parsed};
use super::log;

/// The sum of the manifest's edits.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The oldest log that is not in tables yet.
    pub(super) log: u64,
    pub(super) previous_log: u64,
    /// The tables of each level, with their smallest keys. Below level 0 no two of a level overlap.
    pub(super) levels: BTreeMap<u64, BTreeMap<u64, Vec<u8>>>,
}

impl Files {
    pub(super) fn parse(manifest: &[u8]) -> Parsed<Self> {
        let mut files = Self::default();
        for edit in log::records(manifest)? {
            let mut edit = Cursor(&edit);
            while !edit.is_empty() {
                match edit.varint()? {
                    1 if edit.prefixed()? == b"leveldb.BytewiseComparator" => {}
                    1 => return Err(Damage("its keys are in an order that is not known")),
                    2 => files.log = edit.varint()?,
                    9 => files.previous_log = edit.varint()?,
                    // The next file's number and the last sequence number: for writers.
                    3 | 4 => drop(edit.varint()?),
                    // Where the next compaction begins: level, key.
                    5 => drop((edit.varint()?, edit.prefixed()?)),
                    6 => {
                        let (level, number) = (edit.varint()?, edit.varint()?);
                        files.levels.entry(level).or_default().remove(&number);
                    }
                    7 => {
                        let (level, number, _size) =
                            (edit.varint()?, edit.varint()?, edit.varint()?);
                        let (smallest, _largest) = (edit.prefixed()?, edit.prefixed()?);
                        files
                            .levels
                            .entry(level)
                            .or_default()
                            .insert(number, smallest.to_vec());
                    }
                    _ => return Err(Damage("it has an edit of a kind that is not known")),
                }
            }
        }
        Ok(files)
    }
}
