use ipld_core::cid::Cid;

use crate::dag_cbor::Writer;

/// Appends the header of a container with these roots to `out`.
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
pub fn write_block(out: &mut Vec<u8>, cid: &Cid, data: &[u8]) {
    write_varint(out, (cid.encoded_len() + data.len()) as u64);
    // A vector takes all that it is given.
    let _ = cid.write_bytes(&mut *out);
    out.extend_from_slice(data);
}

/// Appends an unsigned varint to `out`.
pub fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
