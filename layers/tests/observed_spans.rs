//! What an observed store traces, with a subscriber that keeps what it gets. The only test of this
//! process, whose subscriber it is.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::ObservedStore;
use storehouse_objectstore::{Body, GetOptions, Key, ListOptions, ObjectStore, PutOptions};

fn streamed(pieces: &[&'static str]) -> Body {
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let pieces: Vec<_> = pieces
        .iter()
        .map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece.as_bytes())))
        .collect();
    Body::from_stream(stream::iter(pieces)).with_size(size)
}

/// What a subscriber writes, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn spans_name_the_operation_and_never_hold_a_body() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = ObservedStore::new(
        FlatFs::open(dir.path(), FlatFsOptions::default())
            .await
            .unwrap(),
        "blobs",
        "flatfs",
    );
    let k = Key::new("a-key").unwrap();
    store
        .put_opts(
            &k,
            streamed(&["the bytes ", "themselves"]),
            PutOptions::default(),
        )
        .await
        .unwrap();
    store
        .get_opts(&k, GetOptions::default())
        .await
        .unwrap()
        .body
        .collect(100)
        .await
        .unwrap();
    store
        .put_opts(
            &k,
            streamed(&["the bytes"]).with_size(3),
            PutOptions::default(),
        )
        .await
        .unwrap_err();
    assert_eq!(
        store
            .list(ListOptions::default().prefix("a-"))
            .count()
            .await,
        1
    );

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for part in [
        "put{store=\"blobs\" backend=\"flatfs\" key=a-key size=20}",
        "get{store=\"blobs\"",
        "list{",
        "prefix=a-",
        "outcome=\"ok\"",
        "outcome=\"invalid_input\"",
        "larger than 3 bytes",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(
        !text.contains("the bytes") && !text.contains("themselves"),
        "{text}"
    );
}
