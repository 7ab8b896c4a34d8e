//! Consolidations, in one record or in two.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use storehouse_formats::Cid;
use storehouse_genericstore::Codec;
use storehouse_objectstore::ObjectStore;

use super::database::{Found, SourceDatabase};
use super::options::ImportOptions;
use super::record;
use super::report::{DatabaseReport, ImportOutcome, Problem};
use crate::stores::from_legacy;
use crate::{ConsolidationStore, RecordCodec, Result};

/// The two halves of the old form.
type Halves = (Option<Found>, Option<Found>);

pub(super) async fn import<S: ObjectStore>(
    source: &SourceDatabase,
    store: &ConsolidationStore<S>,
    options: &ImportOptions,
    report: &mut DatabaseReport,
) -> Result<()> {
    // Old records are few: they are a few hundred bytes for each batch of 100 MiB.
    let mut old: BTreeMap<String, Halves> = BTreeMap::new();
    let mut records = source.records(options);
    while let Some(found) = records.try_next().await? {
        report.read += 1;
        let half = |prefix| {
            found
                .name()
                .and_then(|name| name.strip_prefix(prefix))
                .map(str::to_owned)
        };
        match (half("track/"), half("consolidate/")) {
            (Some(batch), _) => old.entry(batch).or_default().0 = Some(found),
            (_, Some(batch)) => old.entry(batch).or_default().1 = Some(found),
            _ => report.count(new_form(&found, store, options.dry_run).await?),
        }
    }
    for (batch, halves) in old {
        old_form(&batch, halves, store, options.dry_run, report).await?;
    }
    Ok(())
}

async fn new_form<S: ObjectStore>(
    found: &Found,
    store: &ConsolidationStore<S>,
    dry_run: bool,
) -> Result<ImportOutcome> {
    let Some(batch) = found.name().filter(|name| is_cid(name)) else {
        return Ok(Problem::because(
            &found.key,
            "its key is not the CID of a batch",
        ));
    };
    match RecordCodec.decode(&found.value) {
        Ok(consolidation) => {
            record::put(&found.key, batch, &consolidation, store.records(), dry_run).await
        }
        Err(e) => Ok(Problem::of(&found.key, &e)),
    }
}

async fn old_form<S: ObjectStore>(
    batch: &str,
    halves: Halves,
    store: &ConsolidationStore<S>,
    dry_run: bool,
    report: &mut DatabaseReport,
) -> Result<()> {
    let (track, consolidate) = match halves {
        (Some(track), Some(consolidate)) => (track, consolidate),
        (Some(half), None) | (None, Some(half)) => {
            report.count(Problem::because(
                &half.key,
                "half of an old consolidation, without the other",
            ));
            return Ok(());
        }
        (None, None) => return Ok(()),
    };
    let outcome = async |key: &[u8]| {
        if !is_cid(batch) {
            return Ok(Problem::because(key, "its key is not the CID of a batch"));
        }
        // A new one is newer than any of the old form.
        if store.records().exists(batch).await? {
            return Ok(ImportOutcome::Present);
        }
        match from_legacy(&track.value, &consolidate.value) {
            Ok(consolidation) => {
                record::put(key, batch, &consolidation, store.records(), dry_run).await
            }
            Err(e) => Ok(Problem::of(key, &e)),
        }
    };
    let first: ImportOutcome = outcome(&track.key).await?;
    // The other half shares its fate.
    let second = match &first {
        ImportOutcome::Imported => ImportOutcome::Imported,
        ImportOutcome::Present => ImportOutcome::Present,
        ImportOutcome::Failed(problem) => {
            Problem::because(&consolidate.key, problem.reason.clone())
        }
    };
    report.count(first);
    report.count(second);
    Ok(())
}

/// The text of a CID, in the form in which it is a key.
fn is_cid(text: &str) -> bool {
    text.parse::<Cid>().is_ok_and(|cid| cid.to_string() == text)
}
