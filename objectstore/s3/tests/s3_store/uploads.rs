//! Multipart uploads that no put finished.

use crate::*;

/// A server takes a moment to notice that a connection is gone, and an abort that follows a drop
/// runs in the background.
pub(crate) async fn nothing_is_left(server: &Server, store: &S3) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !server.leftovers(store).await.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "left behind: {:?}",
            server.leftovers(store).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_put_leaves_no_upload() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(6 * MIB);
    // At each point: while the upload is opened, while parts are on their way, while the source is
    // waited for.
    for wait in [0, 1, 2, 5, 10, 50, 200] {
        let source =
            stream::iter([Ok::<_, std::io::Error>(bytes.clone())]).chain(stream::pending());
        let name = key("dropped");
        let put = store.put_opts(
            &name,
            Body::from_stream(source),
            PutOptions::default().size(20 * MIB as u64),
        );
        assert!(
            tokio::time::timeout(Duration::from_millis(wait), put)
                .await
                .is_err()
        );
    }
    nothing_is_left(&server, &store).await;
    assert!(
        store
            .head(&key("dropped"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    remove(&store).await;
}

/// A process that dies in the middle of a put is a runtime that ends in it: nothing aborts the
/// upload then.
#[test]
fn uploads_of_the_dead_are_swept() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let servers = runtime();
    let (server, options) = servers.block_on(async {
        let server = Server::start().await;
        let options = server.bucket();
        (server, options)
    });
    let dying = runtime();
    let store = dying.block_on(async {
        let store = S3::open(options.clone()).await.unwrap();
        let source =
            stream::iter([Ok::<_, std::io::Error>(content(6 * MIB))]).chain(stream::pending());
        let put = store.clone();
        tokio::spawn(async move {
            put.put_opts(
                &key("orphan"),
                Body::from_stream(source),
                PutOptions::default().size(20 * MIB as u64),
            )
            .await
        });
        // A file that is being written is no upload yet.
        while server
            .leftovers(&store)
            .await
            .iter()
            .all(|name| name.starts_with(".tmp."))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store
    });
    drop(store);
    dying.shutdown_timeout(Duration::from_secs(5));
    servers.block_on(async {
        let store = S3::open(options).await.unwrap();
        assert!(!server.leftovers(&store).await.is_empty());
        if server.kind == Kind::S3sFs {
            // It cannot list uploads, and says so.
            let error = store.sweep_uploads(Duration::ZERO).await.unwrap_err();
            assert!(error.to_string().contains("NotImplemented"), "{error}");
            return;
        }
        assert_eq!(
            store
                .sweep_uploads(Duration::from_secs(3600))
                .await
                .unwrap(),
            0
        );
        assert_eq!(store.sweep_uploads(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(server.leftovers(&store).await, [""; 0]);
        remove(&store).await;
    });
}
