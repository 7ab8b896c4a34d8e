//! A large object into a `DedupStore` over memory: cut, hashed, and each chunk looked for.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fastcdc::v2020::FastCDC;
use futures_util::{FutureExt, stream};
use storehouse_layers::{DedupOptions, DedupStore, NoopStore};
use storehouse_objectstore::{Body, Error, Key, Memory, ObjectStore, ObjectStoreExt};

use crate::harness::{Contender, Options, Report, Table, runtime};

const ALONE: &str = "fastcdc and blake3 alone";
const NEW: &str = "storehouse put of new bytes";
/// A stream's bytes are copied once. Kept, they take fresh memory, which costs more than the rest.
const STREAMED: &str = "storehouse put of new bytes, streamed, not kept";
const KNOWN: &str = "storehouse put of known bytes";

pub(crate) fn run(options: &Options) -> Report {
    let runtime = runtime();
    let size = options.pick(256, 32) * 1024 * 1024;
    let content: Vec<u8> = (0..size / 8)
        .scan(1_u64, |state, _| {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            Some(state.to_le_bytes())
        })
        .flatten()
        .collect();
    let content = Bytes::from(content);
    let key = Key::new("a").expect("a key");
    let megabytes = size as f64 / 1e6;
    let known = over(Memory::new());
    runtime
        .block_on(known.put(&key, content.clone()))
        .expect("a put");
    let put = |store: Arc<dyn ObjectStore>, body: Body| {
        let key = key.clone();
        async move {
            let started = Instant::now();
            store.put(&key, body).await.expect("a put");
            megabytes / started.elapsed().as_secs_f64()
        }
        .boxed()
    };
    let average = DedupOptions::default().chunk_size;
    let table = Table::measure(
        "MB/s",
        options.pick(11, 3),
        vec![
            Contender::new(ALONE, || {
                let started = Instant::now();
                for chunk in FastCDC::new(&content, average / 4, average, average * 4) {
                    let chunk = &content[chunk.offset..chunk.offset + chunk.length];
                    black_box(blake3::hash(chunk));
                }
                megabytes / started.elapsed().as_secs_f64()
            }),
            Contender::on(&runtime, NEW, || {
                put(over(Memory::new()), content.clone().into())
            }),
            Contender::on(&runtime, STREAMED, || {
                put(over(NoopStore::new()), in_pieces(&content))
            }),
            Contender::on(&runtime, KNOWN, || put(known.clone(), in_pieces(&content))),
        ],
    );
    let mut report = Report::default();
    for name in [NEW, STREAMED, KNOWN] {
        let what = format!("{name}, against {ALONE}");
        report.at_least(&what, table.ratio(name, ALONE), 0.7);
    }
    report.table("one object from memory", table);
    report
}

fn over(chunks: impl ObjectStore) -> Arc<dyn ObjectStore> {
    let store = DedupStore::new(Memory::new(), chunks, DedupOptions::default());
    Arc::new(store.expect("options in their bounds"))
}

fn in_pieces(content: &Bytes) -> Body {
    let (mut rest, size) = (content.clone(), content.len() as u64);
    let pieces = std::iter::from_fn(move || {
        let piece = rest.split_to(rest.len().min(256 * 1024));
        (!piece.is_empty()).then_some(Ok::<_, Error>(piece))
    });
    Body::from_stream(stream::iter(pieces)).with_size(size)
}
