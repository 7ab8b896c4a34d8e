//! How blobs are kept in files.

use serde::Deserialize;

/// The section `[repo.flatfs]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct FlatfsConfig {
    /// Whether small puts are made durable in a write-ahead log first, and their files later:
    /// faster, but after a power cut storehouse must open the directory before a Go node does.
    /// Without it each put syncs its file and directory.
    pub log: bool,
}
