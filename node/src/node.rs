//! The node: what routers are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use storehouse::Stores;
use storehouse::records::Did;

use crate::app_state::AppState;
use crate::error::Result;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::receipts::writer::Receipts;
use crate::signers::Signers;

/// Stores, limits, and what is in use of them. Clones share them. [`routes`](crate::routes) makes
/// routers of it.
#[derive(Clone, Debug)]
pub struct Node {
    state: Arc<AppState>,
    receipts: Arc<Mutex<Option<Receipts>>>,
}

impl Node {
    /// Starts with the defaults: no receipts, no metrics, no allocation needed for a blob.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
    /// use axum::body::Body;
    /// use axum::http::{Request, StatusCode};
    /// use storehouse::{Config, Stores};
    /// use storehouse_node::{Node, routes};
    /// use tower_service::Service;
    ///
    /// let node = Node::builder(Stores::open(&Config::default()).await?).build().await?;
    /// let get = Request::get("/metrics").body(Body::empty())?;
    /// let response = routes::admin(&node).call(get).await?;
    /// assert_eq!(response.status(), StatusCode::NOT_FOUND, "no metrics");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn builder(stores: Stores) -> NodeBuilder {
        NodeBuilder {
            stores,
            limits: Limits::default(),
            require_allocation: false,
            receipts: false,
            metrics: None,
            keys: BTreeMap::new(),
            accept_unsigned: false,
        }
    }

    /// Writes the receipts that are due, for at most `limit`, and syncs the journal. Call it once
    /// no request is in flight. Without it, receipts that are still queued are lost when the
    /// process ends.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
    /// # use storehouse::{Config, Stores};
    /// # let stores = Stores::open(&Config::default()).await?;
    /// let node = storehouse_node::Node::builder(stores.clone()).receipts(true).build().await?;
    /// node.shutdown(std::time::Duration::from_secs(30)).await;
    /// let keys = stores.local().keys().list().await?;
    /// assert_eq!(keys[0].as_str(), "node", "the key that signs receipts was made");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn shutdown(&self, limit: Duration) {
        let receipts = self
            .receipts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(receipts) = receipts {
            receipts.stop(&self.state, limit).await;
        }
    }

    pub(crate) fn state(&self) -> Arc<AppState> {
        Arc::clone(&self.state)
    }
}

/// How a [`Node`] is made.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use storehouse::blobstore::{Digest, HashFunction};
/// use storehouse::{Config, Stores};
/// use storehouse_node::{Limits, Metrics, Node, routes};
/// use tower_service::Service;
///
/// let metrics = Metrics::install()?; // before stores are opened
/// let stores = Stores::open(&Config::default()).await?;
/// let node = Node::builder(stores)
///     .limits(Limits::default().blob_size(1 << 30))
///     .require_allocation(true)
///     .receipts(true)
///     .metrics(metrics)
///     .accept_unsigned(false)
///     .build()
///     .await?;
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let put = Request::put(format!("/blobs/{digest}")).header("content-length", 5);
/// let response = routes::all(&node).call(put.body(Body::from("hello"))?).await?;
/// assert_eq!(response.status(), StatusCode::FORBIDDEN, "no allocation");
///
/// let metrics = Request::get("/metrics").body(Body::empty())?;
/// assert_eq!(routes::all(&node).call(metrics).await?.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use]
pub struct NodeBuilder {
    stores: Stores,
    limits: Limits,
    require_allocation: bool,
    receipts: bool,
    metrics: Option<Metrics>,
    keys: BTreeMap<Did, Did>,
    accept_unsigned: bool,
}

impl NodeBuilder {
    /// What a request may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes a blob only if a live allocation covers its digest and size.
    pub fn require_allocation(mut self, require: bool) -> Self {
        self.require_allocation = require;
        self
    }

    /// Writes a signed receipt for every retrieval, to the receipt store and to the journal. The
    /// key is `node` of the keystore; it is generated if it is not there.
    pub fn receipts(mut self, receipts: bool) -> Self {
        self.receipts = receipts;
        self
    }

    /// Answers `GET /metrics` with what is gathered there. Without it that path is not found.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// The `did:key` that an issuer signs with whose DID is none itself, a `did:web` for example.
    /// Claims and receipts of issuers whose key is not known are refused.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
    /// # use storehouse::{Config, Stores};
    /// # let stores = Stores::open(&Config::default()).await?;
    /// let node = storehouse_node::Node::builder(stores)
    ///     .signer_key(
    ///         "did:web:up.example.com".parse()?,
    ///         "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".parse()?,
    ///     )
    ///     .build()
    ///     .await?;
    /// node.shutdown(std::time::Duration::from_secs(1)).await;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn signer_key(mut self, issuer: Did, key: Did) -> Self {
        self.keys.insert(issuer, key);
        self
    }

    /// Takes claims and receipts without checking their signatures.
    pub fn accept_unsigned(mut self, accept: bool) -> Self {
        self.accept_unsigned = accept;
        self
    }

    /// Makes the node, and starts its tasks on the current tokio runtime.
    ///
    /// # Errors
    /// [`Error::Stores`](crate::Error::Stores) if the configuration does not give all stores of a
    /// node; [`Error::Key`](crate::Error::Key) if the key that signs receipts cannot be read or
    /// made.
    pub async fn build(self) -> Result<Node> {
        let state = Arc::new(AppState::new(
            self.stores,
            self.limits,
            self.require_allocation,
            Signers::new(self.keys, self.accept_unsigned),
            self.metrics,
        )?);
        let recovery = state.journal_recovery();
        if !recovery.is_clean() {
            tracing::warn!("the journal: {recovery}");
        }
        for key in state.unsealed_keys() {
            tracing::warn!("the key {key} is stored unsealed although a passphrase is set");
        }
        let receipts = if self.receipts {
            let receipts = Receipts::start(&state).await?;
            state.retrievals.get_or_init(|| receipts.retrievals());
            Some(receipts)
        } else {
            None
        };
        Ok(Node {
            state,
            receipts: Arc::new(Mutex::new(receipts)),
        })
    }
}
