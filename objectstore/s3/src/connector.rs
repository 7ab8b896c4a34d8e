//! Connections: straight to the server, or through the proxy that the environment names.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use storehouse_objectstore::{BoxError, Error, Result};

/// Which requests go through which proxy.
///
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` are read once, in capitals or not.
/// Link-local addresses, where instances and containers give their keys, are never proxied.
#[derive(Clone)]
pub(crate) struct Proxies(Arc<Matcher>);

/// The proxy for one request.
pub(crate) struct Proxy {
    uri: Uri,
    auth: Option<HeaderValue>,
}

impl Proxies {
    /// The environment's.
    ///
    /// # Errors
    /// [`Error::Config`] if a variable names a proxy of a kind that is not supported.
    pub(crate) fn from_env() -> Result<Self> {
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            let Ok(value) = std::env::var(name) else {
                continue;
            };
            // Not repeated: it may hold a password.
            let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme);
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(Error::config(
                    name_of(name),
                    "is not a proxy over http or https, and no others are supported",
                ));
            }
        }
        Ok(Self(Arc::new(Matcher::from_env())))
    }

    pub(crate) fn of(&self, uri: &Uri) -> Option<Proxy> {
        let host = uri.host()?;
        if host.starts_with("169.254.")
            || host.starts_with("[fe80:")
            || host.starts_with("[fd00:ec2:")
        {
            return None;
        }
        let intercept = self.0.intercept(uri)?;
        Some(Proxy {
            uri: intercept.uri().clone(),
            auth: intercept.basic_auth().cloned(),
        })
    }
}

impl Proxy {
    /// What a plain request adds for the proxy that it is sent to.
    pub(crate) fn auth(&self) -> Option<&HeaderValue> {
        self.auth.as_ref()
    }
}

fn name_of(name: &str) -> &'static str {
    match name.to_ascii_uppercase().as_str() {
        "HTTPS_PROXY" => "HTTPS_PROXY",
        "HTTP_PROXY" => "HTTP_PROXY",
        _ => "ALL_PROXY",
    }
}

/// Makes the connection below TLS.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) direct: HttpConnector,
    /// To a proxy that itself speaks TLS or not.
    pub(crate) to_proxy: HttpsConnector<HttpConnector>,
    pub(crate) proxies: Proxies,
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut this = self.clone();
        Box::pin(async move {
            let Some(proxy) = this.proxies.of(&to) else {
                return Ok(Stream::Direct(this.direct.call(to).await?));
            };
            let through = |e: BoxError| -> BoxError { Box::new(ThroughProxy(e)) };
            if to.scheme_str() == Some("https") {
                let mut tunnel = Tunnel::new(proxy.uri, this.to_proxy);
                if let Some(auth) = proxy.auth {
                    tunnel = tunnel.with_auth(auth);
                }
                let stream = tunnel.call(to).await.map_err(|e| through(e.into()))?;
                return Ok(Stream::Proxied {
                    stream: Box::new(stream),
                    absolute: false,
                });
            }
            let stream = this.to_proxy.call(proxy.uri).await.map_err(through)?;
            Ok(Stream::Proxied {
                stream: Box::new(stream),
                absolute: true,
            })
        })
    }
}

/// Names the proxy as the place of the failure; its address may hold a password.
#[derive(Debug, thiserror::Error)]
#[error(
    "the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) gives no connection"
)]
struct ThroughProxy(#[source] BoxError);

/// A connection below TLS.
pub(crate) enum Stream {
    Direct(TokioIo<TcpStream>),
    Proxied {
        stream: Box<MaybeHttpsStream<TokioIo<TcpStream>>>,
        /// The proxy reads the requests and wants whole URLs.
        absolute: bool,
    },
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Direct(stream) => stream.connected(),
            Self::Proxied { stream, absolute } => stream.connected().proxy(*absolute),
        }
    }
}

macro_rules! either {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Direct(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Proxied { stream, .. } => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Direct(stream) => stream.is_write_vectored(),
            Self::Proxied { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, buffers))
    }
}
