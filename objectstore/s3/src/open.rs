//! Opening: is this an S3 server, is the bucket there, and what does the server honour?

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Handle;

use storehouse_objectstore::{
    Capabilities, Error, ErrorClass, Key, KeyRule, ListOrder, Operation, Result,
};

use super::client::{Call, Client};
use super::failure::Failure;
use super::options::S3Options;
use super::put::MAX_OBJECT;
use super::sign::hex;
use super::store::flaw;
use super::xml::escape;

/// Finds the bucket, or makes it.
pub(super) async fn bucket(options: &S3Options, mut client: Client) -> Result<Client> {
    let mut may_follow = options.region.is_none();
    let mut may_create = options.create_bucket;
    loop {
        let failure = match look(&client).await {
            Ok(()) => return Ok(client),
            Err(failure) => failure,
        };
        match failure.refusal().and_then(|refusal| refusal.region.clone()) {
            Some(region) if may_follow && region != client.region() => {
                may_follow = false;
                client = client.with_region(region);
                continue;
            }
            _ => {}
        }
        match failure.refusal().map(|refusal| refusal.code.as_str()) {
            Some("NoSuchBucket") if may_create => {
                may_create = false;
                create(&client).await?;
            }
            Some("NoSuchBucket") if !options.create_bucket => {
                return Err(config(
                    "bucket",
                    "there is no such bucket, and it is not to be created",
                    failure,
                    &client,
                ));
            }
            _ => return Err(explain(failure, options, &client)),
        }
    }
}

/// A listing of one key: unlike a HEAD of the bucket, its answer says what is wrong and whether an
/// S3 server speaks.
async fn look(client: &Client) -> Result<(), Failure> {
    let mut call = Call::new(Method::GET, None);
    call.query = vec![("list-type", "2"), ("max-keys", "1")];
    let answer = client.call(&call).await?;
    client.xml(answer, "ListBucketResult").await.map(drop)
}

pub(super) async fn health(client: &Client) -> Result<()> {
    look(client)
        .await
        .map_err(|failure| client.error(failure, Operation::Health, None))
}

async fn create(client: &Client) -> Result<()> {
    let mut call = Call::new(Method::PUT, None);
    if client.region() != "us-east-1" {
        let region = escape(client.region());
        let place = format!("<LocationConstraint>{region}</LocationConstraint>");
        call.body =
            format!("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{place}</CreateBucketConfiguration>")
                .into();
    }
    match client.call(&call).await {
        Ok(answer) => client.drain(answer).await,
        // Another store was quicker.
        Err(failure)
            if failure.refusal().is_some_and(|r| {
                matches!(
                    r.code.as_str(),
                    "BucketAlreadyOwnedByYou" | "BucketAlreadyExists"
                )
            }) => {}
        Err(failure) => {
            return Err(config(
                "bucket",
                "it is missing and cannot be created",
                failure,
                client,
            ));
        }
    }
    Ok(())
}

pub(super) async fn remove(client: &Client) -> Result<()> {
    match client.call(&Call::new(Method::DELETE, None)).await {
        Ok(answer) => {
            client.drain(answer).await;
            Ok(())
        }
        Err(failure) => Err(client.error(failure, Operation::Delete, None)),
    }
}

/// A failure to open, as the setting that is at fault where that is known.
fn explain(failure: Failure, options: &S3Options, client: &Client) -> Error {
    let Some(refusal) = failure.refusal() else {
        return client.error(failure, Operation::Open, None);
    };
    let region = refusal
        .region
        .clone()
        .filter(|region| region != client.region());
    let (setting, reason) = match (refusal.code.as_str(), region) {
        (_, Some(region)) if options.region.is_some() => (
            "region",
            format!(
                "it is {:?}, and the server's is {region:?}",
                client.region()
            ),
        ),
        ("InvalidAccessKeyId", _) => ("access_key_id", "the server does not know it".into()),
        ("SignatureDoesNotMatch", _) => (
            "secret_access_key",
            "it is not the secret of this access key".into(),
        ),
        ("InvalidToken" | "ExpiredToken", _) => ("session_token", "the server refuses it".into()),
        (code, _)
            if !matches!(code, "" | "RequestTimeTooSkewed")
                && matches!(refusal.status.as_u16(), 401 | 403) =>
        {
            ("access_key_id", "the server refuses these keys".into())
        }
        ("", _) if !refusal.is_transient() => ("endpoint", "no S3 server answers there".into()),
        _ => return client.error(failure, Operation::Open, None),
    };
    config(setting, &reason, failure, client)
}

