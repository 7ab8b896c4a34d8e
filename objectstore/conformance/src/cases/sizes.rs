//! Rules 2, 4 and 9: objects of every size that is a boundary somewhere, put in every way.

use std::io::Write;

use bytes::Bytes;
use futures_util::StreamExt;

use super::super::Fixture;
use super::super::bodies::{halting, pieces, script};
use super::super::check::{OrFail, ensure, ensure_eq};
use super::super::content::stamped;
use storehouse_objectstore::{Body, GetOptions, Key, PutOptions};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The boundaries, in bytes, and what changes there. Each is tried with one byte less and one more
/// as well.
const BOUNDARIES: &[(u64, &str)] = &[
    (
        0,
        "the empty object, which has no last byte and no satisfiable range",
    ),
    (2, "the smallest object with a first and another last byte"),
    (512, "a disk's sector"),
    (
        4 * KIB,
        "a page of memory, and what file systems and databases keep inline",
    ),
    (8 * KIB, "the usual buffer of a reader or writer"),
    (16 * KIB, "the most in one TLS record"),
    (
        64 * KIB,
        "a pipe's buffer, the smallest piece that is of use",
    ),
    (256 * KIB, "what is read at once from an `AsyncRead`"),
    (512 * KIB, "what is read at once from a file"),
    (
        MIB,
        "the largest piece; above it a blob that may be there is looked for before it is sent",
    ),
    (5 * MIB, "the smallest part of an S3 upload"),
    (
        8 * MIB,
        "the usual part of an S3 upload, and the usual limit of a single put",
    ),
    (16 * MIB, "two such parts"),
];

/// The sizes to try, up to what the store's pace affords.
fn sizes(fixture: &Fixture, largest: u64) -> impl Iterator<Item = (usize, &'static str)> {
    let largest = largest
        .min(fixture.known().pace.largest)
        .min(fixture.store().capabilities().max_size);
    let around = |&(at, why): &(u64, &'static str)| {
        [at.saturating_sub(1), at, at + 1].map(|size| (size as usize, why))
    };
    let mut sizes: Vec<_> = BOUNDARIES
        .iter()
        .flat_map(around)
        .filter(|(size, _)| *size as u64 <= largest)
        .collect();
    sizes.dedup_by_key(|(size, _)| *size);
    sizes.into_iter()
}

/// Asserts that the object is `bytes`, whole, by every way to read it, in pieces as rule 9 has
/// them.
async fn assert_reads(fixture: &Fixture, key: &Key, bytes: &Bytes, why: &str) {
    let object = fixture
        .store()
        .get_opts(key, GetOptions::default())
        .await
        .or_fail(9, format_args!("get of {} bytes ({why})", bytes.len()));
    ensure_eq!(
        9,
        object.size(),
        bytes.len() as u64,
        "the size with get ({why})"
    );
    ensure_eq!(
        9,
        object.body.size(),
        Some(bytes.len() as u64),
        "the body's own size ({why})"
    );
    let mut at = 0;
    let mut body = object.body;
    while let Some(piece) = body.next().await {
        let piece = piece.or_fail(
            9,
            format_args!("reading at byte {at} of {} ({why})", bytes.len()),
        );
        ensure!(
            9,
            !piece.is_empty(),
            "an empty piece at byte {at} of {} ({why})",
            bytes.len()
        );
        ensure!(
            9,
            piece.len() as u64 <= MIB,
            "a piece of {} bytes, more than 1 MiB ({why})",
            piece.len()
        );
        let expected = bytes.get(at..at + piece.len());
        ensure!(
            2,
            expected == Some(&piece[..]),
            "the piece of {} bytes at byte {at} of {} is not what was put ({why})",
            piece.len(),
            bytes.len()
        );
        at += piece.len();
        ensure_eq!(
            9,
            body.size(),
            Some((bytes.len() - at) as u64),
            "what the body says is left ({why})"
        );
    }
    ensure_eq!(9, at, bytes.len(), "the bytes read ({why})");
    let head = fixture
        .store()
        .head(key)
        .await
        .or_fail(8, format_args!("head ({why})"));
    ensure_eq!(
        7,
        head,
        object.metadata,
        "what head says, against get ({why})"
    );
}

/// Puts and reads back every size, in the way that `body` makes of the bytes.
async fn in_every_size<F: Future<Output = Body>>(
    fixture: &Fixture,
    largest: u64,
    body: impl Fn(Bytes) -> F,
) {
    let key = fixture.key("size");
    for (version, (size, why)) in sizes(fixture, largest).enumerate() {
        let bytes = stamped(version as u64, size);
        let options = PutOptions::default().size(size as u64);
        let put = fixture
            .try_put(&key, body(bytes.clone()).await, options)
            .await;
        let put = put.or_fail(4, format_args!("put of {size} bytes ({why})"));
        assert_reads(fixture, &key, &bytes, why).await;
        let head = fixture.store().head(&key).await.or_fail(7, "head");
        ensure_eq!(
            7,
            head.etag,
            put.etag,
            "the ETag by head, against the one that put gave ({why})"
        );
    }
    fixture.assert_nothing_left(4, "puts that succeeded").await;
}

pub(in super::super) async fn as_bytes(fixture: Fixture) {
    in_every_size(&fixture, u64::MAX, |bytes| async { bytes.into() }).await;
}

pub(in super::super) async fn as_stream(fixture: Fixture) {
    in_every_size(&fixture, u64::MAX, |bytes| async move {
        script(halting(&bytes, 100_000)).0
    })
    .await;
}

pub(in super::super) async fn as_stream_of_odd_pieces(fixture: Fixture) {
    // Pieces of one byte are for small objects; pieces of 3 MiB fit no boundary.
    in_every_size(&fixture, 16 * KIB + 1, |bytes| async move {
        script(pieces(&bytes, 1)).0
    })
    .await;
    in_every_size(&fixture, u64::MAX, |bytes| async move {
        script(pieces(&bytes, 3 << 20)).0
    })
    .await;
}

pub(in super::super) async fn as_reader(fixture: Fixture) {
    in_every_size(&fixture, 8 * MIB + 1, |bytes| async {
        Body::from_reader(std::io::Cursor::new(bytes))
    })
    .await;
}

pub(in super::super) async fn as_file(fixture: Fixture) {
    in_every_size(&fixture, 8 * MIB + 1, |bytes| async move {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(&bytes).expect("writing a temporary file");
        // Open by then, so that its name may go.
        Body::from_path(file.path())
            .await
            .expect("opening a temporary file")
    })
    .await;
}
