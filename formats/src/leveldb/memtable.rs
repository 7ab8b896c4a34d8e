//! What is in the logs and not yet in tables.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::bytes::Cursor;
use super::error::{Damage, IoContext, Parsed, Result};
use super::file::read_file;
use super::log;
use super::manifest::Files;
use super::version::Version;

/// The newest version of each key that the logs have, in key order.
pub(super) fn read(
    dir: &Path,
    files: &Files,
) -> Result<impl Iterator<Item = Result<Version>> + use<>> {
    let mut newest = BTreeMap::new();
    for (number, path) in logs(dir)? {
        if number >= files.log || number == files.previous_log {
            let contents = read_file(&path)?;
            let apply = |batches: Vec<Zeroizing<Vec<u8>>>| {
                batches
                    .iter()
                    .try_for_each(|batch| apply_batch(&mut newest, batch))
            };
            log::records(&contents)
                .and_then(apply)
                .map_err(|damage| damage.of(&path))?;
        }
    }
    Ok(newest.into_iter().map(|(key, (sequence, value))| {
        Ok(Version {
            key,
            sequence,
            value,
        })
    }))
}

type Newest = BTreeMap<Vec<u8>, (u64, Option<Zeroizing<Vec<u8>>>)>;

/// The logs, oldest first.
fn logs(dir: &Path) -> Result<BTreeMap<u64, PathBuf>> {
    let mut logs = BTreeMap::new();
    for entry in fs::read_dir(dir).context("list", dir)? {
        let path = entry.context("list", dir)?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".log")?.parse().ok());
        logs.extend(number.map(|number| (number, path)));
    }
    Ok(logs)
}

/// A batch of a log: sequence number, count, then `1 key value` or `0 key` each.
fn apply_batch(newest: &mut Newest, batch: &[u8]) -> Parsed<()> {
    let mut batch = Cursor(batch);
    let sequence = u64::from_le_bytes(batch.array()?);
    let count = u32::from_le_bytes(batch.array()?);
    for index in 0..u64::from(count) {
        let kind = batch.byte()?;
        let key = batch.prefixed()?;
        let value = match kind {
            0 => None,
            1 => Some(Zeroizing::new(batch.prefixed()?.to_vec())),
            _ => return Err(Damage("an entry is of a kind that is not known")),
        };
        let sequence = sequence.saturating_add(index);
        if newest.get(key).is_none_or(|(known, _)| *known <= sequence) {
            newest.insert(key.to_vec(), (sequence, value));
        }
    }
    if batch.is_empty() {
        Ok(())
    } else {
        Err(Damage("a batch has more than it counts"))
    }
}
