//! One function a backend: from its settings to the blob store over it. A backend that was not compiled in is an error that says so.

use std::path::Path;
use std::sync::Arc;

use storehouse_blobstore::{BlobStore, KeyEncoder};
use storehouse_objectstore::ObjectStore;

use crate::config::S3Config;
use crate::{Backend, Blobs, Error, Result};

/// Where blobs lie under the data directory, as Piri has it.
#[cfg(feature = "flatfs")]
const BLOBS_DIR: &str = "pdp/datastore";

/// What follows the prefix in the name of the blobs' bucket, as Piri has it.
#[cfg(feature = "s3")]
const BLOBS_BUCKET: &str = "pdp";

type Opened = Result<(Blobs, Backend)>;

#[allow(dead_code, reason = "unused in a build without any backend")]
fn blobs(store: impl ObjectStore, keys: impl KeyEncoder) -> Blobs {
    BlobStore::new(Arc::new(store), Arc::new(keys))
}

#[allow(dead_code, reason = "unused in a build with every backend")]
fn not_built(setting: &str, feature: &str) -> Error {
    Error::setting(setting, format!("this build of storehouse has no such backend; build it with the feature {feature:?}"))
}

#[cfg(feature = "memory")]
pub(crate) fn memory() -> Opened {
    Ok((blobs(storehouse_objectstore::Memory::new(), storehouse_blobstore::PlainKeys), Backend::Memory))
}

#[cfg(not(feature = "memory"))]
pub(crate) fn memory() -> Opened {
    Err(not_built("repo", "memory"))
}

#[cfg(feature = "flatfs")]
pub(crate) async fn flatfs(data_dir: &Path) -> Opened {
    use storehouse_objectstore::flatfs::{FlatFs, FlatFsOptions};

    let path = data_dir.join(BLOBS_DIR);
    let store = FlatFs::open(&path, FlatFsOptions::default()).await.map_err(|e| cannot_open("repo.data_dir", e))?;
    Ok((blobs(store, storehouse_blobstore::FlatfsKeys), Backend::Flatfs { path }))
}

#[cfg(not(feature = "flatfs"))]
pub(crate) async fn flatfs(_: &Path) -> Opened {
    Err(not_built("repo.data_dir", "flatfs"))
}

#[cfg(feature = "s3")]
pub(crate) async fn s3(config: &S3Config) -> Opened {
    use storehouse_objectstore::s3::{Credentials, S3, S3Options};

    let bucket = format!("{}{BLOBS_BUCKET}", config.bucket_prefix);
    let credentials = config.credentials.as_ref().map(|given| Credentials {
        access_key_id: given.access_key_id.clone(),
        secret_access_key: given.secret_access_key.clone(),
        session_token: given.session_token.clone(),
    });
    let options = S3Options {
        endpoint: config.endpoint.clone(),
        insecure: config.insecure,
        region: config.region.clone(),
        bucket: bucket.clone(),
        ca_file: config.ca_file.clone(),
        credentials,
        ..S3Options::default()
    };
    let store = S3::open(options).await.map_err(|e| cannot_open("repo.s3", e))?;
    Ok((blobs(store, storehouse_blobstore::S3Keys), Backend::S3 { endpoint: config.endpoint.clone(), bucket }))
}

#[cfg(not(feature = "s3"))]
pub(crate) async fn s3(_: &S3Config) -> Opened {
    Err(not_built("repo.s3", "s3"))
}

/// The store's error under the setting's full name: the store knows its settings by shorter ones.
#[cfg(any(feature = "flatfs", feature = "s3"))]
fn cannot_open(section: &str, error: storehouse_objectstore::Error) -> Error {
    use std::error::Error as _;
    use storehouse_objectstore::Error as Store;
    match error {
        Store::Config { setting, reason, source } => {
            let setting = if section.ends_with(setting) { section.to_owned() } else { format!("{section}.{setting}") };
            Error::setting(setting, reason).caused_by(source)
        }
        other => {
            let sentence = other.to_string();
            let reason = sentence.strip_prefix("open: ").unwrap_or(&sentence).to_owned();
            let cause = other.source().map(|cause| cause.to_string().into());
            Error::setting(section, reason).caused_by(cause)
        }
    }
}
