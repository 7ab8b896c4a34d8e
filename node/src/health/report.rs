//! What `GET /health` says, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use storehouse::FreeSpace;
use storehouse::local::journal::Recovery;

/// The whole answer.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// `ok`; `degraded` if a disk is nearly full; `down` if a store fails.
    pub(super) status: &'static str,
    /// `ok` or `down` for each store.
    pub(super) stores: BTreeMap<&'static str, &'static str>,
    /// The free bytes of the disk that each lies on.
    pub(super) free_bytes: BTreeMap<String, u64>,
    /// The stores whose disk has less free than must stay free.
    pub(super) low_space: Vec<String>,
    /// What opening the journal recovered; left out if it was whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) journal_recovery: Option<JournalRecovery>,
}

/// What opening the journal found wrong, and did about it. It names no path.
#[derive(Debug, Serialize)]
pub(super) struct JournalRecovery {
    /// Bytes of a torn frame that were cut off.
    torn_bytes: u64,
    /// The damaged batch that was set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<SetAside>,
}

#[derive(Debug, Serialize)]
struct SetAside {
    file: Option<String>,
    kept_frames: u64,
    lost_bytes: u64,
    offset: u64,
    reason: String,
    complete: bool,
}

impl JournalRecovery {
    pub(super) fn of(recovery: &Recovery) -> Option<Self> {
        (!recovery.is_clean()).then(|| Self {
            torn_bytes: recovery.torn,
            set_aside: recovery.set_aside.as_ref().map(|aside| SetAside {
                file: aside
                    .path
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
                kept_frames: aside.frames,
                lost_bytes: aside.lost,
                offset: aside.offset,
                reason: aside.reason.clone(),
                complete: aside.complete,
            }),
        })
    }
}

impl Report {
    /// `stores` says of each whether it is well.
    pub(super) fn new(
        stores: impl IntoIterator<Item = (&'static str, bool)>,
        spaces: &[(String, FreeSpace)],
        recovery: &Recovery,
    ) -> Self {
        let stores: BTreeMap<_, _> = stores
            .into_iter()
            .map(|(name, well)| (name, if well { "ok" } else { "down" }))
            .collect();
        let low_space: Vec<_> = spaces
            .iter()
            .filter(|(_, space)| space.is_low())
            .map(|(store, _)| store.clone())
            .collect();
        let status = match () {
            () if stores.values().any(|state| *state == "down") => "down",
            () if !low_space.is_empty() => "degraded",
            () => "ok",
        };
        Self {
            status,
            stores,
            free_bytes: spaces
                .iter()
                .map(|(store, space)| (store.clone(), space.free))
                .collect(),
            low_space,
            journal_recovery: JournalRecovery::of(recovery),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let space = |low| FreeSpace {
            free: 5,
            min_free: if low { 6 } else { 5 },
        };
        let mut torn = Recovery::default();
        torn.torn = 3;
        for (well, low, recovery, status) in [
            (true, false, Recovery::default(), "ok"),
            (true, true, Recovery::default(), "degraded"),
            (false, true, Recovery::default(), "down"),
            (true, false, torn, "ok"),
        ] {
            let report = Report::new(
                [("blobs", well), ("keystore", true)],
                &[("blobs".to_owned(), space(low))],
                &recovery,
            );
            let json = serde_json::to_value(&report).unwrap();
            assert_eq!(json["status"], status);
            assert_eq!(json["free_bytes"]["blobs"], 5);
            assert_eq!(
                json["low_space"].as_array().unwrap().len(),
                usize::from(low)
            );
            assert_eq!(
                json["journal_recovery"]["torn_bytes"].as_u64().unwrap_or(0),
                recovery.torn
            );
        }
    }
}
