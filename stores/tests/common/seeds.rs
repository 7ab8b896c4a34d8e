//! Good inputs to begin with, and what can be done to them.

use std::path::Path;

/// A small generator of numbers: the same for the same seed.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// The next number, below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}

/// Good inputs of a decoder, from the vectors in `dir`.
pub(crate) fn seeds(dir: &Path, decoder: &str) -> Vec<Vec<u8>> {
    let files = |folder: &str| {
        let mut files: Vec<_> = std::fs::read_dir(dir.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
            .into_iter()
            .filter(|path| path.is_file())
            .map(|path| std::fs::read(path).unwrap())
            .collect::<Vec<_>>()
    };
    let one = |path: &str| vec![std::fs::read(dir.join(path)).unwrap()];
    match decoder {
        "allocation" | "acceptance" | "consolidation" | "delegation" => files(&format!("records/{decoder}")),
        "receipt" => [files("records/receipt-store"), files("records/receipt-archive")].concat(),
        "car" => [files("records/delegation"), files("records/receipt-store")].concat(),
        "dag_cbor" | "codecs" => [
            files("records/allocation"),
            files("records/acceptance"),
            vec![b"[\"a\",[1,2],true]".to_vec(), b"\x83\x61a\x82\x01\x02\xf5".to_vec()],
        ]
        .concat(),
        "did_bytes" => {
            vec![b"\x9d\x1aweb:example.com".to_vec(), [&[0xed, 1][..], &[7; 32]].concat(), [&[0x85, 0x24][..], &[7; 270]].concat()]
        }
        "did_text" => ["did:web:localhost%3A3000", "did:key:z6Mkk89bC3JrVqKie71YEcc5M1SMVxuCgNx6zLZ8SYJsxALi", "did:web:../../x"]
            .map(|did| did.as_bytes().to_vec())
            .to_vec(),
        "ucan_block" => blocks(files("records/delegation")),
        "receipt_block" => blocks(files("records/receipt-store")),
        "delegation_text" => vec![b"mAYIEAA".to_vec(), b"uAYIEAA".to_vec()],
        "leveldb_log" => {
            [one("data_dir/acceptance/000003.log"), one("data_dir/consolidation/000001.log"), one("data_dir/claim/MANIFEST-000007")]
                .concat()
        }
        "leveldb_table" => [one("data_dir/claim/000005.ldb"), one("data_dir/acceptance/000002.ldb")].concat(),
        // Two records of which one is deleted; and an edit that adds, removes and points to tables.
        "leveldb_record" => vec![
            b"\x07\0\0\0\0\0\0\0\x03\0\0\0\x01\x01a\x03one\x01\x01b\x03two\x00\x01a".to_vec(),
            b"\x01\x1aleveldb.BytewiseComparator\x02\x03\x09\x00\x03\x09\x04\x07\x05\x00\x01a\x07\x00\x05\x09\x01a\x01z\x06\x00\x05"
                .to_vec(),
        ],
        // Two versions of a key and another one that shares its beginning.
        "leveldb_block" => vec![
            b"\x00\x0a\x03ab\x01\x09\0\0\0\0\0\0new\x03\x07\x03\x08\0\0\0\0\0\0old\x01\x09\x00c\x00\x01\0\0\0\0\0\0\0\0\0\0\x01\0\0\0"
                .to_vec(),
        ],
        other => panic!("no seeds for {other}"),
    }
}

/// All blocks of these archives.
fn blocks(archives: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    use storehouse_formats::car::{Archive, CarLimits};
    let archives = archives
        .into_iter()
        .map(|archive| Archive::parse(archive.into(), CarLimits::default()).unwrap());
    archives
        .flat_map(|archive| {
            archive
                .blocks()
                .map(|block| block.data.to_vec())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// An input made from a good one: bits flipped, bytes replaced, removed, repeated or put in, cut
/// off, or lengths made absurd; or no relation of it.
pub(crate) fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>]) -> Vec<u8> {
    if numbers.below(16) == 0 {
        let len = numbers.below(64);
        return (0..len).map(|_| numbers.below(256) as u8).collect();
    }
    let mut data = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(data.len());
        match numbers.below(8) {
            0 if !data.is_empty() => data[at] ^= 1 << numbers.below(8),
            1 if !data.is_empty() => data[at] = numbers.below(256) as u8,
            2 => data.truncate(at),
            3 if !data.is_empty() => drop(data.remove(at)),
            4 => data.insert(at, numbers.below(256) as u8),
            // A length of many bytes, in CBOR's and in varint's form.
            5 => drop(data.splice(
                at..at,
                [
                    [0x5b, 0x7b, 0x9b, 0xbb][numbers.below(4)],
                    0,
                    0,
                    0,
                    0x7f,
                    0xff,
                    0xff,
                    0xff,
                    0xff,
                ],
            )),
            6 => drop(data.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x7f])),
            _ => {
                let end = (at + numbers.below(40)).min(data.len());
                let piece = data[at..end].to_vec();
                let to = numbers.below(data.len() + 1);
                drop(data.splice(to..to, piece));
            }
        }
    }
    data
}
