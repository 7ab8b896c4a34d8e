//! What an observed store counts, with a recorder that keeps what it gets.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::ObservedStore;
use storehouse_objectstore::{
    Batch, Body, Error, GetOptions, Key, ListOptions, Memory, ObjectStore, PutMode, PutOptions,
};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Everything counted since the last look (a snapshot begins anew, gauges too):
/// `name{label=value,…}` to its value; of histograms, the number of samples.
fn counted(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (metric, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = metric.key();
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(level) => level.into_inner(),
            DebugValue::Histogram(samples) => samples.len() as f64,
        };
        all.insert(format!("{}{{{}}}", key.name(), labels.join(",")), value);
    }
    all
}

/// A recorder of this thread: it counts what runs on it while the guard lives.
macro_rules! recorder {
    ($snapshotter:ident) => {
        let recorder = DebuggingRecorder::new();
        let $snapshotter = recorder.snapshotter();
        let _guard = metrics::set_default_local_recorder(&recorder);
    };
}

fn streamed(pieces: &[&'static str]) -> Body {
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece.as_bytes())))
        .collect();
    Body::from_stream(stream::iter(pieces)).with_size(size)
}

#[tokio::test]
async fn each_operation_is_counted_with_its_outcome() {
    recorder!(snapshotter);
    let store = ObservedStore::new(Memory::new(), "things", "memory");
    let (a, b) = (key("a"), key("b"));
    store
        .put_opts(&a, "four".into(), PutOptions::default())
        .await
        .unwrap();
    store
        .put_opts(&b, streamed(&["12345", "678"]), PutOptions::default())
        .await
        .unwrap();
    store
        .put_opts(
            &a,
            "again".into(),
            PutOptions::default().mode(PutMode::Create),
        )
        .await
        .unwrap_err();
    store
        .put_opts(&a, streamed(&["12"]).with_size(1), PutOptions::default())
        .await
        .unwrap_err();
    let mut read = store
        .get_opts(&b, GetOptions::default().range(2..8))
        .await
        .unwrap();
    assert_eq!(read.body.try_next().await.unwrap().unwrap().len(), 6);
    store
        .get_opts(&key("c"), GetOptions::default())
        .await
        .unwrap_err();
    store.head(&a).await.unwrap();
    store.health().await.unwrap();
    drop(store.head(&a));
    assert_eq!(store.list(ListOptions::default()).count().await, 2);
    store
        .batches()
        .unwrap()
        .batch(Batch::new().put(key("d"), "123").delete(a.clone()))
        .await
        .unwrap();
    store.delete(&b).await.unwrap();
    assert_eq!(
        store
            .delete_many(stream::iter([b, key("d")]).boxed())
            .count()
            .await,
        2
    );

    let counted = counted(&snapshotter);
    let expected = [
        ("operations_total", "put,outcome=ok", 2.0),
        ("operations_total", "put,outcome=condition", 1.0),
        ("operations_total", "put,outcome=invalid_input", 1.0),
        ("operations_total", "get,outcome=ok", 1.0),
        ("operations_total", "get,outcome=not_found", 1.0),
        ("operations_total", "head,outcome=ok", 1.0),
        ("operations_total", "health,outcome=ok", 1.0),
        ("operations_total", "list,outcome=ok", 1.0),
        ("operations_total", "batch,outcome=ok", 1.0),
        ("operations_total", "delete,outcome=ok", 1.0),
        ("operations_total", "delete_many,outcome=ok", 1.0),
        ("errors_total", "put,class=invalid_input", 1.0),
        ("bytes_total", "put,direction=in", 14.0),
        ("bytes_total", "batch,direction=in", 3.0),
        ("bytes_total", "get,direction=out", 6.0),
        ("items_total", "list", 2.0),
        ("items_total", "delete_many", 2.0),
        ("operation_seconds", "put", 4.0),
        ("operation_seconds", "get", 2.0),
        ("operation_seconds", "list", 1.0),
        ("stream_seconds", "list", 1.0),
        ("operations_in_flight", "put", 0.0),
        ("operations_in_flight", "get", 0.0),
    ];
    for (name, rest, value) in expected {
        let name = format!("storehouse_{name}{{store=things,backend=memory,operation={rest}}}");
        assert_eq!(
            counted.get(&name),
            Some(&value),
            "{name} among {counted:#?}"
        );
    }
    assert!(!counted.contains_key(
        "storehouse_errors_total{store=things,backend=memory,operation=get,class=invalid_input}"
    ));

    // The document names each of them.
    let document = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/reference/metrics.md"
    ))
    .unwrap();
    for name in counted.keys() {
        let (name, labels) = name.split_once('{').unwrap();
        assert!(document.contains(&format!("`{name}`")), "{name}");
        for label in labels
            .trim_end_matches('}')
            .split(',')
            .map(|label| label.split('=').next().unwrap())
        {
            assert!(document.contains(&format!("`{label}`")), "{name}: {label}");
        }
    }
}

/// Bodies that are streams: bytes count as they pass, and a reader that goes away, or stops after
/// the last byte, is told from one that reads on.
#[tokio::test]
async fn bodies_are_counted_as_they_stream() {
    recorder!(snapshotter);
    let dir = tempfile::tempdir().unwrap();
    let store = ObservedStore::new(
        FlatFs::open(dir.path(), FlatFsOptions::default())
            .await
            .unwrap(),
        "blobs",
        "flatfs",
    );
    let k = key("key-of-a-large-object");
    const SIZE: usize = 8 << 20;
    store
        .put_opts(&k, vec![7; SIZE].into(), PutOptions::default())
        .await
        .unwrap();
    let begun = "storehouse_operations_in_flight{store=blobs,backend=flatfs,operation=get}";
    let out = "storehouse_bytes_total{store=blobs,backend=flatfs,operation=get,direction=out}";
    let outcome = |name: &str| {
        format!(
            "storehouse_operations_total{{store=blobs,backend=flatfs,operation=get,outcome={name}}}"
        )
    };

    // Left in the middle.
    let mut object = store.get_opts(&k, GetOptions::default()).await.unwrap();
    let first = object.body.try_next().await.unwrap().unwrap().len();
    let during = counted(&snapshotter);
    assert_eq!((during[begun], during[out]), (1.0, first as f64));
    drop(object);
    let after = counted(&snapshotter);
    assert_eq!(
        (after[begun], after[out], after[&outcome("cancelled")]),
        (-1.0, 0.0, 1.0)
    );
    assert!(first < SIZE);

    // Read to the last byte, and not asked again.
    let mut object = store.get_opts(&k, GetOptions::default()).await.unwrap();
    let mut read = 0;
    while read < SIZE {
        read += object.body.try_next().await.unwrap().unwrap().len();
    }
    drop(object);
    assert_eq!((counted(&snapshotter)[&outcome("ok")], read), (1.0, SIZE));

    // A body that fails on its way.
    let mut object = store.get_opts(&k, GetOptions::default()).await.unwrap();
    object.body.try_next().await.unwrap();
    truncate_all(dir.path());
    let error = object.body.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, Error::Truncated { .. }), "{error}");
    let after = counted(&snapshotter);
    assert_eq!(
        after["storehouse_errors_total{store=blobs,backend=flatfs,operation=get,class=transient}"],
        1.0
    );
    assert_eq!((after[&outcome("transient")], after[begun]), (1.0, 0.0));
}

fn truncate_all(dir: &std::path::Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            truncate_all(&path);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "data")
        {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(1)
                .unwrap();
        }
    }
}
