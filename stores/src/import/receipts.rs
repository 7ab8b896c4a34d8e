//! Receipts, and what their index says.

use futures_util::{StreamExt, TryStreamExt};
use storehouse_formats::Cid;
use storehouse_objectstore::ObjectStore;

use super::database::{Found, SourceDatabase};
use super::options::{AT_ONCE, ImportOptions};
use super::record;
use super::report::{DatabaseReport, ImportOutcome, Problem};
use crate::{ReceiptStore, Result};

const RECEIPTS: &str = "receipts/";
const RAN: &str = "ranLinkIndex/";

pub(super) async fn import<S: ObjectStore>(
    source: &SourceDatabase,
    store: &ReceiptStore<S>,
    options: &ImportOptions,
    report: &mut DatabaseReport,
) -> Result<()> {
    let mut outcomes = source
        .records(options)
        .map(|found| async move {
            let found = found?;
            Ok::<_, crate::Error>(match found.name() {
                Some(name) if name.starts_with(RAN) => None,
                name => match name.and_then(|name| name.strip_prefix(RECEIPTS)) {
                    Some(name) => Some(
                        record::one(&found, Some(name), store.records(), options.dry_run).await?,
                    ),
                    None => Some(Problem::because(
                        &found.key,
                        "neither a receipt nor an entry of their index",
                    )),
                },
            })
        })
        .buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.try_next().await? {
        report.read += 1;
        match outcome {
            Some(outcome) => report.count(outcome),
            None => report.index += 1,
        }
    }
    if options.dry_run {
        return Ok(());
    }
    // Of several receipts of one invocation, the database's index says which one it leads to.
    let quiet = ImportOptions {
        progress: None,
        ..options.clone()
    };
    let mut entries = source
        .records(&quiet)
        .map(|found| async move { lead(&found?, store).await })
        .buffer_unordered(AT_ONCE);
    while let Some(problem) = entries.try_next().await? {
        if let Some(problem) = problem {
            report.index -= 1;
            report.count(problem);
        }
    }
    Ok(())
}

/// Makes the index lead where the entry does.
async fn lead<S: ObjectStore>(
    found: &Found,
    store: &ReceiptStore<S>,
) -> Result<Option<ImportOutcome>> {
    let Some(ran) = found.name().and_then(|name| name.strip_prefix(RAN)) else {
        return Ok(None);
    };
    let (Ok(ran), Some(cid)) = (ran.parse::<Cid>(), Cid::from_bytes(&found.value).ok()) else {
        return Ok(Some(Problem::because(
            &found.key,
            "an entry of the index that is not from one CID to another",
        )));
    };
    match store.get_by_ran(&ran).await {
        Ok(Some(there)) if there.cid() == cid => return Ok(None),
        Err(e) if !e.is_record() => return Err(e),
        _ => {}
    }
    match store.get(&cid).await {
        Ok(receipt) if receipt.ran() == ran => store.replace(&receipt).await.map(|()| None),
        Ok(_) => Ok(Some(Problem::because(
            &found.key,
            "an entry of the index that leads to the receipt of another invocation",
        ))),
        Err(e) if e.is_not_found() => Ok(Some(Problem::because(
            &found.key,
            "an entry of the index that leads to no receipt",
        ))),
        Err(e) if e.is_record() => Ok(Some(Problem::of(&found.key, &e))),
        Err(e) => Err(e),
    }
}
