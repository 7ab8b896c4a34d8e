//! Every decoder of records, with what must hold of it for any bytes. The property tests and the
//! fuzz targets run the same.

use bytes::Bytes;
use storehouse_formats::car::{Archive, CarLimits, CarReader, dag_cbor_cid_of};
use storehouse_formats::dag_cbor::{Problem, Reader, Writer};
use storehouse_formats::leveldb::Database;
use storehouse_formats::ucan::ReceiptForm;
use storehouse_genericstore::{Cbor, Codec, DagCbor, Json};
use storehouse_stores::{Acceptance, Allocation, Consolidation, Delegation, Did, Ipld, Receipt};

/// A decoder by name.
pub(crate) type Decoder = (&'static str, fn(&[u8]));

/// All of them. Each panics if what must hold does not.
pub(crate) const DECODERS: [Decoder; 17] = [
    ("did_bytes", did_bytes),
    ("did_text", did_text),
    ("dag_cbor", dag_cbor),
    ("allocation", allocation),
    ("acceptance", acceptance),
    ("consolidation", consolidation),
    ("delegation", delegation),
    ("delegation_text", delegation_text),
    ("ucan_block", ucan_block),
    ("receipt_block", receipt_block),
    ("receipt", receipt),
    ("car", car),
    ("codecs", codecs),
    ("leveldb_log", leveldb_log),
    ("leveldb_table", leveldb_table),
    ("leveldb_record", leveldb_record),
    ("leveldb_block", leveldb_block),
];

fn did_bytes(data: &[u8]) {
    if let Ok(did) = Did::from_bytes(data) {
        assert_eq!(did.as_bytes(), data);
        same_did(&did);
    }
}

fn did_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(did) = text.parse::<Did>() {
        assert_eq!(did.to_string(), text);
        same_did(&did);
    }
}

fn same_did(did: &Did) {
    let text = did.to_string();
    assert_eq!(text.parse::<Did>().unwrap(), *did);
    assert_eq!(Did::from_bytes(did.as_bytes()).unwrap(), *did);
    assert!(
        !text.contains('/') && storehouse_objectstore::Key::new(&text).is_ok(),
        "{text}"
    );
}

/// Decoded and written again it is canonical: read again it is the same, and written once more the
/// same bytes. What is passed over is judged alike.
fn dag_cbor(data: &[u8]) {
    let (mut reader, mut passed) = (Reader::new(data), Reader::new(data));
    let value = match (reader.ipld(), passed.raw()) {
        (Ok(value), Ok(_)) => value,
        // Of which there is no value in memory.
        (Err(e), Ok(_)) if matches!(e.problem, Problem::Expands | Problem::LinkLength) => return,
        (Err(one), Err(_)) if matches!(one.problem, Problem::Expands | Problem::LinkLength) => {
            return;
        }
        (Err(one), Err(other)) => {
            // A key that comes twice is noticed by one before what follows it is read, and by the
            // other after.
            let twice = [&one, &other]
                .iter()
                .any(|e| matches!(e.problem, Problem::Duplicate(_)));
            assert!(one == other || twice, "{one:?} {other:?}");
            return;
        }
        (a, b) => panic!("{a:?} {b:?}"),
    };
    assert_eq!(reader.offset(), passed.offset());
    if reader.finish().is_err() {
        return;
    }
    let mut writer = Writer::default();
    writer.ipld(&value);
    let bytes = writer.into_bytes();
    assert_eq!(bytes.len(), data.len());
    assert_eq!(Reader::new(&bytes).ipld().unwrap(), value);
    let mut raw = Reader::new(data);
    assert_eq!(raw.raw().unwrap(), data);
    // Of another's making: what it takes, in order, is what we write.
    if let Ok(theirs) = <DagCbor as Codec<Ipld>>::decode(&DagCbor, &Bytes::copy_from_slice(data)) {
        assert_eq!(theirs, value);
    }
}

fn allocation(data: &[u8]) {
    if let Ok(record) = Allocation::decode(data) {
        let bytes = record.encode();
        // Fields are neither lost nor passed over: in another order at most.
        assert_eq!(bytes.len(), data.len());
        assert_eq!(Allocation::decode(&bytes).unwrap(), record);
    }
}

fn acceptance(data: &[u8]) {
    if let Ok(record) = Acceptance::decode(data) {
        let bytes = record.encode();
        assert!(bytes.len() <= data.len());
        assert_eq!(Acceptance::decode(&bytes).unwrap(), record);
    }
}

