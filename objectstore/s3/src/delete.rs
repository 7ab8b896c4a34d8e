//! Deleting, one by one and by the thousand.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use hyper::Method;
use hyper::header::HeaderValue;
use md5::{Digest, Md5};

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

use super::client::{Call, Client};
use super::failure::{Failure, clean};
use super::xml::escape;

/// The most keys that S3 deletes by one request.
const BATCH: usize = 1000;

/// How many deletes run at once where the server has no bulk delete.
const SINGLES: usize = 16;

impl Client {
    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        match self.call(&Call::new(Method::DELETE, Some(key))).await {
            Ok(answer) => {
                self.drain(answer).await;
                Ok(())
            }
            Err(failure)
                if failure
                    .refusal()
                    .is_some_and(|refusal| refusal.is_not_found() || refusal.is_key_refused()) =>
            {
                Ok(())
            }
            Err(failure) => Err(self.error(failure, Operation::Delete, Some(key))),
        }
    }

    pub(super) fn delete_many<'a>(
        self: &Arc<Self>,
        keys: BoxStream<'a, Key>,
    ) -> BoxStream<'a, Result<Key>> {
        let client = Arc::clone(self);
        // Only what is ready: a caller may give the next key after it saw that the last one is
        // gone.
        keys.ready_chunks(BATCH)
            .then(move |batch| Arc::clone(&client).delete_batch(batch))
            .flatten()
            .boxed()
    }

    async fn delete_batch(self: Arc<Self>, keys: Vec<Key>) -> BoxStream<'static, Result<Key>> {
        if keys.len() == 1 {
            return self.delete_singly(keys);
        }
        match self.delete_at_once(&keys).await {
            Ok(kept) => {
                let result = |key: Key| match kept.get(key.as_str()) {
                    None => Ok(key),
                    Some(code) => Err(self.kept(key, code)),
                };
                stream::iter(keys.into_iter().map(result).collect::<Vec<_>>()).boxed()
            }
            // A server without it says so in many ways; if something else is wrong, the single
            // deletes say what.
            Err(Failure::Refused(refusal)) if !refusal.is_transient() => self.delete_singly(keys),
            Err(failure) => {
                let first = self.error(failure, Operation::Delete, None);
                let (class, message) = (first.class(), first.to_string());
                let rest = keys.into_iter().skip(1).map(move |key| {
                    let (key, message) = (Some(key), message.clone());
                    Err(Error::Backend {
                        operation: Operation::Delete,
                        key,
                        class,
                        message,
                        source: None,
                    })
                });
                stream::iter(std::iter::once(Err(first)).chain(rest)).boxed()
            }
        }
    }

    fn delete_singly(self: Arc<Self>, keys: Vec<Key>) -> BoxStream<'static, Result<Key>> {
        let one = move |key| {
            let client = Arc::clone(&self);
            async move { client.delete(&key).await.map(|()| key) }
        };
        stream::iter(keys)
            .map(one)
            .buffer_unordered(SINGLES)
            .boxed()
    }

    /// One request for all; gives the keys that are still there, each with S3's code for why.
    async fn delete_at_once(&self, keys: &[Key]) -> Result<HashMap<String, String>, Failure> {
        let objects: String = keys
            .iter()
            .map(|key| format!("<Object><Key>{}</Key></Object>", escape(key.as_str())))
            .collect();
        let document = format!(
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{objects}<Quiet>true</Quiet></Delete>"
        );
        let mut call = Call::new(Method::POST, None);
        call.query = vec![("delete", "")];
        // S3 wants this one request to carry a checksum, and this is the one that every server
        // knows.
        let md5 = STANDARD.encode(Md5::digest(document.as_bytes()));
        if let Ok(value) = HeaderValue::from_str(&md5) {
            call.headers
                .push((hyper::header::HeaderName::from_static("content-md5"), value));
        }
        call.body = document.into();
        let answer = self.call(&call).await?;
        let result = self.xml(answer, "DeleteResult").await?;
        let errors = result
            .all("Error")
            .map(|error| (error.get("Key"), error.get("Code").unwrap_or("")));
        let kept =
            errors.filter(|(_, code)| !matches!(*code, "NoSuchKey" | "XMinioInvalidObjectName"));
        Ok(kept
            .filter_map(|(key, code)| Some((key?.to_owned(), clean(code, 64))))
            .collect())
    }

    fn kept(&self, key: Key, code: &str) -> Error {
        let class = if matches!(code, "SlowDown" | "InternalError" | "ServiceUnavailable") {
            ErrorClass::Transient
        } else {
            ErrorClass::Fatal
        };
        let message = format!("{} kept it: {code}", self.endpoint().describe());
        Error::Backend {
            operation: Operation::Delete,
            key: Some(key),
            class,
            message,
            source: None,
        }
    }
}
