//! Puts that break, stall or are refused.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use storehouse_objectstore::{PresignMethod, PresignOptions};
use storehouse_s3::{Encryption, KeyFilter};

use crate::*;

const INITIATED: &str =
    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";

#[tokio::test]
async fn it_breaks_off_in_the_middle_of_a_put() {
    let (_server, store) = store(|_| Reply::Cut(100_000, String::new())).await;
    for (body, options) in bodies() {
        let options = options.mode(PutMode::Overwrite);
        let error = bounded(store.put_opts(&key(), body, options))
            .await
            .unwrap_err();
        assert_transient(&error, Operation::Put, "connection broke");
    }
}

#[tokio::test]
async fn it_falls_silent_in_the_middle_of_a_put() {
    for read in [0, 100_000, 3 << 20] {
        let (_server, store) = store(move |_| Reply::Silence(read, String::new())).await;
        for (body, options) in bodies() {
            let options = options.mode(PutMode::Overwrite);
            let error = bounded(store.put_opts(&key(), body, options))
                .await
                .unwrap_err();
            assert_transient(&error, Operation::Put, "silent");
        }
    }
}

/// Silence on the caller's side is no fault of the server's.
#[tokio::test]
async fn a_slow_source_is_waited_for() {
    let (_server, store) = store(willing).await;
    let bytes = content(300_000);
    let sum: [u8; 32] = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
    let pieces =
        stream::iter([bytes.slice(..100_000), bytes.slice(100_000..)]).then(|piece| async {
            tokio::time::sleep(Duration::from_millis(1200)).await;
            Ok::<_, std::io::Error>(piece)
        });
    bounded(store.put_opts(
        &key(),
        Body::from_stream(pieces),
        PutOptions::default().size(300_000).sha256(sum),
    ))
    .await
    .unwrap();
}

/// A refusal that comes before the body was read is the verdict, not the broken connection that
/// follows it.
#[tokio::test]
async fn it_refuses_before_it_reads() {
    let (server, store) = honouring(|_| {
        let Reply::Answer(refusal) = error("412 Precondition Failed", "PreconditionFailed") else {
            unreachable!()
        };
        Reply::Early(refusal)
    })
    .await;
    let tag = PutMode::Replace(storehouse_objectstore::ETag::new("\"2\""));
    for (body, options) in bodies() {
        let refused = bounded(store.put_opts(&key(), body, options.mode(tag.clone())))
            .await
            .unwrap_err();
        assert!(refused.is_precondition(), "{refused}");
        assert_eq!(server.take_requests().len(), 1);
    }
}

#[tokio::test]
async fn it_has_no_room() {
    for (status, code) in [
        ("507 Insufficient Storage", "XMinioStorageFull"),
        ("403 Forbidden", "QuotaExceeded"),
        ("507 Oops", ""),
    ] {
        let (_server, store) = store(move |_| error(status, code)).await;
        let error = bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
            .await
            .unwrap_err();
        assert!(
            error.is_full() && matches!(error, Error::Backend { .. }),
            "{error}"
        );
    }
}

/// A completion that fails after its good status was sent, and an upload that cannot be opened.
#[tokio::test]
async fn a_multipart_upload_goes_wrong() {
    for (step, says) in [
        ("uploads=", "500"),
        ("partNumber=2", "500"),
        ("complete", "500 InternalError"),
    ] {
        let (server, store) = store(move |request| {
            let fail = |at: &str| at == step;
            match request.head.split(' ').next().unwrap() {
                "POST" if request.head.contains("uploads=") && !fail("uploads=") => {
                    answer("200 OK", "", INITIATED)
                }
                "POST" if request.head.contains("uploadId=") && fail("complete") => answer(
                    "200 OK",
                    "",
                    "  <Error><Code>InternalError</Code><Message>late</Message></Error>",
                ),
                "PUT" if request.head.contains("partNumber=2") && fail("partNumber=2") => {
                    error("500 Oops", "InternalError")
                }
                "PUT" | "DELETE" => willing(request),
                _ => error("500 Oops", "InternalError"),
            }
        })
        .await;
        let source = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![0; 11 << 20]))]);
        let key = key();
        let put = store.put_opts(
            &key,
            Body::from_stream(source),
            PutOptions::default().size(11 << 20),
        );
        let error = bounded(put).await.unwrap_err();
        assert!(
            error.is_transient() && error.to_string().contains(says),
            "{step}: {error}"
        );
        let aborted = server
            .take_requests()
            .iter()
            .any(|request| request.is("DELETE", "/bucket/object"));
        assert_eq!(aborted, step != "uploads=", "{step}");
    }
}

