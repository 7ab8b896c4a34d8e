use crate::dag_cbor::Writer;
use crate::{Cid, varint};

/// Appends the header of a container with these roots to `out`.
///
/// ```
/// use storehouse_formats::car::{CarLimits, CarReader, dag_cbor_cid_of, write_header};
///
/// let (mut file, root) = (Vec::new(), dag_cbor_cid_of(b"\xa0"));
/// write_header(&mut file, &[root.clone()]);
/// assert_eq!(CarReader::new(file.as_slice(), CarLimits::default())?.roots(), [root]);
/// # Ok::<(), storehouse_formats::car::CarError>(())
/// ```
pub fn write_header(out: &mut Vec<u8>, roots: &[Cid]) {
    let mut header = Writer::with_capacity(20 + 41 * roots.len());
    header.map(2);
    header.text("roots");
    header.list(roots.len());
    for root in roots {
        header.link(root);
    }
    header.text("version");
    header.uint(1);
    let header = header.into_bytes();
    write_varint(out, header.len() as u64);
    out.extend_from_slice(&header);
}

/// Appends a block to `out`. The CID is taken at its word.
///
/// ```
/// use storehouse_formats::car::{Archive, CarLimits, dag_cbor_cid_of, write_block, write_header};
///
/// let (mut file, cid) = (Vec::new(), dag_cbor_cid_of(b"\xa0"));
/// write_header(&mut file, &[cid.clone()]);
/// write_block(&mut file, &cid, b"\xa0");
/// let archive = Archive::parse(file.into(), CarLimits::default())?;
/// assert_eq!(archive.root_block()?.cid, cid);
/// # Ok::<(), storehouse_formats::car::CarError>(())
/// ```
pub fn write_block(out: &mut Vec<u8>, cid: &Cid, data: &[u8]) {
    write_varint(out, (cid.as_bytes().len() + data.len()) as u64);
    out.extend_from_slice(cid.as_bytes());
    out.extend_from_slice(data);
}

/// Appends an unsigned varint to `out`.
///
/// ```
/// let mut out = Vec::new();
/// storehouse_formats::car::write_varint(&mut out, 300);
/// assert_eq!(out, [0xac, 0x02]);
/// ```
pub fn write_varint(out: &mut Vec<u8>, value: u64) {
    varint::write(out, value);
}
