//! The S3 backend over TLS: certificates of one's own, and those that are refused.

mod support;

use std::error::Error as _;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use storehouse_objectstore::{Error, GetOptions, Key, PutOptions};
use storehouse_s3::{S3, S3Options};
use support::{Server, content};
use tokio_rustls::TlsAcceptor;

/// A server with a certificate for this address, and the certificate in PEM.
async fn server() -> (Server, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    (
        Server::behind(Some(TlsAcceptor::from(Arc::new(config)))).await,
        made.cert.pem(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_authority_of_ones_own() {
    let (server, pem) = server().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, &pem).unwrap();
    let key = Key::new("object").unwrap();
    // `host:port` speaks TLS unless told otherwise, and a URL says so itself.
    for (endpoint, insecure) in [
        (server.options.endpoint.clone(), None),
        (format!("https://{}", server.options.endpoint), Some(false)),
    ] {
        let options = S3Options {
            endpoint,
            insecure,
            ca_file: Some(file.clone()),
            ..server.bucket()
        };
        let store = S3::open(options).await.unwrap();
        let bytes = content(3 << 20);
        store
            .put_opts(&key, bytes.clone().into(), PutOptions::default())
            .await
            .unwrap();
        assert!(
            store
                .get_opts(&key, GetOptions::default())
                .await
                .unwrap()
                .body
                .collect(u64::MAX)
                .await
                .unwrap()
                == bytes
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for() {
    let (server, _) = server().await;
    let error = S3::open(S3Options {
        insecure: None,
        ..server.bucket()
    })
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains("no connection could be made"),
        "{error}"
    );
    let mut story = String::new();
    let mut cause = error.source();
    while let Some(source) = cause {
        story.push_str(&source.to_string());
        cause = source.source();
    }
    assert!(story.contains("UnknownIssuer"), "{story}");
    assert!(server.take_requests().is_empty());
}

#[tokio::test]
async fn a_file_of_no_certificates_names_the_setting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    for text in [
        None,
        Some(""),
        Some("no certificate"),
        Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let options = S3Options {
            endpoint: "127.0.0.1:9".into(),
            bucket: "bucket".into(),
            ca_file: Some(file.clone()),
            ..S3Options::default()
        };
        let error = S3::open(options).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Config {
                    setting: "ca_file",
                    ..
                }
            ),
            "{text:?}: {error}"
        );
    }
}