/// VersityGW makes the directory of an upload anew for a part that it was still receiving when the
/// upload was aborted: one upload in some thousands outlived its put on a busy machine.
#[tokio::test]
async fn a_part_that_ends_after_the_abort_does_not_bring_the_upload_back() {
    const PART_TAKES: Duration = Duration::from_millis(400);
    for dropped in [false, true] {
        // When the second part is written, and when the upload was last aborted.
        let times = Arc::new(Mutex::new((None::<Instant>, None::<Instant>)));
        let seen = Arc::clone(&times);
        let (_server, store) = store(move |request| {
            let mut times = seen.lock().unwrap();
            let written = times.0.is_some_and(|written| written <= Instant::now());
            match request.head.split(' ').next().unwrap() {
                "POST" => answer("200 OK", "", INITIATED),
                "PUT" if request.asks("partNumber=2") => {
                    times.0 = Some(Instant::now() + PART_TAKES);
                    Reply::Later(PART_TAKES, text("200 OK", "etag: \"1\"\r\n", ""))
                }
                "PUT" if request.asks("partNumber=1") && !dropped => {
                    Reply::Later(PART_TAKES / 4, text("400 Bad Request", "", ""))
                }
                "DELETE" if times.1.is_some() && !written => error("404 Not Found", "NoSuchUpload"),
                "DELETE" => {
                    times.1 = Some(Instant::now());
                    answer("204 No Content", "", "")
                }
                _ => willing(request),
            }
        })
        .await;
        let piece = Bytes::from(vec![0; 10 << 20]);
        let source = stream::iter([Ok::<_, std::io::Error>(piece)]).chain(stream::pending());
        let options = PutOptions::default().size(20 << 20);
        let key = key();
        let put = store.put_opts(&key, Body::from_stream(source), options);
        if dropped {
            let sent = async {
                while times.lock().unwrap().0.is_none() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                _ = put => panic!("its source never ends"),
                () = sent => {}
            }
        } else {
            bounded(put).await.unwrap_err();
        }
        tokio::time::sleep(PART_TAKES + Duration::from_millis(300)).await;
        let (written, aborted) = *times.lock().unwrap();
        assert!(
            aborted > written && written.is_some(),
            "{dropped}: it came back"
        );
    }
}