fn consolidation(data: &[u8]) {
    if let Ok(record) = Consolidation::decode(&Bytes::copy_from_slice(data)) {
        let bytes = record.encode();
        assert!(bytes.len() <= data.len());
        assert_eq!(Consolidation::decode(&bytes).unwrap(), record);
    }
}

fn delegation(data: &[u8]) {
    let Ok(record) = Delegation::decode(Bytes::copy_from_slice(data)) else {
        return;
    };
    assert_eq!(record.as_bytes(), data);
    assert_eq!(record.to_text().parse::<Delegation>().unwrap(), record);
    let _ = record.verify_signature(None);
    for cid in record.proofs() {
        let _ = record.embedded(cid);
    }
    let _ = format!("{record:?}");
}

/// The bytes as a UCAN's block.
fn ucan_block(data: &[u8]) {
    delegation(&ucan_archive(data));
}

/// An archive of a UCAN with this block, whose hashes are right: else hardly any bytes would come
/// that far.
pub(crate) fn ucan_archive(data: &[u8]) -> Bytes {
    let block = (dag_cbor_cid_of(data), Bytes::copy_from_slice(data));
    let mut writer = Writer::default();
    writer.map(1);
    writer.text("ucan@0.9.1");
    writer.link(&block.0);
    let variant = Bytes::from(writer.into_bytes());
    let root = dag_cbor_cid_of(&variant);
    Archive::build(&[root.clone()], &[block, (root, variant)])
}

/// The same for a receipt's block.
fn receipt_block(data: &[u8]) {
    receipt(&receipt_archive(data));
}

/// An archive of a receipt with this block.
pub(crate) fn receipt_archive(data: &[u8]) -> Bytes {
    let cid = dag_cbor_cid_of(data);
    Archive::build(&[cid.clone()], &[(cid, Bytes::copy_from_slice(data))])
}

fn delegation_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(record) = text.parse::<Delegation>() {
        assert_eq!(record.to_text().parse::<Delegation>().unwrap(), record);
    }
}

fn receipt(data: &[u8]) {
    let Ok(record) = Receipt::decode(Bytes::copy_from_slice(data)) else {
        return;
    };
    assert_eq!(record.in_form(record.form()), data);
    let other = match record.form() {
        ReceiptForm::Store => ReceiptForm::Archive,
        ReceiptForm::Archive => ReceiptForm::Store,
    };
    let converted = Receipt::decode(record.in_form(other)).unwrap();
    assert_eq!(
        (converted.form(), converted.cid(), converted.ran()),
        (other, record.cid(), record.ran())
    );
    let _ = record.verify_signature(None);
    let _ = record.invocation();
    let _ = format!("{record} {record:?}");
}

/// Both readers say the same, and what is read and archived again is the same bytes.
fn car(data: &[u8]) {
    let limits = CarLimits::default()
        .header(1 << 10)
        .section(1 << 16)
        .blocks(64);
    let whole = Archive::parse(Bytes::copy_from_slice(data), limits);
    let streamed = CarReader::new(data, limits).and_then(|mut reader| {
        let roots = reader.roots().to_vec();
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block()? {
            blocks.push((block.cid, Bytes::from(block.data), block.verified));
        }
        Ok((roots, blocks))
    });
    match (whole, streamed) {
        (Ok(archive), Ok((roots, blocks))) => {
            let all: Vec<_> = archive
                .blocks()
                .map(|block| (block.cid, block.data, block.verified))
                .collect();
            assert_eq!((archive.roots(), &all), (&roots[..], &blocks));
            let blocks: Vec<_> = blocks
                .into_iter()
                .map(|(cid, data, _)| (cid, data))
                .collect();
            assert_eq!(Archive::build(&roots, &blocks), data);
        }
        (Err(a), Err(b)) => assert_eq!(
            (a.offset, a.problem.to_string()),
            (b.offset, b.problem.to_string())
        ),
        (a, b) => panic!("{a:?} {b:?}"),
    }
}

fn codecs(data: &[u8]) {
    fn same<T: PartialEq + std::fmt::Debug>(codec: &impl Codec<T>, data: &Bytes) {
        if let Ok(value) = codec.decode(data) {
            let bytes = codec.encode(&value).unwrap();
            assert_eq!(codec.decode(&bytes).unwrap(), value);
        }
    }
    let data = Bytes::copy_from_slice(data);
    type Value = (String, Vec<u64>, Option<bool>);
    same::<Value>(&DagCbor, &data);
    same::<Value>(&Cbor, &data);
    same::<Value>(&Json, &data);
    same::<Ipld>(&DagCbor, &data);
}

