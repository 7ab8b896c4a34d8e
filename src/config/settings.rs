//! The whole of a configuration.

use std::path::PathBuf;

use serde::Deserialize;

use super::units;
use super::{BackendKind, FlatfsConfig, JournalConfig, KeystoreConfig, S3Config, StoresConfig};
use crate::tree::{NamedStores, StoreTypes};

/// What picks the backends.
///
/// [`Config::default`], and [`Config::load`] without a file, keep everything in memory. A
/// configuration text that picks no backend is refused when stores are opened: memory is
/// `repo.backend = "memory"` there, so that a setting that was forgotten loses no data.
///
/// Read from TOML with Piri's names ([`Config::from_toml`], [`Config::from_path`]), with
/// environment variables over it ([`Config::with_env`]), or filled in by hand. Unknown names are
/// errors.
///
/// ```toml
/// [repo]
/// data_dir = "/var/lib/node"        # blobs in /var/lib/node/pdp/datastore, records in /var/lib/node/records
/// min_free = "1 GiB"                # what puts leave free on each disk
///
/// [repo.s3]                         # if this section is there, blobs and records are on S3 instead; data_dir is needed all the same
/// endpoint = "minio.internal:9000"  # host:port with `insecure`, or a URL
/// bucket_prefix = "node1-"          # blobs in the bucket node1-pdp
/// insecure = true                   # http; the default is https
/// region = "us-east-1"
/// stall_timeout = "30 s"            # see S3Config for this and the other limits
///
/// [repo.s3.credentials]             # without it: AWS's usual places
/// access_key_id = "…"
/// secret_access_key = "…"
///
/// [repo.stores.blobs]               # one store elsewhere; also allocations, acceptances, delegations, receipts, consolidations
/// backend = "flatfs"                # memory, s3, flatfs (blobs), datastore, redb (records)
/// path = "/mnt/large/blobs"         # with s3: bucket, and a section [repo.stores.blobs.s3] for a server of its own
///
/// [repo.stores.receipts]
/// store = "shared"                  # a store of the section [stores]
///
/// [stores.shared]
/// type = "limit"                    # a type of store, and its settings; see StoreTypes
/// operations = 64
/// store = { type = "memory" }       # a store that it is over: settings, or a name
///
/// [repo.flatfs]
/// log = false                       # true: a write-ahead log of small puts
///
/// [repo.keystore]                   # without it keys lie as they are, private to their owner
/// passphrase_file = "/run/secrets/keystore"
///
/// [repo.journal]
/// rotate_bytes = 104857600          # the open batch rotates at this size
/// rotate_seconds = 3600             # and this often, where a rotator runs
/// sync = "every_append"             # or "on_rotation", or "interval" with sync_bytes and sync_millis
/// retain_seconds = 604800           # what a rotator removes of acknowledged batches
/// retain_bytes = 10737418240
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where the node's data lies.
    #[serde(default)]
    pub repo: RepoConfig,
    /// Stores by names of the operator's own, for `repo.stores.NAME.store` and for the program:
    /// the section `[stores]`.
    #[serde(default)]
    pub stores: NamedStores,
    /// The types that `stores` was read with.
    #[serde(skip)]
    pub(super) types: StoreTypes,
    /// The text that it was read from, if any, as its errors call it.
    #[serde(skip)]
    pub(super) origin: Option<String>,
}

/// The section `[repo]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RepoConfig {
    /// The directory for all that lies on local disk. Created if it is missing. Needed as soon as
    /// anything is kept beyond the process: keystore and journal lie here.
    pub data_dir: Option<PathBuf>,
    /// `memory`, and nothing else: everything lies in memory, and is gone with the process. Where
    /// data lies otherwise follows from `data_dir` and `s3`.
    pub backend: Option<BackendKind>,
    /// The bytes that puts leave free on the disk of each store: a put that would leave less is
    /// refused before its body is read, with an error that
    /// [`is_full`](crate::objectstore::Error::is_full). Deleting, opening and the journal go on. 0
    /// is none. Default: the smaller of 1 GiB and a hundredth of the disk.
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    pub min_free: Option<u64>,
    /// Piri's directory for uploads in progress. Accepted so that a Piri configuration opens, and
    /// not used: an upload is staged beside its place, where a rename is atomic.
    pub temp_dir: Option<PathBuf>,
    /// The S3 server, if objects go to one.
    pub s3: Option<S3Config>,
    /// Stores that lie elsewhere than the rest.
    #[serde(default)]
    pub stores: StoresConfig,
    /// How blobs are kept in files.
    #[serde(default)]
    pub flatfs: FlatfsConfig,
    /// How keys are kept.
    #[serde(default)]
    pub keystore: KeystoreConfig,
    /// How the retrieval journal is kept.
    #[serde(default)]
    pub journal: JournalConfig,
}
