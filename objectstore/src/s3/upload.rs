//! Multipart uploads that do not outlive their put, and those that did.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hyper::header::DATE;
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;

use crate::{Error, ErrorClass, Key, Operation, Result};

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
    /// Opens an upload. In a task of its own: should the caller go before the answer comes, the upload that it opened is aborted all the same.
    pub(super) async fn start(client: Arc<Client>, key: Key) -> Result<Self> {
        let runtime = Handle::current();
        let opening = runtime.clone().spawn(async move {
            let mut call = Call::new(Method::POST, Some(&key));
            call.query = vec![("uploads", "")];
            let result = match client.call(&call).await {
                Ok(answer) => client.xml(answer, "InitiateMultipartUploadResult").await,
                Err(failure) => Err(failure),
            };
            let result = result.map_err(|failure| client.error(failure, Operation::Put, Some(&key)))?;
            match result.get("UploadId").map(str::to_owned) {
                Some(id) => Ok(Self { client, key, id, open: true, runtime }),
                None => Err(client.unexpected(Operation::Put, &key, "opened an upload without naming it")),
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

    /// Aborts it now. Should that fail, it is left to [`S3::sweep_uploads`](super::S3::sweep_uploads): the put has an error of its own to tell.
    pub(super) async fn abort(&mut self) {
        let _ = abort(&self.client, &self.key, &self.id).await;
        self.open = false;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.open {
            let (client, key, id) = (Arc::clone(&self.client), self.key.clone(), std::mem::take(&mut self.id));
            self.runtime.spawn(async move { abort(&client, &key, &id).await });
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
        Err(failure) if failure.refusal().is_some_and(|refusal| refusal.status == StatusCode::NOT_FOUND) => Ok(()),
        Err(failure) => Err(client.error(failure, Operation::Put, Some(key))),
    }
}

/// Aborts all uploads in the bucket that were begun more than `age` ago; gives their number.
pub(super) async fn sweep(client: &Client, age: Duration) -> Result<usize> {
    let mut aborted = 0;
    // Asked for without a prefix: some servers take a prefix for the whole key.
    let mut marker: Option<(String, String)> = None;
    loop {
        let mut call = Call::new(Method::GET, None);
        call.query = vec![("uploads", "")];
        if let Some((key, id)) = &marker {
            call.query.push(("key-marker", key));
            call.query.push(("upload-id-marker", id));
        }
        let error = |failure| client.error(failure, Operation::List, None);
        let answer = client.call(&call).await.map_err(error)?;
        // By the server's clock, which also says when an upload was begun.
        let date = answer.headers().get(DATE).and_then(|value| value.to_str().ok());
        let now = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map_or_else(Utc::now, |now| now.to_utc());
        let page = client.xml(answer, "ListMultipartUploadsResult").await.map_err(error)?;
        for upload in page.all("Upload") {
            let begun = upload.get("Initiated").and_then(|time| DateTime::parse_from_rfc3339(time).ok());
            let old = begun.is_some_and(|begun| (now - begun.to_utc()).to_std().is_ok_and(|old| old >= age));
            if let (true, Some(key), Some(id)) = (old, upload.get("Key").and_then(|key| Key::new(key).ok()), upload.get("UploadId")) {
                abort(client, &key, id).await?;
                aborted += 1;
            }
        }
        let next = (page.get("NextKeyMarker").unwrap_or("").to_owned(), page.get("NextUploadIdMarker").unwrap_or("").to_owned());
        if !page.is_true("IsTruncated") || marker.as_ref() == Some(&next) {
            return Ok(aborted);
        }
        marker = Some(next);
    }
}
