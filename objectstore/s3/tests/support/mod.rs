//! S3 servers for tests: one in this process, or the one that the environment names.
//!
//! Without `STOREHOUSE_TEST_S3_ENDPOINT` every [`Server`] is an s3s-fs of its own, over TCP, with
//! signatures checked. With it (and `_REGION`, `_ACCESS_KEY`, `_SECRET_KEY`) all of them are that
//! server. `STOREHOUSE_TEST_S3_SERVER` says which it is, if it is one whose deviations the tests
//! assert.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

mod fs;
pub mod scripted;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use storehouse_objectstore::{Body, ListOptions, ObjectStore};
use storehouse_s3::{Credentials, S3, S3Options};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Every secret of the tests holds this text, which `.ci/no-secrets` searches their output for.
pub const SECRET: &str = "mArKoFaSeCrEt";

/// Which server the tests run against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    S3sFs,
    MinIo,
    Garage,
    VersityGw,
    Other,
}

impl Kind {
    pub fn of_tests() -> Self {
        let named = std::env::var("STOREHOUSE_TEST_S3_SERVER").ok();
        match (
            std::env::var_os("STOREHOUSE_TEST_S3_ENDPOINT"),
            named.as_deref(),
        ) {
            (None, _) => Self::S3sFs,
            (Some(_), Some("minio")) => Self::MinIo,
            (Some(_), Some("garage")) => Self::Garage,
            (Some(_), Some("versitygw")) => Self::VersityGw,
            (Some(_), _) => Self::Other,
        }
    }
}

#[derive(Clone)]
pub struct Server {
    pub kind: Kind,
    pub options: S3Options,
    requests: Arc<Mutex<Vec<String>>>,
    directory: Option<Arc<TempDir>>,
}

impl Server {
    /// The server that the environment names, or one of its own.
    pub async fn start() -> Self {
        match Kind::of_tests() {
            Kind::S3sFs => Self::in_process().await,
            kind => Self::of_environment(kind),
        }
    }

    fn of_environment(kind: Kind) -> Self {
        let env = |name: &str| {
            std::env::var(format!("STOREHOUSE_TEST_S3_{name}"))
                .unwrap_or_else(|_| panic!("STOREHOUSE_TEST_S3_{name} is not set"))
        };
        let options = with(options(), |o| {
            o.endpoint = env("ENDPOINT");
            o.insecure = (!env("ENDPOINT").contains("://")).then_some(true);
            o.region = Some(env("REGION"));
            o.credentials = Some(Credentials::new(env("ACCESS_KEY"), env("SECRET_KEY")));
        });
        Self {
            kind,
            options,
            requests: Arc::default(),
            directory: None,
        }
    }

    /// An s3s-fs over a directory of its own, until the runtime ends.
    pub async fn in_process() -> Self {
        Self::behind(None).await
    }

    /// The same, behind TLS.
    pub async fn behind(tls: Option<TlsAcceptor>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut builder =
            S3ServiceBuilder::new(fs::Fs::new(directory.path().canonicalize().unwrap()));
        builder.set_auth(SimpleAuth::from_single("test-key", SECRET));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let (service, seen) = (service.clone(), Arc::clone(&seen));
                let counted = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    seen.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(format!("{} {}", request.method(), request.uri()));
                    Service::call(&service, request)
                });
                let (tls, http) = (tls.clone(), hyper::server::conn::http1::Builder::new());
                tokio::spawn(async move {
                    // A client that breaks off is no business of the server's.
                    let _ = match tls {
                        None => http.serve_connection(TokioIo::new(socket), counted).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => {
                                http.serve_connection(TokioIo::new(socket), counted).await
                            }
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        });
        let options = with(options(), |o| {
            o.endpoint = endpoint;
            o.insecure = Some(true);
            o.credentials = Some(Credentials::new("test-key", SECRET));
        });
        Self {
            kind: Kind::S3sFs,
            options,
            requests,
            directory: Some(Arc::new(directory)),
        }
    }

    /// The method and the URL of each request since the last call, as the server saw them. Only of
    /// a server in this process.
    pub fn take_requests(&self) -> Vec<String> {
        assert_eq!(
            self.kind,
            Kind::S3sFs,
            "the requests of another process cannot be counted"
        );
        std::mem::take(&mut *self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What failed and dropped puts left behind in the store's bucket: open uploads, and on s3s-fs,
    /// which lists none, its files for them.
    pub async fn leftovers(&self, store: &S3) -> Vec<String> {
        match &self.directory {
            None => store
                .pending_uploads()
                .await
                .unwrap()
                .into_iter()
                .map(|upload| format!("{upload:?}"))
                .collect(),
            Some(directory) => std::fs::read_dir(directory.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .filter(|name| name.starts_with(".upload") || name.starts_with(".tmp."))
                .collect(),
        }
    }

    /// The directory whose directories are the server's buckets, if it is a gateway over files.
    pub fn files(&self) -> Option<PathBuf> {
        match (self.kind, &self.directory) {
            (Kind::VersityGw, _) => std::env::var_os("STOREHOUSE_TEST_S3_DIR").map(Into::into),
            (_, directory) => directory.as_ref().map(|dir| dir.path().to_owned()),
        }
    }

    /// Options for a bucket of its own.
    pub fn bucket(&self) -> S3Options {
        with(self.options.clone(), |o| {
            o.bucket = bucket_name();
        })
    }

    /// A store in a bucket of its own.
    pub async fn store(&self) -> S3 {
        S3::open(self.bucket()).await.unwrap()
    }
}

/// The options, changed.
pub fn with(mut options: S3Options, change: impl FnOnce(&mut S3Options)) -> S3Options {
    change(&mut options);
    options
}

fn options() -> S3Options {
    with(S3Options::default(), |o| {
        o.stall_timeout = Duration::from_secs(20);
        o.connect_timeout = Duration::from_secs(5);
        o.retry_backoff = Duration::from_millis(10);
        o.part_size = 5 << 20;
    })
}

/// A name that no other test, run or process uses.
pub fn bucket_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    format!(
        "storehouse-{}-{now}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Empties the bucket and removes it. That it can be removed says as well that nothing was left
/// behind in it.
pub async fn remove(store: &S3) {
    let keys: Vec<_> = store
        .list(ListOptions::default())
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap();
    let gone: Vec<_> = store
        .delete_many(stream::iter(keys).boxed())
        .collect()
        .await;
    for key in gone {
        key.unwrap();
    }
    store.remove_bucket().await.unwrap();
}

/// Bytes that are the same in every run and in which no stretch is like another.
pub fn content(len: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ len as u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// The same bytes as a stream of pieces of `piece` bytes, so that a store cannot see their end or
/// their digest.
pub fn streamed(bytes: &Bytes, piece: usize) -> Body {
    let (len, mut rest) = (bytes.len() as u64, bytes.clone());
    let pieces = std::iter::from_fn(move || {
        (!rest.is_empty()).then(|| Ok::<_, std::io::Error>(rest.split_to(piece.min(rest.len()))))
    });
    Body::from_stream(stream::iter(pieces)).with_size(len)
}
