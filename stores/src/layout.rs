//! Where records lie, and under which keys.

use bytes::Bytes;
use storehouse_formats::Cid;
use storehouse_genericstore::Namespace;
use storehouse_genericstore::index::{Pointer, TextPointer};

/// The keys of every store's records.
///
/// [`Layout::s3`] and [`Layout::database`] are Piri's; for another, change the fields. Between
/// prefix and suffix lie `{digest}/{DID}` for allocations and acceptances, and the CID for all
/// others.
///
/// ```
/// use storehouse_stores::Layout;
///
/// assert_eq!(Layout::s3().receipts.prefix(), "");
/// assert_eq!(Layout::database().receipts.prefix(), "receipt/receipts/");
///
/// // A bucket that several nodes share.
/// let mut layout = Layout::s3();
/// layout.receipts = storehouse_genericstore::Namespace::new("node-1/", "")?.flat();
/// assert_eq!(layout.receipts.object_key("a")?.as_str(), "node-1/a");
/// # Ok::<(), storehouse_genericstore::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layout {
    /// Allocations.
    pub allocations: Namespace,
    /// Acceptances.
    pub acceptances: Namespace,
    /// Delegations, also called claims.
    pub delegations: Namespace,
    /// Receipts.
    pub receipts: Namespace,
    /// From the invocation that ran to its receipt.
    pub ran: Namespace,
    /// How an entry in `ran` names the receipt.
    pub ran_form: RanForm,
    /// Consolidations.
    pub consolidations: Namespace,
    /// The old form's first half: the archive of the invocation that tracked the batch.
    pub legacy_track: Namespace,
    /// The old form's second half: the CID of the invocation that consolidates it.
    pub legacy_consolidate: Namespace,
}

/// How an index entry names a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RanForm {
    /// By the text of its CID.
    Text,
    /// By the bytes of its CID.
    Binary,
}

/// All the texts here are parts of keys: a test makes every layout.
fn namespace(prefix: &str, suffix: &str) -> Namespace {
    Namespace::new(prefix, suffix).unwrap_or_else(|_| Namespace::root())
}

impl Layout {
    /// Piri's keys on S3, where every store has a bucket of its own: `{digest}/{DID}.cbor`,
    /// `{cid}`, `receipts-ran/{cid}.ref`, `{cid}.cbor`.
    #[must_use]
    pub fn s3() -> Self {
        Self {
            allocations: namespace("", ".cbor"),
            acceptances: namespace("", ".cbor"),
            delegations: namespace("", "").flat(),
            receipts: namespace("", "").flat(),
            ran: namespace("receipts-ran/", ".ref").flat(),
            ran_form: RanForm::Text,
            consolidations: namespace("", ".cbor").flat(),
            legacy_track: namespace("consolidation/track/", ".car").flat(),
            legacy_consolidate: namespace("consolidation/consolidate/", ".ref").flat(),
        }
    }

    /// Piri's keys in embedded databases, all in one: the name of the database's directory, then
    /// the key that it has there.
    #[must_use]
    pub fn database() -> Self {
        Self {
            allocations: namespace("allocation/", ""),
            acceptances: namespace("acceptance/", ""),
            delegations: namespace("claim/", "").flat(),
            receipts: namespace("receipt/receipts/", "").flat(),
            ran: namespace("receipt/ranLinkIndex/", "").flat(),
            ran_form: RanForm::Binary,
            consolidations: namespace("consolidation/", "").flat(),
            legacy_track: namespace("consolidation/track/", "").flat(),
            legacy_consolidate: namespace("consolidation/consolidate/", "").flat(),
        }
    }
}

impl Pointer for RanForm {
    fn encode(&self, key: &str) -> Option<Bytes> {
        match self {
            Self::Text => TextPointer.encode(key),
            Self::Binary => Some(Bytes::copy_from_slice(key.parse::<Cid>().ok()?.as_bytes())),
        }
    }

    fn decode(&self, entry: &[u8]) -> Option<String> {
        let cid = match self {
            Self::Text => std::str::from_utf8(entry).ok()?.parse::<Cid>().ok()?,
            Self::Binary => Cid::from_bytes(entry).ok()?,
        };
        Some(cid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_of_a_database_is_everything() {
        let Layout {
            allocations,
            acceptances,
            delegations,
            receipts,
            ran,
            consolidations,
            legacy_track,
            legacy_consolidate,
            ..
        } = Layout::database();
        for namespace in [
            allocations,
            acceptances,
            delegations,
            receipts,
            ran,
            consolidations,
            legacy_track,
            legacy_consolidate,
        ] {
            assert!(
                namespace.prefix().ends_with('/') && namespace.object_key("x").is_ok(),
                "{namespace:?}"
            );
        }
        for (namespace, key) in [
            (Layout::s3().allocations, "x.cbor"),
            (Layout::s3().ran, "receipts-ran/x.ref"),
            (Layout::s3().legacy_track, "consolidation/track/x.car"),
            (
                Layout::s3().legacy_consolidate,
                "consolidation/consolidate/x.ref",
            ),
        ] {
            assert_eq!(namespace.object_key("x").unwrap().as_str(), key);
        }
    }
}
