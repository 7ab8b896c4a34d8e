//! Types of stores over nothing else.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::config::S3Config;
use crate::tree::plan::{BackendPlan, StorePlan};
use crate::tree::settings::StoreSettings;

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct FlatfsSettings {
    path: PathBuf,
    #[serde(default)]
    log: bool,
}

#[derive(Deserialize)]
struct DatabaseSettings {
    path: PathBuf,
}

pub(super) fn memory(settings: StoreSettings) -> Result<StorePlan> {
    let Nothing {} = settings.read()?;
    Ok(StorePlan::backend(BackendPlan::Memory))
}

pub(super) fn flatfs(settings: StoreSettings) -> Result<StorePlan> {
    let FlatfsSettings { path, log } = settings.read()?;
    settings.not_empty("path", &path)?;
    Ok(StorePlan::backend(BackendPlan::Flatfs { path, log }))
}

pub(super) fn datastore(settings: StoreSettings) -> Result<StorePlan> {
    redb(settings)
}

pub(super) fn redb(settings: StoreSettings) -> Result<StorePlan> {
    let path = database(&settings)?;
    Ok(StorePlan::backend(BackendPlan::Redb { path }))
}

fn database(settings: &StoreSettings) -> Result<PathBuf> {
    let DatabaseSettings { path } = settings.read()?;
    settings.not_empty("path", &path)?;
    Ok(path)
}

pub(super) fn s3(mut settings: StoreSettings) -> Result<StorePlan> {
    let Some(bucket) = settings.take::<String>("bucket")? else {
        return Err(settings.error("bucket", "is not set"));
    };
    settings.not_empty("bucket", &bucket)?;
    // A bucket is named whole here.
    let server: S3Config = settings.read_but(&["bucket_prefix"])?;
    server.check(settings.path(), false)?;
    Ok(StorePlan::backend(BackendPlan::S3 {
        server: Box::new(server),
        bucket,
    }))
}
