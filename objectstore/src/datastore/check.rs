//! Reading everything, to find what is damaged.

use std::sync::Arc;

use super::fault::Fault;
use super::frame::Origin;
use super::manifest::Manifest;
use super::{Core, Damage, log};

/// The most places that a [`CheckReport`] names.
const NAMED: usize = 1000;

/// What [`Datastore::check`](super::Datastore::check) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Records and deletions that were read from tables, of one key perhaps several versions.
    pub entries: u64,
    /// Tables that were read.
    pub tables: usize,
    /// Places that do not hold what was written, up to 1,000 of them. What lies elsewhere can be
    /// read.
    pub damage: Vec<Damage>,
}

impl CheckReport {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// Reads the manifest, the synced part of the log and every table.
pub(super) fn check(core: &Core) -> Result<CheckReport, Fault> {
    let mut report = CheckReport::default();
    let mut found = core.salvaged.clone();
    // While the manifest is held, neither it nor the set of tables changes; the files themselves
    // never do.
    let (tables, first_log, log) = {
        let manifest = core.manifest();
        match Manifest::read(core.disk.as_ref()) {
            Ok((_, damage)) => found.extend(damage),
            Err(Fault::Damaged(damage)) => found.push(damage),
            Err(other) => return Err(other),
        }
        (
            Arc::clone(&core.memory().tables),
            manifest.first_log,
            core.log_end(),
        )
    };
    let mut name = |damage| {
        if found.len() < NAMED {
            found.push(damage);
        }
    };
    for table in tables.iter() {
        let entries = table.check(&mut name)?;
        if entries != table.id.entries {
            name(Damage {
                file: super::table::file_name(table.id.number),
                at: 0,
                what: "the table has not as many records as were written",
            });
        }
        report.entries += entries;
    }
    for number in first_log..=log.0 {
        let origin = |file| Origin {
            store: core.id,
            file,
        };
        // Where a log ends stands in the next one.
        let end = if number == log.0 {
            Ok(Some(log.1))
        } else {
            log::begun(core.disk.as_ref(), origin(number + 1))
        };
        match end.and_then(|end| {
            log::check(
                core.disk.as_ref(),
                origin(number),
                end.unwrap_or(0),
                &mut name,
            )
        }) {
            // Flushed and taken away meanwhile.
            Err(Fault::Io(_, e))
                if e.kind() == std::io::ErrorKind::NotFound
                    && core.manifest().first_log > number => {}
            checked => checked?,
        }
    }
    report.tables = tables.len();
    report.damage = found;
    Ok(report)
}
