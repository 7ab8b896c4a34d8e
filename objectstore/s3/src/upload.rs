//! A multipart upload that does not outlive its put.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;
use tokio::time::sleep;

use storehouse_objectstore::{Attributes, Error, ErrorClass, Key, Operation, Result};

use crate::attributes;
use crate::checksum::Algorithm;
use crate::client::{Call, Client};
use crate::shared::Shared;

/// What is waited after each abort.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::ZERO,
];

/// An open upload: aborted when it is dropped, unless it was completed.
pub(crate) struct Upload {
    client: Arc<Client>,
    key: Key,
    id: String,
    open: bool,
    runtime: Handle,
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
                    id,
                    open: true,
                    runtime: handle,
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

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// It was completed.
    pub(crate) fn forget(&mut self) {
        self.open = false;
    }

    /// Aborts it now. Should that fail, it is left to
    /// [`S3::sweep_uploads`](crate::S3::sweep_uploads): the put has an error of its own to tell.
    pub(crate) async fn abort(&mut self) {
        let _ = abort(&self.client, &self.key, &self.id).await;
        self.open = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.open {
            let (client, key, id) = (
                Arc::clone(&self.client),
                self.key.clone(),
                std::mem::take(&mut self.id),
            );
            self.runtime
                .spawn(async move { abort(&client, &key, &id).await });
        }
    }
}

/// Aborts an upload whose parts may still be on their way.
///
/// A part that the server is still writing can outlive an abort, so it is repeated until the server
/// no longer knows the upload. Source: the S3 API reference, "AbortMultipartUpload".
async fn abort(client: &Client, key: &Key, id: &str) -> Result<()> {
    for pause in PAUSES {
        if !abort_once(client, key, id).await? {
            return Ok(());
        }
        sleep(pause).await;
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