fn config(setting: &'static str, reason: &str, failure: Failure, client: &Client) -> Error {
    match client.error(failure, Operation::Open, None) {
        Error::Backend {
            class: ErrorClass::Fatal,
            message,
            ..
        } => Error::config(setting, format!("{reason} ({message})")),
        other => other,
    }
}

/// Tries out what the server honours, on an object that is gone afterwards.
pub(super) async fn capabilities(client: &Arc<Client>) -> Result<Capabilities> {
    let probe = Probe::new(Arc::clone(client))?;
    let asterisk = || Some((IF_NONE_MATCH, HeaderValue::from_static("*")));
    let other = (
        IF_MATCH,
        HeaderValue::from_static("\"00000000000000000000000000000000\""),
    );
    let found = match probe.put(asterisk(), None).await {
        Ok(Answered::Taken) => {
            let (create, replace, sha256) = tokio::join!(
                probe.put(asterisk(), None),
                probe.put(Some(other), None),
                probe.put(None, Some([0x5a; 32]))
            );
            (
                create? == Answered::Refused,
                replace? == Answered::Refused,
                sha256? == Answered::BadPayload,
            )
        }
        // It may not be written here, or not like this: then none of it is honoured.
        Ok(_) => (false, false, false),
        Err(error) => return Err(error),
    };
    probe.remove().await?;
    let (create, replace, verifies_sha256) = found;
    Ok(Capabilities {
        create,
        replace,
        verifies_sha256,
        remote: true,
        order: ListOrder::by_key(),
        max_size: MAX_OBJECT,
        keys: KeyRule::new(flaw),
    })
}

#[derive(Debug, PartialEq)]
enum Answered {
    Taken,
    /// For the condition's sake.
    Refused,
    BadPayload,
    Otherwise,
}

/// The object that things are tried on. It is removed when this is dropped, too.
struct Probe {
    client: Arc<Client>,
    key: Key,
    runtime: Handle,
    there: bool,
}

impl Probe {
    fn new(client: Arc<Client>) -> Result<Self> {
        let mut random = [0; 16];
        let no_random = |_| Error::Backend {
            operation: Operation::Open,
            key: None,
            class: ErrorClass::Fatal,
            message: "the system gives no random numbers".into(),
            source: None,
        };
        SystemRandom::new().fill(&mut random).map_err(no_random)?;
        let key = Key::new(format!(".storehouse-probe-{}", hex(&random)))?;
        Ok(Self {
            client,
            key,
            runtime: Handle::current(),
            there: true,
        })
    }

    async fn put(
        &self,
        condition: Option<(HeaderName, HeaderValue)>,
        sha256: Option<[u8; 32]>,
    ) -> Result<Answered> {
        let mut call = Call::new(Method::PUT, Some(&self.key));
        call.headers = condition.into_iter().collect();
        call.body =
            Bytes::from_static(b"written by a storehouse that was opened, and removed at once");
        call.sha256 = sha256;
        // Some servers call a wrong checksum an internal error, and would do so again.
        call.once = true;
        match self.client.call(&call).await {
            Ok(answer) => {
                self.client.drain(answer).await;
                Ok(Answered::Taken)
            }
            Err(Failure::Refused(refusal)) if !refusal.is_busy() => Ok(match refusal.status {
                StatusCode::PRECONDITION_FAILED => Answered::Refused,
                _ if refusal.is_bad_payload() => Answered::BadPayload,
                _ => Answered::Otherwise,
            }),
            Err(failure) => Err(self.client.error(failure, Operation::Open, None)),
        }
    }

    async fn remove(mut self) -> Result<()> {
        let removed = self.client.delete(&self.key).await;
        self.there = false;
        match removed {
            Err(error) if error.is_transient() => Err(error),
            // One who may not delete could not put either, or wants to keep everything.
            _ => Ok(()),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.there {
            let (client, key) = (Arc::clone(&self.client), self.key.clone());
            self.runtime.spawn(async move { client.delete(&key).await });
        }
    }
}
