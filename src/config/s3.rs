//! The section of an S3 server.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::units;
use crate::{Error, Result};

/// How old an upload is when it is swept, unless the configuration says otherwise.
const SWEEP_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The section `[repo.s3]`, or `[repo.stores.NAME.s3]` for one store.
///
/// Durations are written as `"10 s"` or `"2 min"`, sizes in bytes or as `"8 MiB"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct S3Config {
    /// `host:port`, or a URL whose scheme then must not contradict `insecure`.
    pub endpoint: String,
    /// What every bucket's name starts with: the blobs' bucket is `{bucket_prefix}pdp`. Not needed
    /// where a store names its bucket itself.
    #[serde(default)]
    pub bucket_prefix: String,
    /// Plain http instead of https. Without it, https, or what the URL in `endpoint` says.
    pub insecure: Option<bool>,
    /// The region to sign for. Without it the one in the name of an AWS host, else `us-east-1`, or
    /// the one that the server names.
    pub region: Option<String>,
    /// A file of PEM certificates to trust beside the system's. Without it `AWS_CA_BUNDLE`.
    pub ca_file: Option<PathBuf>,
    /// Access keys. Without them they come from AWS's usual places: the environment, a profile, a
    /// web identity, the container, the instance.
    pub credentials: Option<CredentialsConfig>,
    /// The profile of `~/.aws` to take keys from. Without it `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Whether requests go unsigned, for public buckets. Default: false.
    #[serde(default)]
    pub anonymous: bool,
    /// Where requests name the bucket. Default: `auto`.
    #[serde(default)]
    pub addressing: AddressingConfig,
    /// Whether a missing bucket is created. Default: true.
    pub create_bucket: Option<bool>,
    /// The longest time that a connection may take to be made. Default: 10 s.
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    pub connect_timeout: Option<Duration>,
    /// The longest time without any progress on the server's side. Default: 60 s.
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    pub stall_timeout: Option<Duration>,
    /// The most times that one request is sent, at least 1. Default: 5.
    pub max_attempts: Option<u32>,
    /// The longest time from a request's first attempt to the start of its last one. Default:
    /// 2 min.
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    pub retry_budget: Option<Duration>,
    /// The size of a part of a multipart upload, 5 MiB to 5 GiB. Default: 8 MiB.
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    pub part_size: Option<u64>,
    /// The most bytes of parts on their way, of all puts of a store. Default: 64 MiB.
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    pub part_memory: Option<u64>,
    /// The most requests at once of a store that do not stream, at least 1. Default: 128.
    pub max_requests: Option<usize>,
    /// The storage class of what is put, like `STANDARD_IA`. Default: the bucket's.
    pub storage_class: Option<String>,
    /// How the server encrypts what is put. Default: as the bucket says.
    pub sse: Option<SseConfig>,
    /// With `sse = "aws:kms"` or `"aws:kms:dsse"`: the key's id, ARN or alias. Default: the
    /// account's key.
    pub sse_kms_key_id: Option<String>,
    /// Uploads of blobs that were begun this long ago and never finished are aborted, once a day;
    /// or `"never"`. Default: 7 days.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    pub sweep_uploads_after: SweepConfig,
}

/// The setting `addressing` of an S3 server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AddressingConfig {
    /// In the host name on AWS, else in the path.
    #[default]
    Auto,
    /// In the path.
    Path,
    /// In the host name.
    Virtual,
}

/// The setting `sse` of an S3 server, by S3's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum SseConfig {
    /// Keys of S3's own.
    #[serde(rename = "AES256")]
    S3,
    /// A key of AWS's key management service.
    #[serde(rename = "aws:kms")]
    Kms,
    /// The same in two layers.
    #[serde(rename = "aws:kms:dsse")]
    KmsDouble,
}

/// The setting `sweep_uploads_after` of an S3 server: a duration, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SweepConfig {
    /// Uploads older than this are aborted.
    After(Duration),
    /// Nothing is swept.
    Never,
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self::After(SWEEP_AFTER)
    }
}

impl<'de> Deserialize<'de> for SweepConfig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        units::parse_duration(&text)
            .map(Self::After)
            .map_err(serde::de::Error::custom)
    }
}

impl S3Config {
    /// A server without further settings.
    ///
    /// ```
    /// let s3 = storehouse::S3Config::new("minio.internal:9000", "node1-");
    /// assert!(s3.credentials.is_none());
    /// ```
    pub fn new(endpoint: impl Into<String>, bucket_prefix: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            bucket_prefix: bucket_prefix.into(),
            ..Self::default()
        }
    }

    /// Checks the section of that name.
    pub(crate) fn check(&self, section: &str, needs_prefix: bool) -> Result<()> {
        let wrong = |name: &str, reason: &str| {
            Err(Error::setting(
                format!("{section}.{name}"),
                reason.to_owned(),
            ))
        };
        let optional = |text: &'_ Option<String>| text.clone().unwrap_or_else(|| "-".into());
        for (name, text, needed) in [
            ("endpoint", self.endpoint.clone(), true),
            ("bucket_prefix", self.bucket_prefix.clone(), needs_prefix),
            ("region", optional(&self.region), true),
            ("profile", optional(&self.profile), true),
            ("storage_class", optional(&self.storage_class), true),
            ("sse_kms_key_id", optional(&self.sse_kms_key_id), true),
        ] {
            if text.is_empty() && needed {
                return wrong(name, "is missing or empty");
            }
        }
        if self.max_attempts == Some(0) {
            return wrong("max_attempts", "is 0; 1 sends every request once");
        }
        if self.max_requests == Some(0) {
            return wrong("max_requests", "is 0; at least 1 is needed");
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if time.is_some_and(|time| time.is_zero()) {
                return wrong(name, "is 0");
            }
        }
        if self.sse_kms_key_id.is_some() && matches!(self.sse, None | Some(SseConfig::S3)) {
            return wrong(
                "sse_kms_key_id",
                "needs sse = \"aws:kms\" or \"aws:kms:dsse\"",
            );
        }
        if self.anonymous && (self.credentials.is_some() || self.profile.is_some()) {
            return wrong(
                "anonymous",
                "is true, but there are credentials or a profile",
            );
        }
        if self.profile.is_some() && self.credentials.is_some() {
            return wrong("profile", "and credentials are both set; leave one out");
        }
        self.credentials.as_ref().map_or(Ok(()), |credentials| {
            credentials.check(&format!("{section}.credentials"))
        })
    }
}

/// The section `credentials` of an S3 server. Both keys or none. `Debug` shows no secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CredentialsConfig {
    /// The access key's name.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub secret_access_key: Option<SecretString>,
    /// The token of temporary credentials.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub session_token: Option<SecretString>,
}

impl CredentialsConfig {
    fn check(&self, section: &str) -> Result<()> {
        let there = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        let id = there(self.access_key_id.as_deref());
        let secret = there(
            self.secret_access_key
                .as_ref()
                .map(ExposeSecret::expose_secret),
        );
        let missing = match (id, secret) {
            (true, true) => return Ok(()),
            (false, true) => "access_key_id",
            (true, false) => "secret_access_key",
            (false, false) => {
                return Err(Error::setting(
                    section,
                    "has neither access_key_id nor secret_access_key; leave it out to take both from the environment",
                ));
            }
        };
        Err(Error::setting(
            format!("{section}.{missing}"),
            "is missing, and credentials need both access_key_id and secret_access_key",
        ))
    }
}