/// Every put says its SHA-256 if that is known beforehand, and a checksum of another kind after the
/// body if not. Parts agree with how their upload was opened.
#[tokio::test]
async fn every_put_carries_a_checksum() {
    let script = |request: &Request| match request.head.split(' ').next().unwrap() {
        "POST" if request.asks("uploads=") => answer(
            "200 OK",
            "",
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        "POST" => answer(
            "200 OK",
            "",
            "<CompleteMultipartUploadResult><ETag>\"x-2\"</ETag></CompleteMultipartUploadResult>",
        ),
        "HEAD" => {
            Reply::Answer("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 60\r\n\r\n".into())
        }
        _ => willing(request),
    };
    let server = Scripted::start(move |request| {
        // It honours conditions, so that a stream may be put on one.
        match request.head.contains("if-match: \"0000") {
            true => error("412 Precondition Failed", "PreconditionFailed"),
            false => script(request),
        }
    })
    .await;
    let store = open(with(options(&server.endpoint), |o| o.part_memory = 5 << 20))
        .await
        .unwrap();
    server.take_requests();
    let bytes = content(300_000);
    let sum: [u8; 32] = digest(&SHA256, &bytes).as_ref().try_into().unwrap();
    let expected = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sum);
    for (body, options) in [
        (bytes.clone().into(), PutOptions::default()),
        (streamed(&bytes, 10_000), PutOptions::default()),
        (streamed(&bytes, 10_000), PutOptions::default().sha256(sum)),
    ] {
        bounded(store.put_opts(&key(), body, options))
            .await
            .unwrap();
        let requests = server.take_requests();
        assert_eq!(
            requests[0].header("x-amz-checksum-sha256"),
            Some(expected.as_str())
        );
    }
    // In parts.
    let large = content(6 << 20);
    bounded(store.put_opts(&key(), streamed(&large, 100_000), PutOptions::default()))
        .await
        .unwrap();
    let requests = server.take_requests();
    assert_eq!(
        requests[0].header("x-amz-checksum-algorithm"),
        Some("SHA256")
    );
    let parts = requests.iter().filter(|request| request.asks("partNumber"));
    assert!(
        parts
            .clone()
            .all(|part| part.header("x-amz-checksum-sha256").is_some())
    );
    assert_eq!(parts.count(), 2);
    // Of unknown digest, on a condition: after the body, which was tried first.
    let replace =
        PutOptions::default().mode(PutMode::Replace(storehouse_objectstore::ETag::new("\"1\"")));
    bounded(store.put_opts(&key(), streamed(&large, 100_000), replace))
        .await
        .unwrap();
    let put = server.take_requests().pop().unwrap();
    assert_eq!(put.header("x-amz-trailer"), Some("x-amz-checksum-crc32c"));
    assert_eq!(
        put.header("x-amz-content-sha256"),
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
    );
}

#[tokio::test]
async fn a_server_that_refuses_checksums_gets_none() {
    for refusal in [
        error("501 Not Implemented", "NotImplemented"),
        error("400 Bad Request", "InvalidArgument"),
    ] {
        let server =
            Scripted::start(
                move |request| match request.head.contains("x-amz-checksum") {
                    true => refusal.clone(),
                    false => willing(request),
                },
            )
            .await;
        let store = open(options(&server.endpoint)).await.unwrap();
        assert!(!store.capabilities().checksums);
        bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
            .await
            .unwrap();
    }
    let (_server, store) = store(willing).await;
    assert!(store.capabilities().checksums);
}

/// Servers without tags are servers: a put that was taken is no failure.
#[tokio::test]
async fn a_put_without_a_tag_is_one() {
    let (_server, store) = store(|_| answer("200 OK", "", "")).await;
    let put = bounded(store.put_opts(&key(), "content".into(), PutOptions::default()))
        .await
        .unwrap();
    assert_eq!(put.etag.as_str(), "");
}

