//! Uploads that no put finished: listing them, and aborting the old ones.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use chrono::DateTime;
use hyper::Method;
use hyper::header::DATE;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use storehouse_objectstore::{Key, Operation, Result};

use crate::answer::http_date;
use crate::attributes::text;
use crate::client::Call;
use crate::list::{decoded, is_encoded};
use crate::options::{KeyFilter, S3Options};
use crate::shared::Shared;
use crate::upload::abort_once;

/// The first sweep waits for this part of the interval, so that opening costs nothing.
const FIRST: u32 = 24 * 60;

/// A multipart upload that was begun and is neither completed nor aborted: a put that runs, or what
/// a process left that died in one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// Uploads without a time are passed over: their age is unknown. So are those of names that are no
/// keys: this store did not begin them.
async fn page(shared: &Shared, marker: Option<&(String, String)>) -> Result<Page> {
    // Asked for without a prefix: some servers take a prefix for the whole key.
    let client = &shared.client;
    let mut call = Call::new(Method::GET, None).query("uploads", "");
    if shared.decodes {
        call.query.push(("encoding-type", "url"));
    }
    if let Some((key, id)) = marker {
        call.query.push(("key-marker", key));
        call.query.push(("upload-id-marker", id));
    }
    let (_, answer) = client.call_xml(&call, "ListMultipartUploadsResult").await;
    let (headers, page) = answer.map_err(|e| client.error(e, Operation::List, None))?;
    let encoded = shared.decodes && is_encoded(&page);
    let key = |text| match encoded {
        true => decoded(text),
        false => Cow::Borrowed(text),
    };
    let uploads = page.all("Upload").filter_map(|upload| {
        let begun = DateTime::parse_from_rfc3339(upload.get("Initiated")?)
            .ok()?
            .into();
        Some(PendingUpload {
            key: Key::new(key(upload.get("Key")?)).ok()?,
            begun,
            id: upload.get("UploadId")?.to_owned(),
        })
    });
    let next = (
        key(page.get("NextKeyMarker").unwrap_or("")).into_owned(),
        page.get("NextUploadIdMarker").unwrap_or("").to_owned(),
    );
    let goes_on = page.is_true("IsTruncated") && marker.is_none_or(|last| *last < next);
    Ok(Page {
        uploads: uploads.collect(),
        now: text(&headers, &DATE)
            .and_then(http_date)
            .unwrap_or_else(SystemTime::now),
        next: goes_on.then_some(next),
    })
}

/// All uploads in the bucket.
pub(crate) async fn pending(shared: &Shared) -> Result<Vec<PendingUpload>> {
    let (mut all, mut marker) = (Vec::new(), None);
    loop {
        let page = page(shared, marker.as_ref()).await?;
        all.extend(page.uploads);
        marker = page.next;
        if marker.is_none() {
            return Ok(all);
        }
    }
}

/// Aborts the uploads that were begun more than `age` ago, by the server's clock, of the keys that
/// `only` accepts, or of all; gives their number.
pub(crate) async fn sweep(
    shared: &Shared,
    age: Duration,
    only: Option<&KeyFilter>,
) -> Result<usize> {
    let (mut aborted, mut marker) = (0, None);
    loop {
        let page = page(shared, marker.as_ref()).await?;
        for upload in page.uploads {
            let ours = only.is_none_or(|only| only.accepts(&upload.key));
            if ours && page.now.duration_since(upload.begun).unwrap_or_default() >= age {
                let known = abort_once(&shared.client, &upload.key, &upload.id).await?;
                aborted += usize::from(known);
            }
        }
        marker = page.next;
        if marker.is_none() {
            return Ok(aborted);
        }
    }
}

/// Sweeps again and again as long as the store lives, if the options say so. A sweep that fails is
/// tried again after the interval: servers without such listings are no error.
pub(crate) fn spawn(shared: &Arc<Shared>, options: &S3Options) -> Option<JoinHandle<()>> {
    let age = options.sweep_uploads_after?;
    let interval = options.sweep_interval.max(Duration::from_millis(1));
    let (shared, only) = (Arc::downgrade(shared), options.sweep_only.clone());
    Some(tokio::spawn(async move {
        let mut pause = interval / FIRST;
        loop {
            sleep(pause).await;
            pause = interval;
            let Some(shared) = Weak::upgrade(&shared) else {
                return;
            };
            let _ = sweep(&shared, age, only.as_ref()).await;
        }
    }))
}