fn leveldb_log(data: &[u8]) {
    database(data, &[], "000003.log");
}

fn leveldb_table(data: &[u8]) {
    database(&[], data, "000005.ldb");
}

/// The bytes as a record, of a log and of a manifest, with the right checksum.
fn leveldb_record(data: &[u8]) {
    // What fits into the first block, behind a head of 7 bytes.
    database(
        &chunk(&data[..data.len().min((32 << 10) - 7)]),
        &[],
        "000003.record",
    );
}

/// The bytes as a block of a table, and as its index, with the right checksums.
fn leveldb_block(data: &[u8]) {
    database(&[], &table(0, data), "000005.block");
}

/// Writes a database with this log and table into `dir`.
pub(crate) fn write_database(dir: &std::path::Path, log: &[u8], table: &[u8]) {
    std::fs::create_dir_all(dir).unwrap();
    // A manifest that names log 3 and the table 5 in level 0.
    let edit = [
        &[1, 26][..],
        b"leveldb.BytewiseComparator",
        &[2, 3, 9, 0],
        if table.is_empty() {
            &[]
        } else {
            &[7, 0, 5, 9, 1, b'a', 1, b'z']
        },
    ]
    .concat();
    std::fs::write(dir.join("CURRENT"), "MANIFEST-000001\n").unwrap();
    std::fs::write(dir.join("MANIFEST-000001"), chunk(&edit)).unwrap();
    std::fs::write(dir.join("000003.log"), log).unwrap();
    std::fs::write(dir.join("000005.ldb"), table).unwrap();
}

/// A database with this log and this table, and then with that log as its manifest.
fn database(log: &[u8], table: &[u8], name: &str) {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    DIR.with(|dir| {
        let dir = dir.path().join(name);
        write_database(&dir, log, table);
        read_all(&dir);
        if !log.is_empty() {
            std::fs::write(dir.join("MANIFEST-000001"), log).unwrap();
            read_all(&dir);
        }
    });
}

/// A table of one block, packed or not as `kind` says, whose footer leads to an index of it.
pub(crate) fn table(kind: u8, block: &[u8]) -> Vec<u8> {
    fn varint(mut value: usize, out: &mut Vec<u8>) {
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    let handle = |at: usize, size: usize| {
        let mut handle = Vec::new();
        varint(at, &mut handle);
        varint(size, &mut handle);
        handle
    };
    let trailer = |kind: u8, block: &[u8]| {
        [&[kind][..], &masked_crc([block, &[kind]]).to_le_bytes()].concat()
    };
    let handle_of_block = handle(0, block.len());
    // One entry, for all keys up to "zzz", and one restart.
    let head = [0, 11, handle_of_block.len() as u8];
    let index = [
        &head[..],
        b"zzz",
        &[1, 1, 0, 0, 0, 0, 0, 0],
        &handle_of_block,
        &[0, 0, 0, 0, 1, 0, 0, 0],
    ]
    .concat();
    let mut footer = [vec![0, 0], handle(block.len() + 5, index.len())].concat();
    footer.resize(40, 0);
    footer.extend_from_slice(&0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    [
        block,
        &trailer(kind, block),
        &index,
        &trailer(0, &index),
        &footer,
    ]
    .concat()
}

fn read_all(dir: &std::path::Path) {
    let Ok(database) = Database::open(dir) else {
        return;
    };
    let Ok(records) = database.records() else {
        return;
    };
    let keys: Vec<_> = records.map_while(Result::ok).map(|(key, _)| key).collect();
    assert!(keys.is_sorted_by(|a, b| a < b));
}

/// A record of a log in one chunk, with its checksum.
fn chunk(record: &[u8]) -> Vec<u8> {
    [
        &masked_crc([&[1], record]).to_le_bytes()[..],
        &(record.len() as u16).to_le_bytes(),
        &[1],
        record,
    ]
    .concat()
}

fn masked_crc(parts: [&[u8]; 2]) -> u32 {
    let mut crc = !0_u32;
    for byte in parts.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                crc >> 1 ^ 0x82f6_3b78
            };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}
