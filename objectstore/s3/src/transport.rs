//! Requests over HTTP/1.1: bodies that can be held back, and time limits on silence instead of on
//! the whole.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{EXPECT, HeaderValue};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{sleep, timeout};

use storehouse_objectstore::{BoxError, Error, Result};

use super::options::S3Options;
use super::outgoing::Outgoing;

/// How long an unused connection is kept: less than servers do, so that they do not close it under
/// a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// What keeps a request from getting an answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) what: What,
    /// Whether the server may have acted on the request: it was sent as a whole or in part.
    pub(super) sent: bool,
    pub(super) source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Connect,
    Stalled,
    Cut,
    TooLong,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection could be made",
            Self::Stalled => "the server fell silent",
            Self::Cut => "the connection broke before the answer was whole",
            Self::TooLong => "the answer is longer than any of S3's",
        })
    }
}

#[derive(Clone)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Outgoing>,
    stall_timeout: Duration,
}

impl Transport {
    pub(super) fn new(options: &S3Options, system_roots: bool) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|e| Error::Config {
                    setting: "endpoint",
                    reason: "TLS cannot be set up".into(),
                    source: Some(e.into()),
                })?
                .with_root_certificates(roots(options.ca_file.as_deref(), system_roots)?)
                .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Ok(Self {
            client,
            stall_timeout: options.stall_timeout,
        })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Broken> {
        let progress = request.body().progress();
        if request.body().is_held() {
            request
                .headers_mut()
                .insert(EXPECT, HeaderValue::from_static("100-continue"));
            let wanted = Arc::clone(&progress);
            hyper::ext::on_informational(&mut request, move |_| wanted.release());
        }
        let mut answer = std::pin::pin!(self.client.request(request));
        loop {
            let wait = self.stall_timeout.saturating_sub(progress.silence());
            tokio::select! {
                biased;
                answer = &mut answer => return answer.map_err(|e| {
                    let what = if e.is_connect() { What::Connect } else { What::Cut };
                    Broken { what, sent: what != What::Connect && progress.has_begun(), source: Some(e.into()) }
                }),
                () = sleep(wait) => {
                    if progress.silence() >= self.stall_timeout {
                        return Err(Broken { what: What::Stalled, sent: progress.has_begun(), source: None });
                    }
                }
            }
        }
    }

    /// The next piece of an answer; `None` at its end.
    pub(super) async fn piece(&self, body: &mut Incoming) -> Option<Result<Bytes, Broken>> {
        loop {
            let frame = match timeout(self.stall_timeout, body.frame()).await {
                Err(_) => {
                    return Some(Err(Broken {
                        what: What::Stalled,
                        sent: true,
                        source: None,
                    }));
                }
                Ok(None) => return None,
                Ok(Some(Err(e))) => {
                    return Some(Err(Broken {
                        what: What::Cut,
                        sent: true,
                        source: Some(e.into()),
                    }));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) if !data.is_empty() => return Some(Ok(data)),
                _ => {}
            }
        }
    }

    /// A whole answer of at most `limit` bytes.
    pub(super) async fn collect(&self, mut body: Incoming, limit: usize) -> Result<Bytes, Broken> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece(&mut body).await {
            let piece = piece?;
            if all.len() + piece.len() > limit {
                return Err(Broken {
                    what: What::TooLong,
                    sent: true,
                    source: None,
                });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

fn roots(ca_file: Option<&Path>, system: bool) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if system {
        // Some systems have certificates among theirs that cannot be used; the others serve.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let Some(path) = ca_file else {
        return Ok(roots);
    };
    let wrong = |source: BoxError| Error::Config {
        setting: "ca_file",
        reason: format!("{} holds no certificates that can be read", path.display()),
        source: Some(source),
    };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(e.into()))? {
        roots
            .add(certificate.map_err(|e| wrong(e.into()))?)
            .map_err(|e| wrong(e.into()))?;
        found = true;
    }
    if found {
        Ok(roots)
    } else {
        Err(Error::config(
            "ca_file",
            format!("{} holds no certificate", path.display()),
        ))
    }
}
