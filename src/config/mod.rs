//! Configuration: which backend, where, with whose credentials.

mod env;
mod parse;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// What picks the backends. The default, nothing configured, is memory.
///
/// Read from TOML with Piri's names ([`Config::from_toml`], [`Config::from_path`]), with environment variables over it
/// ([`Config::with_env`]), or filled in by hand. Unknown names are errors.
///
/// ```toml
/// [repo]
/// data_dir = "/var/lib/node"        # blobs in /var/lib/node/pdp/datastore
///
/// [repo.s3]                         # if this section is there, blobs are on S3 instead
/// endpoint = "minio.internal:9000"  # host:port with `insecure`, or a URL
/// bucket_prefix = "node1-"          # blobs in the bucket node1-pdp
/// insecure = true                   # http; the default is https
/// region = "us-east-1"
///
/// [repo.s3.credentials]             # without it: environment or instance
/// access_key_id = "…"
/// secret_access_key = "…"
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where the node's data lies.
    #[serde(default)]
    pub repo: RepoConfig,
}

/// The section `[repo]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RepoConfig {
    /// The directory for all that lies on local disk. Created if it is missing.
    pub data_dir: Option<PathBuf>,
    /// Piri's directory for uploads in progress. Accepted so that a Piri configuration opens, and not used: an upload is staged beside
    /// its place, where a rename is atomic.
    pub temp_dir: Option<PathBuf>,
    /// The S3 server, if objects go to one.
    pub s3: Option<S3Config>,
}

/// The section `[repo.s3]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Config {
    /// `host:port`, or a URL whose scheme then must not contradict `insecure`.
    pub endpoint: String,
    /// What every bucket's name starts with: the blobs' bucket is `{bucket_prefix}pdp`.
    pub bucket_prefix: String,
    /// Plain http instead of https. Without it, https, or what the URL in `endpoint` says.
    pub insecure: Option<bool>,
    /// The region to sign for. Without it `us-east-1`, or the one that the server names.
    pub region: Option<String>,
    /// A file of PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Access keys. Without them they come from the environment or the instance.
    pub credentials: Option<CredentialsConfig>,
}

impl S3Config {
    /// A server without further settings.
    pub fn new(endpoint: impl Into<String>, bucket_prefix: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            bucket_prefix: bucket_prefix.into(),
            insecure: None,
            region: None,
            ca_file: None,
            credentials: None,
        }
    }
}

/// The section `[repo.s3.credentials]`. Both keys or none. `Debug` shows no secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CredentialsConfig {
    /// The access key's name.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<SecretString>,
    /// The token of temporary credentials.
    pub session_token: Option<SecretString>,
}
