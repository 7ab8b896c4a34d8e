//! The job itself: in, out whole, out in ranges, listed, deleted.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt};
use storehouse::blobstore::{Digest, GetBlob, HashFunction, ListBlobs, PutOutcome};
use storehouse::objectstore::Body;
use storehouse::{Blobs, Stores};

use crate::args::Args;
use crate::progress;
use crate::report::{self, Report};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Does it all. An `Err` is something that could not be done; what was done and did not match is in
/// the report.
pub(crate) async fn run(args: &Args) -> Result<Report> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", args.file.display());
    let stores = Stores::open(&args.config).await?;
    let blobs = stores.blobs();

    let body = Body::from_path(&args.file)
        .await
        .map_err(|e| named(&crate::chain(&e)))?;
    let size = body.size().unwrap_or(0);
    let hashing = progress::bar("hashing", size);
    let digest = Digest::of_body(HashFunction::Sha2_256, watched(body, size, &hashing)).await?;
    hashing.finish_and_clear();
    let mut steps = vec![format!(
        "Hashed {}: sha2-256, {digest}.",
        args.file.display()
    )];

    let put = progress::bar("storing", size);
    let started = Instant::now();
    let outcome = blobs
        .put(
            &digest,
            watched(Body::from_path(&args.file).await?, size, &put),
        )
        .await?;
    let put_seconds = started.elapsed().as_secs_f64();
    put.finish_and_clear();
    let already_there = outcome == PutOutcome::AlreadyExists;
    steps.push(match already_there {
        false => format!(
            "Stored it in {}, hashing it again on the way in; it is durable.",
            stores.backend()
        ),
        true => format!(
            "It was in {} before, so it was not sent again.",
            stores.backend()
        ),
    });

    let get = progress::bar("reading", size);
    let started = Instant::now();
    let whole = same(blobs, &digest, &args.file, None, &get).await?;
    let get_seconds = started.elapsed().as_secs_f64();
    get.finish_and_clear();
    steps.push(format!("Read it back whole: {}.", verdict(whole)));

    let mut ranges = true;
    for range in three_ranges(size) {
        let bar = progress::bar("a range", range.end - range.start);
        let same = same(blobs, &digest, &args.file, Some(range.clone()), &bar).await?;
        bar.finish_and_clear();
        steps.push(format!(
            "Read bytes {}..{}: {}.",
            range.start,
            range.end,
            verdict(same)
        ));
        ranges &= same;
    }

    let info = blobs.head(&digest).await?;
    let listed = is_listed(blobs, &digest, size).await?;
    steps.push(format!(
        "Listed the blobs: it is {}.",
        if listed {
            "there with its size"
        } else {
            "NOT THERE"
        }
    ));

    let mut gone = true;
    if args.keep {
        steps.push("Left it where it is, as asked.".to_owned());
    } else {
        blobs.delete(&digest).await?;
        gone = !blobs.exists(&digest).await?;
        steps.push(format!(
            "Deleted it: {}.",
            if gone {
                "it is gone"
            } else {
                "IT IS STILL THERE"
            }
        ));
    }

    Ok(Report {
        digest: digest.to_string(),
        key: info.key.to_string(),
        size,
        backend: stores.backend().to_string(),
        put_bytes_per_second: size as f64 / put_seconds,
        get_bytes_per_second: size as f64 / get_seconds,
        peak_memory_bytes: report::peak_memory(),
        verified: whole && ranges && listed && gone && info.size == size,
        already_there,
        kept: args.keep,
        steps,
    })
}

/// The same body, counted on a progress bar as it passes.
fn watched(body: Body, size: u64, bar: &indicatif::ProgressBar) -> Body {
    let bar = bar.clone();
    Body::from_stream(body.inspect_ok(move |piece| bar.inc(piece.len() as u64))).with_size(size)
}

/// Whether the blob, or a range of it, has the bytes that the file has there.
async fn same(
    blobs: &Blobs,
    digest: &Digest,
    path: &Path,
    range: Option<Range<u64>>,
    bar: &indicatif::ProgressBar,
) -> Result<bool> {
    let options = range.map_or_else(GetBlob::default, |range| GetBlob::default().range(range));
    let blob = blobs.get_opts(digest, options).await?;
    let (mut at, end) = (blob.range.start, blob.range.end);
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut body = blob.body;
    while let Some(piece) = body.next().await.transpose()? {
        bar.inc(piece.len() as u64);
        at += piece.len() as u64;
        let mut expected = vec![0; piece.len()];
        let read = tokio::task::spawn_blocking(move || {
            file.read_exact(&mut expected).map(|()| (file, expected))
        });
        match read.await? {
            Ok((rest, expected)) if expected == piece => file = rest,
            _ => return Ok(false),
        }
    }
    Ok(at == end)
}

/// The first, the middle and the last part of a file, up to 64 KiB each; fewer where the file is
/// too small for three.
fn three_ranges(size: u64) -> Vec<Range<u64>> {
    let len = (size / 3).clamp(1, 64 * 1024);
    let mut ranges = vec![
        0..len,
        size / 2..size / 2 + len,
        size.saturating_sub(len)..size,
    ];
    ranges.retain(|range| range.start < range.end && range.end <= size);
    ranges.dedup();
    ranges
}

async fn is_listed(blobs: &Blobs, digest: &Digest, size: u64) -> Result<bool> {
    let mut listing = blobs.list(ListBlobs::default());
    while let Some(blob) = listing.try_next().await? {
        if blob.digest == *digest {
            return Ok(blob.size == size);
        }
    }
    Ok(false)
}

fn verdict(same: bool) -> &'static str {
    if same {
        "every byte is the same"
    } else {
        "IT IS NOT THE SAME"
    }
}
