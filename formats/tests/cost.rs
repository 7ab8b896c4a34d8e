//! What text and values from outside cost, counted in allocations rather than in time: whatever is
//! decoded has to be allocated. Alone in its process, because all that is allocated in it counts.

use std::alloc::System;

use bytes::Bytes;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use storehouse_formats::car::{Archive, CarLimits, dag_cbor_cid_of};
use storehouse_formats::dag_cbor::{MAX_IPLD_MULTIPLE, MAX_IPLD_SMALL, RawValue, Writer};
use storehouse_formats::dag_json::{JsonError, JsonLimits, JsonWriter, size};
use storehouse_formats::ucan::Delegation;
use storehouse_formats::{Cid, Did, multibase};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// All that is ever allocated while `work` runs, freed or not.
fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let result = work();
    (result, region.change().bytes_allocated)
}

/// One test, because what another does at the same time would be counted too.
#[test]
fn cost_is_in_proportion() {
    long_text_is_refused_before_it_is_decoded();
    json_is_a_stream();
    values_in_memory_are_bounded();
    archives_of_empty_blocks();
}

fn long_text_is_refused_before_it_is_decoded() {
    // A digit that all of these bases have, or nearly all: what is refused by its length is refused
    // whatever it holds.
    for prefix in ['z', 'Z', 'k', 'K', '9', 'Q'] {
        let text = format!("{prefix}m{}", "2".repeat(1 << 20));
        let json = format!("\"{text}\"");
        let refused: [(&str, usize); 5] = [
            ("cid", allocated(|| text.parse::<Cid>().unwrap_err()).1),
            (
                "cid in JSON",
                allocated(|| serde_json::from_str::<Cid>(&json).unwrap_err()).1,
            ),
            ("did", allocated(|| format_did(&text).unwrap_err()).1),
            (
                "did in JSON",
                allocated(|| serde_json::from_str::<Did>(&json).unwrap_err()).1,
            ),
            (
                "multibase",
                allocated(|| multibase::decode(&text).unwrap_err()).1,
            ),
        ];
        for (what, bytes) in refused {
            // A decoder would allocate half a megabyte at least. The DID's text is made here.
            let besides = if what == "did" { 2 * text.len() } else { 0 };
            assert!(bytes <= besides + 4096, "{what} {prefix}: {bytes} bytes");
        }
    }
    // The longest that is decoded in quadratic time, and one more.
    let longest = "z".to_owned() + &"2".repeat(multibase::MAX_QUADRATIC);
    multibase::decode(&longest).unwrap();
    multibase::decode(&(longest + "2")).unwrap_err();
}

fn format_did(text: &str) -> Result<Did, storehouse_formats::Error> {
    format!("did:key:{text}").parse()
}

/// A UCAN's archive whose capability has this argument.
fn ucan(nb: &[u8]) -> Delegation {
    let mut writer = Writer::default();
    writer.map(7);
    writer.text("s");
    writer.bytes(&[&[0xed, 0xa1, 3, 64][..], &[0; 64]].concat());
    writer.text("v");
    writer.text("0.9.1");
    writer.text("att");
    writer.list(1);
    writer.map(3);
    writer.text("nb");
    writer.raw(nb);
    writer.text("can");
    writer.text("x/y");
    writer.text("with");
    writer.text("did:web:example.com");
    for field in ["aud", "iss"] {
        writer.text(field);
        writer.bytes(&[&[0xed, 1][..], &[7; 32]].concat());
        if field == "aud" {
            writer.text("exp");
            writer.null();
        }
    }
    writer.text("prf");
    writer.list(0);
    let block = Bytes::from(writer.into_bytes());
    let cid = dag_cbor_cid_of(&block);
    let mut writer = Writer::default();
    writer.map(1);
    writer.text("ucan@0.9.1");
    writer.link(&cid);
    let variant = Bytes::from(writer.into_bytes());
    let root = dag_cbor_cid_of(&variant);
    let archive = Archive::build(&[root.clone()], &[(cid, block), (root, variant)]);
    Delegation::decode(archive).unwrap()
}

