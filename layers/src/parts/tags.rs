//! ETags that say which of several stores an object lies in.
//!
//! Two stores may use one text for two versions, so each tag gets its store's mark in front.

use storehouse_objectstore::{ETag, Metadata};

/// The inner store's tag with the mark of that store.
pub(crate) fn marked(mark: &str, etag: &ETag) -> ETag {
    ETag::new(format!("{mark}.{etag}"))
}

/// The same for all that is known of an object.
pub(crate) fn mark(mark: &str, metadata: Metadata) -> Metadata {
    Metadata {
        etag: marked(mark, &metadata.etag),
        ..metadata
    }
}

/// The inner store's tag, if this one has its mark.
pub(crate) fn unmarked(mark: &str, etag: &ETag) -> Option<ETag> {
    let rest = etag.as_str().strip_prefix(mark)?.strip_prefix('.')?;
    Some(ETag::new(rest))
}

/// A tag that no version has, to ask a store whether an object is there at all.
pub(crate) fn of_no_version() -> ETag {
    ETag::new("\"no version\"")
}
