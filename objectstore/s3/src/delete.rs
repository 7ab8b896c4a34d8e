//! Deleting, one by one and by the thousand.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use md5::{Digest, Md5};
use tokio::time::Instant;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

use crate::client::{Call, Client};
use crate::error::{Failure, Refusal, SharedCause};
use crate::limits::flaw;
use crate::retry::Repeat;
use crate::xml::{Element, escape};

/// The most keys that S3 deletes by one request.
const BATCH: usize = 1000;

/// How many deletes run at once where the server has no bulk delete.
const SINGLES: usize = 16;

/// Deletes an object. One that is not there is deleted.
pub(crate) async fn delete(client: &Client, key: &Key) -> Result<()> {
    if flaw(key.as_str()).is_some() {
        return Ok(());
    }
    let call = Call::new(Method::DELETE, Some(key));
    match client.call_discarding(&call).await {
        Ok(_) => Ok(()),
        Err(failure)
            if failure
                .refusal()
                .is_some_and(|refusal| refusal.is_not_found() || refusal.is_key_refused()) =>
        {
            Ok(())
        }
        Err(failure) => Err(client.error(failure, Operation::Delete, Some(key))),
    }
}

/// Deletes many objects, and says of each whether it is gone.
pub(crate) fn delete_many<'a>(
    client: &Arc<Client>,
    keys: BoxStream<'a, Key>,
) -> BoxStream<'a, Result<Key>> {
    let client = Arc::clone(client);
    // Only what is ready: a caller may give the next key after it saw that the last one is gone.
    keys.ready_chunks(BATCH)
        .then(move |batch| delete_batch(Arc::clone(&client), batch))
        .flatten()
        .boxed()
}

async fn delete_batch(client: Arc<Client>, keys: Vec<Key>) -> BoxStream<'static, Result<Key>> {
    if keys.len() == 1 {
        return delete_singly(client, keys);
    }
    match delete_at_once(&client, &keys).await {
        Ok(mut verdicts) => {
            let (mut known, mut unnamed) = (Vec::new(), Vec::new());
            for key in keys {
                match verdicts.remove(key.as_str()) {
                    Some(Verdict::Gone) => known.push(Ok(key)),
                    Some(Verdict::Kept { code, transient }) => {
                        known.push(Err(kept(&client, key, &code, transient)));
                    }
                    None => unnamed.push(key),
                }
            }
            // Of those only a request of their own tells.
            stream::iter(known)
                .chain(delete_singly(client, unnamed))
                .boxed()
        }
        // A server without it says so in many ways; if something else is wrong, the single deletes
        // say what.
        Err(Failure::Refused(refusal)) if !refusal.is_transient() => delete_singly(client, keys),
        Err(Failure::Wrong(_)) => delete_singly(client, keys),
        Err(failure) => {
            let error = client.error(failure, Operation::Delete, None);
            let class = error.class();
            let message = format!("{}: the bulk delete failed", client.describe());
            let cause = SharedCause::new(error);
            let all = keys.into_iter().map(move |key| {
                Err(Error::Backend {
                    operation: Operation::Delete,
                    key: Some(key),
                    class,
                    message: message.clone(),
                    source: Some(Box::new(cause.clone())),
                })
            });
            stream::iter(all).boxed()
        }
    }
}

fn delete_singly(client: Arc<Client>, keys: Vec<Key>) -> BoxStream<'static, Result<Key>> {
    let one = move |key| {
        let client = Arc::clone(&client);
        async move { delete(&client, &key).await.map(|()| key) }
    };
    stream::iter(keys)
        .map(one)
        .buffer_unordered(SINGLES)
        .boxed()
}

/// What a server says of one key.
enum Verdict {
    Gone,
    Kept {
        /// S3's code for why.
        code: String,
        /// Whether trying again may help.
        transient: bool,
    },
}

