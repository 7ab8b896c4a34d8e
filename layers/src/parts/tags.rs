//! ETags that say which of several stores an object lies in.
//!
//! Two stores may use one text for two versions, so each tag gets its store's mark in front.

use storehouse_objectstore::{ETag, Error, GetOptions, Key, Metadata, Operation};

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
fn of_no_version() -> ETag {
    ETag::new("\"no version\"")
}

/// The caller's conditions, for the store of this mark.
pub(crate) fn conditions(mark: &str, options: &GetOptions) -> GetOptions {
    let if_match = options
        .if_match
        .as_ref()
        .map(|etag| unmarked(mark, etag).unwrap_or_else(of_no_version));
    let if_none_match = options
        .if_none_match
        .as_ref()
        .and_then(|etag| unmarked(mark, etag));
    options
        .clone()
        .if_match(if_match)
        .if_none_match(if_none_match)
}

/// A put that is to replace another version.
pub(crate) fn precondition(key: &Key) -> Error {
    Error::Precondition {
        operation: Operation::Put,
        key: key.clone(),
    }
}
