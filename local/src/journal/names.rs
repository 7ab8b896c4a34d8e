//! Names and fixed bytes of the journal's files.

use storehouse_formats::Cid;
use storehouse_formats::car::{CAR_CODEC, SHA2_256, car_cid, write_varint};

/// The open batch.
pub(super) const OPEN: &str = "egress.car.wip";

/// The batch that takes the place of a damaged one, while it is written.
pub(super) const SALVAGED: &str = "egress.car.wip.salvaged";

/// Space that is given up when the disk is full.
pub(super) const RESERVE: &str = ".reserve";

/// The directory of acknowledgements: one file a batch, named by its CID, holding the time in
/// seconds. Piri skips directories.
pub(super) const ACKNOWLEDGED: &str = "acknowledged";

/// The header of a batch, which has no roots: `varint(17)` and `{"roots": [], "version": 1}`.
pub(super) const HEADER: [u8; 18] = *b"\x11\xa2eroots\x80gversion\x01";

/// The bytes of a frame's CID: version 1, codec 0x0202, sha2-256 of 32 bytes.
pub(super) const FRAME_CID: usize = 37;

/// The most that a frame's archive may hold, in bytes (inclusive): the block that a strict reader
/// takes (32 MiB) less its CID.
pub const MAX_ARCHIVE: usize = (32 << 20) - FRAME_CID;

/// The characters of such a CID: `b`, and 5 bits each.
const CID_TEXT: usize = 1 + (FRAME_CID * 8).div_ceil(5);

/// How such a CID begins, before the 32 bytes of the hash.
pub(super) const CID_START: [u8; 5] = [0x01, 0x82, 0x04, 0x12, 0x20];

/// The name of the n-th damaged batch set aside: `egress.car.wip.damaged-1` and so on. Piri passes
/// such names over.
pub(super) fn set_aside(n: u32) -> String {
    format!("{OPEN}.damaged-{n}")
}

pub(super) fn batch(cid: &Cid) -> String {
    format!("egress.{cid}.car")
}

/// The batch whose file has this name: only a CIDv1 0x0202 sha2-256 in the text form in which it is
/// written. (Any other name would be a second name for the same batch, or no batch.)
pub(super) fn parse_batch(name: &str) -> Option<Cid> {
    parse_cid(name.strip_prefix("egress.")?.strip_suffix(".car")?)
}

pub(super) fn parse_cid(text: &str) -> Option<Cid> {
    // The form that is written has one length. Others may be costly to decode, base58 for one.
    if text.len() != CID_TEXT || !text.starts_with('b') {
        return None;
    }
    let cid = Cid::try_from(text).ok()?;
    (is_car(&cid) && cid.to_string() == text).then_some(cid)
}

/// Whether this is a CIDv1 0x0202 sha2-256.
pub(super) fn is_car(cid: &Cid) -> bool {
    cid.version() == 1
        && cid.codec() == CAR_CODEC
        && cid.hash_code() == SHA2_256
        && cid.hash().len() == 32
}

/// A frame: `varint(37 + len)`, the archive's CID, the archive.
pub(super) fn frame(archive_sha256: [u8; 32], archive: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(5 + FRAME_CID + archive.len());
    write_varint(&mut frame, (FRAME_CID + archive.len()) as u64);
    frame.extend_from_slice(&CID_START);
    frame.extend_from_slice(&archive_sha256);
    frame.extend_from_slice(archive);
    frame
}

/// The CID of a batch or archive with this hash.
pub(super) fn cid(sha256: [u8; 32]) -> Cid {
    car_cid(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_passed_over() {
        let cid = cid([7; 32]);
        assert_eq!(parse_batch(&batch(&cid)), Some(cid.clone()));
        let upper = batch(&cid).to_uppercase();
        for other in [
            OPEN,
            &set_aside(1),
            "egress..car",
            "egress.car",
            "consolidation",
            "egress.bafy.car",
            &upper,
            &format!("{}.tmp", batch(&cid)),
        ] {
            assert_eq!(parse_batch(other), None, "{other}");
        }
        let not_a_car = Cid::v1(0x71, SHA2_256, cid.hash());
        assert_eq!(parse_batch(&batch(&not_a_car)), None);
        assert_eq!(cid.to_string().len(), CID_TEXT);
        // A million digits of base58 or base36 would take minutes.
        for base in ['z', 'k', 'b', 'Q'] {
            let long = format!("{base}{}", "1".repeat(1 << 20));
            assert_eq!(parse_batch(&format!("egress.{long}.car")), None);
        }
    }

    #[test]
    fn the_header_is_that_of_a_car_without_roots() {
        let mut header = Vec::new();
        storehouse_formats::car::write_header(&mut header, &[]);
        assert_eq!(header, HEADER);
    }
}
