//! Bodies of unknown size.

use bytes::Bytes;
use futures_util::stream;
use proptest::prelude::*;
use storehouse_objectstore::{
    Body, Error, Key, Memory, ObjectStore, ObjectStoreExt, PutMode, PutOptions, Spool, SpoolOptions,
};

fn streamed(pieces: Vec<Bytes>) -> Body {
    Body::from_stream(stream::iter(
        pieces.into_iter().map(Ok::<_, std::io::Error>),
    ))
}

#[tokio::test]
async fn a_stream_is_put_whole_by_the_mode_that_was_asked_for() {
    let (store, key) = (Memory::new(), Key::new("a").unwrap());
    let create = || PutOptions::default().mode(PutMode::Create);
    let small = SpoolOptions::default().memory(3);
    for (attempt, wanted) in [("first", true), ("second", false)] {
        let body = streamed(vec![attempt.into(), Bytes::new(), " one".into()]);
        let put = store.put_spooled(&key, body, create(), small.clone()).await;
        assert_eq!(put.is_ok(), wanted);
    }
    assert_eq!(store.get_bytes(&key, 99).await.unwrap(), "first one");
    // A declared size is the caller's word, and is checked by the store.
    let body = streamed(vec!["four".into()]);
    let declared = PutOptions::default().size(3);
    let refused = store.put_spooled(&key, body, declared, small).await;
    assert!(
        matches!(refused, Err(Error::TooLarge { limit: 3, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_source_that_fails_or_has_no_end_stores_nothing() {
    let (store, key) = (Memory::new(), Key::new("a").unwrap());
    let dir = tempfile::tempdir().unwrap();
    let options = || SpoolOptions::default().memory(10).dir(dir.path());
    let put = |body| store.put_spooled(&key, body, PutOptions::default(), options());
    let failing = stream::iter([
        Ok(Bytes::from(vec![0; 100])),
        Err(std::io::Error::other("cut")),
    ]);
    let failed = put(Body::from_stream(failing)).await.unwrap_err();
    assert!(matches!(failed, Error::Body { .. }), "{failed:?}");
    assert!(!store.exists(&key).await.unwrap());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    // A directory that is not there is named.
    let gone = SpoolOptions::default()
        .memory(0)
        .dir(dir.path().join("gone"));
    let failed = streamed(vec!["x".into()]).spooled(gone).await.unwrap_err();
    let said = std::error::Error::source(&failed).unwrap().to_string();
    assert!(said.contains("gone"), "{said}");
    assert!(store.capabilities().max_size > 1 << 40);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_was_pushed_comes_out(
        lengths in prop::collection::vec(prop_oneof![Just(0usize), 1..20usize, Just(300_000)], 0..8),
        memory in prop_oneof![Just(0usize), 1..40usize, Just(1 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut spool = Spool::new(SpoolOptions::default().memory(memory));
            let mut wanted = Vec::new();
            for (at, length) in lengths.into_iter().enumerate() {
                let piece = Bytes::from(vec![at as u8; length]);
                wanted.extend_from_slice(&piece);
                spool.push(piece).await.unwrap();
            }
            assert_eq!(spool.size(), wanted.len() as u64);
            let body = spool.finish().await.unwrap();
            assert_eq!(body.size(), Some(wanted.len() as u64));
            assert!(body.collect(wanted.len() as u64).await.unwrap() == wanted);
        });
    }
}
