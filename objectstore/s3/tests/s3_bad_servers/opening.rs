//! What opening says of servers that are not there, are none, or refuse.

use crate::*;

#[tokio::test]
async fn nobody_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = open(options(&endpoint)).await.unwrap_err();
    assert_transient(&error, Operation::Open, "no connection could be made");
    assert!(error.to_string().contains(&endpoint), "{error}");
}

#[tokio::test]
async fn no_tls_is_spoken_there() {
    // It waits for the end of a head that never comes.
    let server = Scripted::start(willing).await;
    let error = open(options(&server.endpoint.replace("http:", "https:")))
        .await
        .unwrap_err();
    assert_transient(&error, Operation::Open, "silent");
    let server = Server::in_process().await;
    let error = open(with(server.bucket(), |o| {
        o.insecure = None;
    }))
    .await
    .unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("no connection could be made"),
        "{error}"
    );
}

#[tokio::test]
async fn it_is_silent() {
    let server = Scripted::start(|_| Reply::Silence(0, String::new())).await;
    assert_transient(
        &open(options(&server.endpoint)).await.unwrap_err(),
        Operation::Open,
        "silent",
    );
}

#[tokio::test]
async fn it_is_no_s3_server() {
    let page = "<!DOCTYPE html><html><body><p>Welcome<br></body></html>";
    for (status, body) in [
        ("200 OK", page),
        ("404 Not Found", page),
        ("200 OK", ""),
        ("200 OK", "{}"),
        ("400 Bad Request", "what?"),
        ("302 Found", page),
    ] {
        let server = Scripted::start(move |_| {
            answer(
                status,
                "content-type: text/html\r\nlocation: /login\r\n",
                body,
            )
        })
        .await;
        assert_setting(
            &open(options(&server.endpoint)).await.unwrap_err(),
            "endpoint",
            "no S3 server",
        );
    }
    let server = Scripted::start(|_| Reply::Early("SSH-2.0-OpenSSH_9.6\r\n".into())).await;
    assert_transient(
        &open(options(&server.endpoint)).await.unwrap_err(),
        Operation::Open,
        "connection broke",
    );
}

#[tokio::test]
async fn it_has_no_such_bucket_any_more() {
    let (_server, store) = store(|_| error("404 Not Found", "NoSuchBucket")).await;
    for error in [
        bounded(store.get_opts(&key(), GetOptions::default()))
            .await
            .unwrap_err(),
        bounded(store.put_opts(&key(), "x".into(), PutOptions::default()))
            .await
            .unwrap_err(),
        bounded(store.delete(&key())).await.unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("no such bucket") && error.class() == ErrorClass::Fatal,
            "{error}"
        );
    }
}