/// Values that take the most room in other forms.
fn expanding() -> Vec<(&'static str, Vec<u8>)> {
    const MANY: usize = 1 << 18;
    let list = |item: &[u8]| [&[0x9a, 0, 4, 0, 0][..], &item.repeat(MANY)].concat();
    let mut keys = Writer::default();
    keys.map(1 << 16);
    // In no order.
    (0..1 << 16_u32).for_each(|number: u32| {
        keys.text(&format!("{:x}", number.wrapping_mul(0x9e37_79b1)));
        keys.null();
    });
    vec![
        ("empty byte strings", list(&[0x40])),
        ("empty maps", list(&[0xa0])),
        ("small maps", list(&[0xa1, 0x60, 0])),
        ("empty text", list(&[0x60])),
        (
            "large floats",
            list(&[&[0xfb][..], &1e300_f64.to_be_bytes()].concat()),
        ),
        (
            "control characters",
            [&[0x7a, 0, 4, 0, 0][..], &[1; MANY]].concat(),
        ),
        ("keys in no order", keys.into_bytes()),
    ]
}

fn json_is_a_stream() {
    let mut refused = 0;
    for (what, nb) in expanding() {
        let delegation = ucan(&nb);
        let record = delegation.as_bytes().len();
        let limits = JsonLimits::for_record(record);
        // Into a buffer, as an answer is made.
        let (result, bytes) = allocated(|| {
            let mut text = Vec::new();
            delegation
                .write_json(&mut JsonWriter::new(&mut text, limits))
                .map(|()| text)
        });
        assert!(
            bytes <= 16 * record + (256 << 10),
            "{what}: {bytes} for {record}"
        );
        match result {
            Ok(text) => {
                assert!(text.len() <= 4 * record + (64 << 10), "{what}");
                serde_json::from_slice::<serde::de::IgnoredAny>(&text).unwrap();
                let counted = size(limits, |json| delegation.write_json(json)).unwrap();
                assert_eq!(counted, text.len() as u64);
            }
            Err(JsonError::TooLarge(_)) => refused += 1,
            Err(e) => panic!("{what}: {e}"),
        }
        // As a stream without these limits it takes next to nothing, however long it is.
        let (written, bytes) = allocated(|| {
            let limits = JsonLimits::default().values(u64::MAX).bytes(u64::MAX);
            size(limits, |json| delegation.write_json(json)).unwrap()
        });
        assert!(
            bytes <= 16 * record,
            "{what}: {bytes} allocated for {written} of JSON, {record} of record"
        );
        // A signature is checked without keeping what is signed.
        let (_, bytes) = allocated(|| delegation.verify_signature(None).unwrap_err());
        assert!(
            bytes <= 16 * record,
            "{what}: {bytes} allocated to verify {record}"
        );
    }
    assert!(refused >= 2, "{refused}: what expands the most is refused");
}

fn values_in_memory_are_bounded() {
    let mut refused = 0;
    for (what, value) in expanding() {
        let value = RawValue::new(value.into()).unwrap();
        let len = value.as_bytes().len();
        let (result, bytes) = allocated(|| value.to_ipld());
        assert!(
            bytes <= (MAX_IPLD_MULTIPLE * len).max(MAX_IPLD_SMALL),
            "{what}: {bytes} for {len}"
        );
        refused += usize::from(result.is_err());
        let (facts, bytes) = allocated(|| ucan(value.as_bytes()).capabilities().count());
        assert_eq!(facts, 1);
        assert!(bytes <= 16 * len, "{what}: {bytes} for {len}");
    }
    assert!(refused >= 3, "{refused}");
    // What is small is always given.
    let small = RawValue::new(vec![0x81; 100].into_iter().chain([0xa0]).collect()).unwrap();
    small.to_ipld().unwrap();
}

fn archives_of_empty_blocks() {
    let header = Archive::build(&[dag_cbor_cid_of(b"")], &[]);
    let bytes = Bytes::from([&header[..], &[4, 1, 0x71, 0, 0].repeat(100_000)].concat());
    let len = bytes.len();
    let (archive, bytes) = allocated(|| Archive::parse(bytes, CarLimits::default()).unwrap());
    assert_eq!(archive.blocks().len(), 100_000);
    assert!(bytes <= 8 * len, "{bytes} for {len}");
}
