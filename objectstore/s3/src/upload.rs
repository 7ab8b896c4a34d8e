//! Multipart uploads that do not outlive their put, and those that did.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use hyper::header::DATE;
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

use super::client::{Call, Client};

/// An open upload: aborted when it is dropped, unless it was completed.
pub(super) struct Upload {
    client: Arc<Client>,
    key: Key,
    id: String,
    open: bool,
    runtime: Handle,
}

impl Upload {
    /// Opens an upload. In a task of its own: should the caller go before the answer comes, the
    /// upload that it opened is aborted all the same.
    pub(super) async fn start(client: Arc<Client>, key: Key) -> Result<Self> {
        let runtime = Handle::current();
        let opening = runtime.clone().spawn(async move {
            let mut call = Call::new(Method::POST, Some(&key));
            call.query = vec![("uploads", "")];
            let result = match client.call(&call).await {
                Ok(answer) => client.xml(answer, "InitiateMultipartUploadResult").await,
                Err(failure) => Err(failure),
            };
            let result =
                result.map_err(|failure| client.error(failure, Operation::Put, Some(&key)))?;
            match result.get("UploadId").map(str::to_owned) {
                Some(id) => Ok(Self {
                    client,
                    key,
                    id,
                    open: true,
                    runtime,
                }),
                None => Err(client.unexpected(
                    Operation::Put,
                    &key,
                    "opened an upload without naming it",
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

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// It was completed.
    pub(super) fn forget(&mut self) {
        self.open = false;
    }

    /// Aborts it now. Should that fail, it is left to
    /// [`S3::sweep_uploads`](super::S3::sweep_uploads): the put has an error of its own to tell.
    pub(super) async fn abort(&mut self) {
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

async fn abort(client: &Client, key: &Key, id: &str) -> Result<()> {
    let mut call = Call::new(Method::DELETE, Some(key));
    call.query = vec![("uploadId", id)];
    match client.call(&call).await {
        Ok(answer) => {
            client.drain(answer).await;
            Ok(())
        }
        Err(failure)
            if failure
                .refusal()
                .is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND) =>
        {
            Ok(())
        }
        Err(failure) => Err(client.error(failure, Operation::Put, Some(key))),
    }
}

/// A multipart upload that was begun and is neither completed nor aborted: a put that runs, or what
/// a process left that died in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingUpload {
    /// The object that it is to become.
    pub key: Key,
    /// When it was begun, by the server's clock.
    pub begun: SystemTime,
    id: String,
}

/// A page of the bucket's uploads.
struct Page {
    uploads: Vec<PendingUpload>,
    /// The server's time.
    now: SystemTime,
    next: Option<(String, String)>,
}

async fn page(client: &Client, marker: Option<&(String, String)>) -> Result<Page> {
    // Asked for without a prefix: some servers take a prefix for the whole key.
    let mut call = Call::new(Method::GET, None);
    call.query = vec![("uploads", "")];
    if let Some((key, id)) = marker {
        call.query.push(("key-marker", key));
        call.query.push(("upload-id-marker", id));
    }
    let error = |failure| client.error(failure, Operation::List, None);
    let answer = client.call(&call).await.map_err(error)?;
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|value| value.to_str().ok());
    let now = date
        .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
        .map_or_else(SystemTime::now, Into::into);
    let page = client
        .xml(answer, "ListMultipartUploadsResult")
        .await
        .map_err(error)?;
    let uploads = page.all("Upload").filter_map(|upload| {
        let begun = DateTime::parse_from_rfc3339(upload.get("Initiated")?)
            .ok()?
            .into();
        Some(PendingUpload {
            key: Key::new(upload.get("Key")?).ok()?,
            begun,
            id: upload.get("UploadId")?.to_owned(),
        })
    });
    let next = (
        page.get("NextKeyMarker").unwrap_or("").to_owned(),
        page.get("NextUploadIdMarker").unwrap_or("").to_owned(),
    );
    let next = (page.is_true("IsTruncated") && marker != Some(&next)).then_some(next);
    Ok(Page {
        uploads: uploads.collect(),
        now,
        next,
    })
}

/// All uploads in the bucket.
pub(super) async fn pending(client: &Client) -> Result<Vec<PendingUpload>> {
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let page = page(client, marker.as_ref()).await?;
        all.extend(page.uploads);
        marker = page.next;
        if marker.is_none() {
            return Ok(all);
        }
    }
}

/// Aborts all uploads in the bucket that were begun more than `age` ago, by the server's clock;
/// gives their number.
pub(super) async fn sweep(client: &Client, age: Duration) -> Result<usize> {
    let (mut aborted, mut marker) = (0, None);
    loop {
        let page = page(client, marker.as_ref()).await?;
        for upload in page.uploads {
            if page.now.duration_since(upload.begun).unwrap_or_default() >= age {
                abort(client, &upload.key, &upload.id).await?;
                aborted += 1;
            }
        }
        marker = page.next;
        if marker.is_none() {
            return Ok(aborted);
        }
    }
}