#[tokio::test]
async fn what_is_put_is_kept_as_the_options_say() {
    let server = Scripted::start(willing).await;
    let key_id = || Some("alias/node".to_owned());
    for (encryption, name, key) in [
        (Encryption::S3, "AES256", None),
        (Encryption::Kms { key_id: key_id() }, "aws:kms", key_id()),
        (Encryption::KmsDouble { key_id: None }, "aws:kms:dsse", None),
    ] {
        let options = options(&server.endpoint)
            .encryption(encryption)
            .storage_class("STANDARD_IA");
        let store = open(options).await.unwrap();
        // The probes are encrypted as well: a bucket may want that of every put.
        for request in server
            .take_requests()
            .iter()
            .filter(|request| request.head.starts_with("PUT"))
        {
            assert_eq!(request.header("x-amz-server-side-encryption"), Some(name));
            assert_eq!(request.header("x-amz-storage-class"), None);
        }
        bounded(store.put_opts(&crate::key(), "content".into(), PutOptions::default()))
            .await
            .unwrap();
        let put = server.take_requests().pop().unwrap();
        assert_eq!(put.header("x-amz-server-side-encryption"), Some(name));
        assert_eq!(
            put.header("x-amz-server-side-encryption-aws-kms-key-id"),
            key.as_deref()
        );
        assert_eq!(put.header("x-amz-storage-class"), Some("STANDARD_IA"));
        // What a client is to put by itself, as well, and that is signed.
        let names = [
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-storage-class",
        ];
        for (method, kept) in [(PresignMethod::Put, true), (PresignMethod::Get, false)] {
            let presigned = PresignOptions::new(method, Duration::from_secs(60));
            let presigned = store.presign(&crate::key(), presigned).await.unwrap();
            for name in names {
                let mut headers = presigned.headers.iter();
                let value = headers.find(|(known, _)| known == name);
                let value = value.map(|(_, value)| value.as_str());
                assert_eq!(value, put.header(name).filter(|_| kept));
                let signed = presigned.url.split('&').any(|pair| {
                    pair.strip_prefix("X-Amz-SignedHeaders=")
                        .is_some_and(|all| all.split("%3B").any(|signed| signed == name))
                });
                assert_eq!(signed, value.is_some(), "{name}: {}", presigned.url);
            }
        }
    }
    let error = open(options(&server.endpoint).storage_class("a\nb"))
        .await
        .unwrap_err();
    assert_setting(&error, "storage_class", "characters");
}

#[tokio::test]
async fn without_keys_nothing_is_signed() {
    let server = Scripted::start(willing).await;
    let unsigned = with(options(&server.endpoint), |o| {
        o.credentials = None;
        o.anonymous = true;
    });
    let store = open(unsigned).await.unwrap();
    for (body, options) in bodies() {
        let put = options.mode(PutMode::Overwrite);
        bounded(store.put_opts(&key(), body, put)).await.unwrap();
    }
    for request in server.take_requests() {
        for name in [
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
            "content-encoding",
        ] {
            assert_eq!(request.header(name), None, "{}", request.head);
        }
    }
    let both = options(&server.endpoint).anonymous(true);
    assert_setting(&open(both).await.unwrap_err(), "anonymous", "keys");
}

/// Uploads of others, young ones and those of unknown age stay.
#[tokio::test]
async fn old_uploads_are_swept_while_the_store_lives() {
    let upload = |key: &str, begun: &str| {
        format!("<Upload><Key>{key}</Key><UploadId>u</UploadId>{begun}</Upload>")
    };
    let old = "<Initiated>2020-01-01T00:00:00Z</Initiated>";
    let uploads = [
        upload("ours/old", old),
        upload("ours/young", "<Initiated>2020-01-08T00:00:00Z</Initiated>"),
        upload("ours/ageless", ""),
        upload("theirs/old", old),
        upload("folder/", old),
    ]
    .concat();
    let server = Scripted::start(move |request| match request.asks("uploads=") {
        true => answer(
            "200 OK",
            "date: Thu, 09 Jan 2020 00:00:00 GMT\r\n",
            &format!("<ListMultipartUploadsResult>{uploads}</ListMultipartUploadsResult>"),
        ),
        false => willing(request),
    })
    .await;
    let sweeping = options(&server.endpoint)
        .sweep_uploads_after(Duration::from_secs(7 * 24 * 3600))
        .sweep_interval(Duration::from_millis(50))
        .sweep_only(KeyFilter::new(|key| key.as_str().starts_with("ours/")));
    let store = open(sweeping).await.unwrap();
    server.take_requests();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let requests = server.take_requests();
    let aborted = |request: &&Request| request.head.starts_with("DELETE");
    assert!(requests.iter().filter(aborted).count() >= 2, "it goes on");
    assert!(
        requests
            .iter()
            .filter(aborted)
            .all(|request| request.is("DELETE", "/bucket/ours/old"))
    );
    drop(store);
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.take_requests();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.take_requests().is_empty(), "it ends with the store");
    // By default nothing is swept.
    let _store = open(options(&server.endpoint).sweep_interval(Duration::from_millis(20)))
        .await
        .unwrap();
    server.take_requests();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(server.take_requests().is_empty());
}
