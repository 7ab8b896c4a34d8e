//! The S3 backend over TLS: certificates of one's own, and those that are refused.

mod support;

use std::error::Error as _;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use storehouse_objectstore::{Error, GetOptions, Key, PutOptions};
use storehouse_s3::{S3, S3Options};
use support::{Server, content, with};
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
        let options = with(server.bucket(), |o| {
            o.endpoint = endpoint;
            o.insecure = insecure;
            o.ca_file = Some(file.clone());
        });
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
    let error = S3::open(with(server.bucket(), |o| {
        o.insecure = None;
    }))
    .await
    .unwrap_err();
    // It says why at once, and keeps the whole story.
    let text = error.to_string();
    assert!(
        text.contains("no connection could be made") && text.contains("unknown issuer"),
        "{text}"
    );
    assert_eq!(error.class(), storehouse_objectstore::ErrorClass::Fatal);
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
        let options = with(S3Options::default(), |o| {
            o.endpoint = "127.0.0.1:9".into();
            o.bucket = "bucket".into();
            o.ca_file = Some(file.clone());
        });
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
    // It has no end.
    let options = S3Options::new("127.0.0.1:9", "bucket").ca_file("/dev/zero");
    let error = S3::open(options).await.unwrap_err().to_string();
    assert!(error.contains("/dev/zero has more than"), "{error}");
}

/// Opens a store on a server with a certificate for `name` that holds from `from` to `to`, trusted
/// by the client.
async fn refused(name: &str, from: i32, to: i32) -> String {
    let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&signing_key).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let server = Server::behind(Some(TlsAcceptor::from(Arc::new(config)))).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, cert.pem()).unwrap();
    let options = with(server.bucket(), |o| {
        o.insecure = None;
        o.ca_file = Some(file);
    });
    S3::open(options).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_refused_says_why() {
    for (name, from, to, says) in [
        ("127.0.0.2", 2020, 2099, "for another name"),
        ("127.0.0.1", 2020, 2021, "has expired"),
        ("127.0.0.1", 2098, 2099, "not valid yet"),
    ] {
        let text = refused(name, from, to).await;
        assert!(text.contains(says), "{says}: {text}");
    }
}

/// The environment of this process cannot be changed while others read it: the test runs in a
/// process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_from_the_environment() {
    if let Some(endpoint) = std::env::var_os("TEST_ENDPOINT") {
        let mut options = S3Options::new(endpoint.into_string().unwrap(), "bucket-of-child");
        options.credentials = Some(storehouse_s3::Credentials::new("test-key", support::SECRET));
        match S3::open(options).await {
            Ok(_) => println!("opened"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let (server, pem) = server().await;
    let directory = tempfile::tempdir().unwrap();
    for (text, says) in [(pem.as_str(), "opened"), ("none", "AWS_CA_BUNDLE: ")] {
        let file = directory.path().join("bundle.pem");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_bundle_from_the_environment", "--nocapture"])
            .env("TEST_ENDPOINT", &server.options.endpoint)
            .env("AWS_CA_BUNDLE", file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(says), "{said}");
    }
}
