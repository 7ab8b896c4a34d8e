//! Requests over HTTP/1.1: bodies that can be held back, and time limits on silence instead of on
//! the whole.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT_ENCODING, EXPECT, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

use storehouse_objectstore::Result;

use crate::connector::{Connector, Proxies};
use crate::error::{Broken, Cause, tls_error};
use crate::options::S3Options;
use crate::request_body::RequestBody;
use crate::tls;

/// How long an unused connection is kept: less than most servers do, so that they do not close it
/// under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(crate) struct Transport {
    client: Client<HttpsConnector<Connector>, RequestBody>,
    proxies: Proxies,
    stall_timeout: Duration,
}

impl Transport {
    /// `system_roots`: whether the system's certificate authorities are needed.
    pub(crate) fn new(options: &S3Options, system_roots: bool) -> Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(options.connect_timeout));
        let config = tls::config(options, system_roots)?;
        let proxies = Proxies::from_env()?;
        let over = || {
            HttpsConnectorBuilder::new()
                .with_tls_config(config.clone())
                .https_or_http()
                .enable_http1()
        };
        let connector = Connector {
            direct: tcp.clone(),
            to_proxy: over().wrap_connector(tcp),
            proxies: proxies.clone(),
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(over().wrap_connector(connector));
        Ok(Self {
            client,
            proxies,
            stall_timeout: options.stall_timeout,
        })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// Headers that a proxy may change are added here, after the signature.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Broken> {
        let progress = request.body().progress();
        let limit = self.stall_timeout.saturating_add(request.body().patience());
        if request.body().is_held() {
            request
                .headers_mut()
                .insert(EXPECT, HeaderValue::from_static("100-continue"));
            let wanted = Arc::clone(&progress);
            hyper::ext::on_informational(&mut request, move |_| wanted.release());
        }
        let agent = HeaderValue::from_static(concat!("storehouse/", env!("CARGO_PKG_VERSION")));
        let plain = request.uri().scheme_str() != Some("https");
        let auth = plain
            .then(|| self.proxies.of(request.uri()))
            .flatten()
            .and_then(|proxy| proxy.auth().cloned());
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.entry(USER_AGENT).or_insert(agent);
        if let Some(auth) = auth {
            headers.insert(PROXY_AUTHORIZATION, auth);
        }
        let mut answer = std::pin::pin!(self.client.request(request));
        loop {
            let wait = limit.saturating_sub(progress.silence());
            tokio::select! {
                biased;
                answer = &mut answer => return answer.map_err(|e| broken(e, progress.may_be_acted_on())),
                () = sleep(wait) => {
                    if progress.silence() >= limit {
                        let sent = progress.may_be_acted_on();
                        return Err(Broken { cause: Cause::Stalled, sent, source: None });
                    }
                }
            }
        }
    }

    /// The next piece of an answer; `None` at its end.
    pub(crate) async fn piece(&self, body: &mut Incoming) -> Option<Result<Bytes, Broken>> {
        let broken = |cause, source| {
            Some(Err(Broken {
                cause,
                sent: true,
                source,
            }))
        };
        loop {
            let frame = match timeout(self.stall_timeout, body.frame()).await {
                Err(_) => return broken(Cause::Stalled, None),
                Ok(None) => return None,
                Ok(Some(Err(e))) => return broken(Cause::Cut, Some(e.into())),
                Ok(Some(Ok(frame))) => frame,
            };
            match frame.into_data() {
                Ok(data) if !data.is_empty() => return Some(Ok(data)),
                _ => {}
            }
        }
    }

    /// A whole answer of at most `limit` bytes.
    pub(crate) async fn collect(&self, mut body: Incoming, limit: usize) -> Result<Bytes, Broken> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece(&mut body).await {
            let piece = piece?;
            if all.len() + piece.len() > limit {
                return Err(Broken {
                    cause: Cause::TooLong,
                    sent: true,
                    source: None,
                });
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

fn broken(error: hyper_util::client::legacy::Error, sent: bool) -> Broken {
    let refused = matches!(
        tls_error(&error),
        Some(rustls::Error::InvalidCertificate(_))
    );
    let cause = match (error.is_connect(), refused) {
        (_, true) => Cause::Certificate,
        (true, false) => Cause::Connect,
        (false, false) => Cause::Cut,
    };
    Broken {
        cause,
        sent: cause == Cause::Cut && sent,
        source: Some(error.into()),
    }
}