/// One request for all; gives what the answer says of each key. A key that it does not name, in
/// either list, has no verdict.
///
/// Keys that were kept for a reason that passes are asked for again, by the one rule for that
/// and within one budget.
async fn delete_at_once(
    client: &Client,
    keys: &[Key],
) -> Result<HashMap<String, Verdict>, Failure> {
    let mut verdicts = HashMap::with_capacity(keys.len());
    let mut left: Vec<&str> = keys
        .iter()
        .map(Key::as_str)
        .filter(|key| flaw(key).is_none())
        .collect();
    for key in keys.iter().filter(|key| flaw(key.as_str()).is_some()) {
        verdicts.insert(key.as_str().to_owned(), Verdict::Gone);
    }
    let (mut retries, mut answered) = (client.retries(), false);
    loop {
        let result = match request(client, &left, retries.deadline()).await {
            Ok(result) => result,
            // What the last answer said of each key holds.
            Err(_) if answered => return Ok(verdicts),
            Err(failure) => return Err(failure),
        };
        answered = true;
        let passing = judge(&result, &left, &mut verdicts);
        let Some((failure, again)) = passing else {
            return Ok(verdicts);
        };
        let Some(pause) = retries.next(&failure, Repeat::Always) else {
            return Ok(verdicts);
        };
        tokio::time::sleep(pause).await;
        left = keys
            .iter()
            .map(Key::as_str)
            .filter(|key| again.iter().any(|again| again == key))
            .collect();
    }
}

/// Enters what the answer says into `verdicts`. Gives the keys that are worth asking for again, and
/// the failure that says so.
fn judge(
    result: &Element,
    asked: &[&str],
    verdicts: &mut HashMap<String, Verdict>,
) -> Option<(Failure, Vec<String>)> {
    let asked: HashSet<&str> = asked.iter().copied().collect();
    let named = |element: &Element| {
        element
            .get("Key")
            .filter(|key| asked.contains(key))
            .map(str::to_owned)
    };
    for key in result.all("Deleted").filter_map(named) {
        verdicts.insert(key, Verdict::Gone);
    }
    let mut again = None;
    for error in result.all("Error") {
        // One that names no key that was asked for says nothing of any.
        let Some(key) = named(error) else {
            continue;
        };
        let refusal = Refusal::late(StatusCode::OK, &HeaderMap::new(), error);
        if refusal.is_not_found() || refusal.is_key_refused() {
            verdicts.insert(key, Verdict::Gone);
            continue;
        }
        let (code, transient) = (refusal.code.clone(), refusal.is_transient());
        if transient {
            let (_, keys) = again.get_or_insert_with(|| (Failure::from(refusal), Vec::new()));
            keys.push(key.clone());
        }
        verdicts.insert(key, Verdict::Kept { code, transient });
    }
    again
}

async fn request(
    client: &Client,
    keys: &[&str],
    deadline: Option<Instant>,
) -> Result<Element, Failure> {
    let objects: String = keys
        .iter()
        .map(|key| format!("<Object><Key>{}</Key></Object>", escape(key)))
        .collect();
    // Not the quiet form, which names only what failed.
    let document = format!(
        "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{objects}<Quiet>false</Quiet></Delete>"
    );
    let mut call = Call::new(Method::POST, None).query("delete", "");
    call.deadline = deadline;
    // S3 wants this one request to carry a checksum, and this is the one that every server knows.
    let md5 = STANDARD.encode(Md5::digest(document.as_bytes()));
    if let Ok(value) = HeaderValue::from_str(&md5) {
        call.headers
            .push((HeaderName::from_static("content-md5"), value));
    }
    let (_, answer) = client.call_xml(&call.body(document), "DeleteResult").await;
    answer.map(|(_, result)| result)
}

fn kept(client: &Client, key: Key, code: &str, transient: bool) -> Error {
    let class = if transient {
        ErrorClass::Transient
    } else {
        ErrorClass::Fatal
    };
    Error::Backend {
        operation: Operation::Delete,
        key: Some(key),
        class,
        message: format!("{} kept it: {code}", client.describe()),
        source: None,
    }
}
