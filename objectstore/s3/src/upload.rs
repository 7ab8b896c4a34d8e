//! A multipart upload that does not outlive its put.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use storehouse_objectstore::{Attributes, Error, ErrorClass, Key, Operation, Result};

use crate::attributes;
use crate::checksum::Algorithm;
use crate::client::{Call, Client};
use crate::shared::Shared;

/// How long parts on their way may take before an upload is aborted; then they are cut off.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is waited after each abort.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::ZERO,
];

/// The same where parts were cut off, which the server may still be writing.
const PAUSES_AFTER_CUT: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::ZERO,
];

/// What completing an upload repeats of a part.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) tag: String,
    pub(crate) checksum: Option<String>,
}

/// Parts on their way, and what became of them, by their numbers.
pub(crate) type Parts = JoinSet<Result<(u32, Part)>>;

/// An open upload: aborted when it is dropped, unless it was completed.
pub(crate) struct Upload {
    client: Arc<Client>,
    key: Key,
    id: Arc<str>,
    open: bool,
    runtime: Handle,
    /// An abort waits for these.
    pub(crate) parts: Parts,
}

impl Upload {
    /// Opens an upload. In a task of its own: should the caller go before the answer comes, the
    /// upload that it opened is aborted all the same.
    pub(crate) async fn start(
        shared: &Arc<Shared>,
        key: Key,
        algorithm: Option<Algorithm>,
        attributes: &Attributes,
    ) -> Result<Self> {
        let attributes = attributes::headers(attributes);
        let runtime = Handle::current();
        let (shared, handle) = (Arc::clone(shared), runtime.clone());
        let opening = runtime.spawn(async move {
            let client = Arc::clone(&shared.client);
            let mut call = Call::new(Method::POST, Some(&key)).query("uploads", "");
            call.headers = attributes;
            call.headers.extend(shared.put_headers.all());
            if let Some(algorithm) = algorithm {
                let name = HeaderName::from_static("x-amz-checksum-algorithm");
                let value = HeaderValue::from_static(algorithm.name());
                call.headers.push((name, value));
            }
            let (_, result) = client
                .call_xml(&call, "InitiateMultipartUploadResult")
                .await;
            let (_, result) =
                result.map_err(|failure| client.error(failure, Operation::Put, Some(&key)))?;
            match result.get("UploadId").map(str::to_owned) {
                Some(id) => Ok(Self {
                    client,
                    key,
                    id: id.into(),
                    open: true,
                    runtime: handle,
                    parts: Parts::new(),
                }),
                None => Err(client.unexpected(
                    Operation::Put,
                    Some(&key),
                    "opened an upload without naming it (UploadId)",
                )),
            }
        });
        opening.await.map_err(|join| Error::Backend {
            operation: Operation::Put,
            key: None,
            class: ErrorClass::Transient,
            message: "the upload was ended with the runtime that it ran on".into(),
            source: Some(join.into()),
        })?
    }

    pub(crate) fn id(&self) -> Arc<str> {
        Arc::clone(&self.id)
    }

    /// It was completed.
    pub(crate) fn forget(&mut self) {
        self.open = false;
    }

    /// Aborts it now. Should that fail, it is left to
    /// [`S3::sweep_uploads`](crate::S3::sweep_uploads): the put has an error of its own to tell.
    pub(crate) async fn abort(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        // In a task of its own: should the caller go meanwhile, it is aborted all the same.
        let aborting = self.runtime.spawn(abort(
            Arc::clone(&self.client),
            self.key.clone(),
            self.id(),
            parts,
        ));
        self.open = false;
        let _ = aborting.await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.open {
            let parts = std::mem::take(&mut self.parts);
            let (client, key) = (Arc::clone(&self.client), self.key.clone());
            self.runtime.spawn(abort(client, key, self.id(), parts));
        }
    }
}

/// Aborts an upload, once its parts have arrived.
///
/// A part that the server is still writing can outlive an abort (source: the S3 API reference,
/// "AbortMultipartUpload") and even open the upload again (VersityGW makes its directory anew). So
/// the abort waits for the parts' answers, and is repeated until the server no longer knows the
/// upload. Where it does not wait to the end, an upload that is gone may still come back.
async fn abort(client: Arc<Client>, key: Key, id: Arc<str>, mut parts: Parts) -> Result<()> {
    let arrived = timeout(PATIENCE, async {
        while parts.join_next().await.is_some() {}
    });
    let cut = arrived.await.is_err();
    parts.shutdown().await;
    let pauses = if cut {
        &PAUSES_AFTER_CUT[..]
    } else {
        &PAUSES[..]
    };
    for pause in pauses {
        if !abort_once(&client, &key, &id).await? && !cut {
            return Ok(());
        }
        sleep(*pause).await;
    }
    // Some servers know every upload.
    Ok(())
}

/// Aborts an upload, and says whether the server knew it.
pub(crate) async fn abort_once(client: &Client, key: &Key, id: &str) -> Result<bool> {
    let call = Call::new(Method::DELETE, Some(key)).query("uploadId", id);
    match client.call_discarding(&call).await {
        Ok(_) => Ok(true),
        Err(failure)
            if failure
                .refusal()
                .is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND) =>
        {
            Ok(false)
        }
        Err(failure) => Err(client.error(failure, Operation::Put, Some(key))),
    }
}
