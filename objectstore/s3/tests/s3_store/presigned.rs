//! Presigned requests, sent as a client without keys sends them; and copies in parts.

use storehouse_objectstore::{Attributes, PresignMethod, PresignOptions, PresignedRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::*;

/// Sends the request over plain HTTP: its status, and what follows the head.
async fn send(request: &PresignedRequest, body: &[u8]) -> (u16, Vec<u8>) {
    let rest = request.url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut head = format!(
        "{} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n",
        request.method.as_str()
    );
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let told = request
        .headers
        .iter()
        .any(|(name, _)| name == "content-length");
    if !told && request.method == PresignMethod::Put {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let mut socket = TcpStream::connect(host).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(b"\r\n").await.unwrap();
    // A server that refuses may close before it has read the body.
    let _ = socket.write_all(body).await;
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("an answer");
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n");
    (
        status.unwrap_or(0),
        at.map(|at| answer[at + 4..].to_vec()).unwrap_or_default(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_keys_does_what_was_signed_and_no_more() {
    let server = Server::start().await;
    let store = server.store().await;
    let (name, body) = (key("signed/ä b+%41"), content(1000));
    let minute = Duration::from_secs(60);
    let upload = PresignOptions::new(PresignMethod::Put, minute)
        .size(1000)
        .sha256(sha256(&body));
    let upload = store.presign(&name, upload).await.unwrap();
    assert!(!format!("{upload:?}").contains("Signature"));

    let (status, answer) = send(&upload, &content(1001)[1..]).await;
    // s3s-fs does not compare the checksum of a body that is not signed.
    if server.kind != Kind::S3sFs {
        assert_ne!(
            status,
            200,
            "other bytes: {}",
            String::from_utf8_lossy(&answer)
        );
        assert!(!store.exists(&name).await.unwrap());
    }
    let (status, answer) = send(&upload, &body).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    assert_eq!(read(&store, &name).await, body);

    let mut longer = upload.clone();
    for (name, value) in &mut longer.headers {
        if name == "content-length" {
            *value = "1001".into();
        }
    }
    assert_eq!(send(&longer, &content(1001)).await.0, 403, "another size");
    let mut other = upload.clone();
    other.url = other.url.replace("signed/", "another/");
    assert_eq!(send(&other, &body).await.0, 403, "another key");
    let mut delete = upload;
    delete.method = PresignMethod::Delete;
    // With the body that its headers tell of: a server may wait for it.
    assert_eq!(send(&delete, &body).await.0, 403, "another method");

    let get = PresignOptions::new(PresignMethod::Get, minute);
    let get = store.presign(&name, get).await.unwrap();
    let (status, answer) = send(&get, &[]).await;
    assert_eq!((status, &answer[..]), (200, &body[..]));
    let brief = PresignOptions::new(PresignMethod::Get, Duration::from_secs(1));
    let brief = store.presign(&name, brief).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    // Garage calls it a bad request.
    let refused = send(&brief, &[]).await.0;
    assert!(matches!(refused, 400 | 403), "expired: {refused}");
    let delete = PresignOptions::new(PresignMethod::Delete, minute);
    let delete = store.presign(&name, delete).await.unwrap();
    assert!(matches!(send(&delete, &[]).await.0, 200 | 204));
    assert!(!store.exists(&name).await.unwrap());
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_copied_in_parts() {
    let server = Server::start().await;
    let options = with(server.bucket(), |o| o.single_copy = 5 << 20);
    let store = S3::open(options).await.unwrap();
    let (from, to, body) = (key("from"), key("to/b"), content(12 * MIB));
    let attributes = Attributes::default()
        .with_content_type("text/plain")
        .unwrap();
    let put = PutOptions::default().attributes(attributes.clone());
    store
        .put_opts(&from, body.clone().into(), put)
        .await
        .unwrap();
    let copied = store.copy(&from, &to).await.unwrap();
    assert_eq!(read(&store, &to).await, body);
    let there = store.head(&to).await.unwrap();
    assert_eq!(there.etag, copied.etag);
    if server.kind != Kind::S3sFs {
        assert_eq!(there.attributes, attributes);
    }
    nothing_is_left(&server, &store).await;
    remove(&store).await;
}
