//! Opening: does an S3 server answer, and is the bucket there?

use std::sync::Arc;

use hyper::Method;
use tokio::sync::{OnceCell, Semaphore};

use storehouse_objectstore::{Error, ErrorClass, Operation, Result};

use crate::client::{Call, Client};
use crate::error::Failure;
use crate::limits::{MAX_PUT, MIN_PART};
use crate::list::look;
use crate::options::S3Options;
use crate::probe::probe;
use crate::shared::{PERMIT, PutHeaders, Shared};
use crate::xml::escape;

/// Connects, finds or makes the bucket, and finds out what the server honours.
pub(crate) async fn open(options: &S3Options) -> Result<Shared> {
    if options.part_size < MIN_PART || options.part_size > MAX_PUT {
        return Err(Error::config(
            "part_size",
            "a part has 5 MiB at least and 5 GiB at most",
        ));
    }
    if options.single_copy < MIN_PART || options.single_copy > MAX_PUT {
        return Err(Error::config(
            "single_copy",
            "a copy in one request has 5 MiB at least and 5 GiB at most",
        ));
    }
    let put_headers = PutHeaders::new(options)?;
    let client = Arc::new(Client::new(options)?);
    let decodes = bucket(options, &client).await?;
    let capabilities = probe(&client, &put_headers).await?;
    let permits = usize::try_from(options.part_memory.div_ceil(PERMIT)).unwrap_or(usize::MAX);
    Ok(Shared {
        client,
        capabilities,
        trailers: OnceCell::new(),
        copies: OnceCell::new(),
        decodes,
        part_size: options.part_size,
        single_copy: options.single_copy,
        part_memory: options.part_memory,
        parts: Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS))),
        put_headers,
    })
}

/// Finds the bucket, or makes it. Gives whether keys in listings are to be decoded.
async fn bucket(options: &S3Options, client: &Client) -> Result<bool> {
    let mut may_create = options.create_bucket;
    loop {
        let failure = match look(client).await {
            Ok(decodes) => return Ok(decodes),
            Err(failure) => failure,
        };
        match failure.refusal().map(|refusal| refusal.code.as_str()) {
            Some("NoSuchBucket") if may_create => {
                may_create = false;
                create(client).await?;
            }
            Some("NoSuchBucket") if !options.create_bucket => {
                return Err(config(
                    "bucket",
                    "there is no such bucket, and it is not to be created",
                    failure,
                    client,
                ));
            }
            _ => return Err(explain(failure, options, client)),
        }
    }
}

/// Whether the server answers for the bucket.
pub(crate) async fn health(client: &Client) -> Result<()> {
    look(client)
        .await
        .map(drop)
        .map_err(|failure| client.error(failure, Operation::Health, None))
}

async fn create(client: &Client) -> Result<()> {
    let mut call = Call::new(Method::PUT, None);
    let region = client.region();
    if region != "us-east-1" {
        let place = format!(
            "<LocationConstraint>{}</LocationConstraint>",
            escape(&region)
        );
        call.body =
            format!("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{place}</CreateBucketConfiguration>")
                .into();
    }
    match client.call_discarding(&call).await {
        Ok(_) => Ok(()),
        // Another store was quicker, or an attempt whose answer was lost.
        Err(failure)
            if failure.has_code("BucketAlreadyOwnedByYou")
                || failure.has_code("BucketAlreadyExists") =>
        {
            Ok(())
        }
        Err(failure) => Err(config(
            "bucket",
            "it is missing and cannot be created",
            failure,
            client,
        )),
    }
}

/// Removes the bucket.
pub(crate) async fn remove(client: &Client) -> Result<()> {
    match client
        .call_discarding(&Call::new(Method::DELETE, None))
        .await
    {
        Ok(_) => Ok(()),
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
        .filter(|region| *region != client.region());
    let (setting, reason) = match (refusal.code.as_str(), region) {
        (_, Some(region)) if options.region.is_some() => (
            "region",
            format!(
                "it is {:?}, and the server's is {region:?}",
                client.region()
            ),
        ),
        ("InvalidAccessKeyId" | "XAdminUserNotFound", _) => {
            ("access_key_id", "the server does not know it".into())
        }
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
            source,
            ..
        } => Error::Config {
            setting,
            reason: format!("{reason} ({message})"),
            source,
        },
        other => other,
    }
}
