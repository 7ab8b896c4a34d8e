//! Types of stores over nothing else.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::config::S3Config;
use crate::tree::plan::{BackendPlan, StorePlan};
use crate::tree::settings::StoreSettings;

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct FlatfsSettings {
    path: PathBuf,
    #[serde(default)]
    log: bool,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct DirectorySettings {
    path: PathBuf,
}

/// The settings of a bucket, as a schema says them: those of a server, and the bucket.
#[cfg(feature = "schema")]
pub(super) struct BucketSettings;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for BucketSettings {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BucketSettings".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = S3Config::json_schema(generator);
        if let Some(properties) = schema.ensure_object().get_mut("properties") {
            properties["bucket"] = serde_json::json!({
                "description": "The whole name of the bucket.",
                "type": "string",
            });
            properties
                .as_object_mut()
                .map(|names| names.remove("bucket_prefix"));
        }
        if let Some(serde_json::Value::Array(required)) = schema.ensure_object().get_mut("required")
        {
            required.push("bucket".into());
        }
        schema
    }
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

pub(super) fn fs(settings: StoreSettings) -> Result<StorePlan> {
    let path = directory(&settings)?;
    Ok(StorePlan::backend(BackendPlan::Fs { path }))
}

pub(super) fn datastore(settings: StoreSettings) -> Result<StorePlan> {
    redb(settings)
}

pub(super) fn redb(settings: StoreSettings) -> Result<StorePlan> {
    let path = directory(&settings)?;
    Ok(StorePlan::backend(BackendPlan::Redb { path }))
}

fn directory(settings: &StoreSettings) -> Result<PathBuf> {
    let DirectorySettings { path } = settings.read()?;
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
