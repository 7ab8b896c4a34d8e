//! Archives: CARs whose root names the block that matters.

use bytes::Bytes;

use crate::car::{Archive, Block, CarLimits, dag_cbor_cid_of};
use crate::dag_cbor::{Reader, Writer};
use crate::{Cid, Error, Result};

/// What the root of a delegation's archive names its UCAN block by.
pub(super) const DELEGATION_TAG: &str = "ucan@0.9.1";
/// What the root of a receipt's archive names its receipt by.
pub(super) const RECEIPT_TAG: &str = "ucan/receipt@0.9.1";

/// Reads an archive, every block hashed.
pub(super) fn parse(what: &'static str, bytes: Bytes) -> Result<Archive> {
    Archive::parse(bytes, CarLimits::default()).map_err(|source| Error::Car { what, source })
}

/// The root's block.
pub(super) fn root(what: &'static str, archive: &Archive) -> Result<Block> {
    archive
        .root_block()
        .map_err(|source| Error::Car { what, source })
}

/// The block that matters, which must be there and verified.
pub(super) fn needed(what: &'static str, archive: &Archive, cid: &Cid) -> Result<Block> {
    archive
        .block(cid)
        .map_err(|source| Error::Car { what, source })?
        .ok_or(Error::Archive {
            what,
            reason: "the block that its root links to is not in it",
        })
}

/// The link of a variant block, `{tag: link}`, if the block is one.
pub(super) fn variant(block: &[u8], tag: &str) -> Option<Cid> {
    let mut reader = Reader::new(block);
    if reader.map().ok()? != 1 || reader.text().ok()? != tag {
        return None;
    }
    let link = reader.link().ok()?;
    reader.finish().ok().map(|()| link)
}

/// A variant block with its CID.
pub(super) fn variant_block(tag: &str, link: &Cid) -> (Cid, Bytes) {
    let mut writer = Writer::with_capacity(64);
    writer.map(1);
    writer.text(tag);
    writer.link(link);
    let block = Bytes::from(writer.into_bytes());
    (dag_cbor_cid_of(&block), block)
}
