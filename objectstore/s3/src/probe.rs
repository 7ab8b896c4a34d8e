//! Finding out what a server honours, on an object that is gone afterwards.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, StatusCode};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Handle;

use storehouse_objectstore::{
    Body, Capabilities, Error, ErrorClass, Key, KeyRule, ListOrder, Operation, PutOptions, Result,
    SizedBody,
};

use crate::attributes::MAX_ATTRIBUTES;
use crate::checksum::sha256_header;
use crate::chunked_upload::send_anew;
use crate::client::{Call, Client};
use crate::delete::delete;
use crate::error::Failure;
use crate::get::head;
use crate::limits::{MAX_OBJECT, flaw};
use crate::shared::{PutHeaders, Shared};
use crate::sign::{Payload, hex, sha256};

const CONTENT: &[u8] = b"written by a storehouse that was opened, and removed at once";

/// Tries out what the server honours.
pub(crate) async fn probe(client: &Arc<Client>, headers: &PutHeaders) -> Result<Capabilities> {
    let probe = Probe::new(Arc::clone(client), headers)?;
    let asterisk = || Some((IF_NONE_MATCH, HeaderValue::from_static("*")));
    let other = (
        IF_MATCH,
        HeaderValue::from_static("\"00000000000000000000000000000000\""),
    );
    let mut checksums = true;
    let mut first = probe.put(asterisk(), None, checksums).await?;
    if first == Answered::Unknown {
        // Is it the checksum that the server does not know, or all of it?
        checksums = false;
        first = probe.put(asterisk(), None, checksums).await?;
    }
    let found = match first {
        // With a new name nothing can be there but what an attempt wrote whose answer was lost.
        Answered::Taken | Answered::Refused => {
            let (create, replace, sha256) = tokio::join!(
                probe.put(asterisk(), None, checksums),
                probe.put(Some(other), None, checksums),
                probe.put(None, Some([0x5a; 32]), checksums)
            );
            (
                create? == Answered::Refused,
                replace? == Answered::Refused,
                sha256? == Answered::BadPayload,
            )
        }
        // It may not be written here, or not like this: then none of it is honoured.
        _ => (false, false, false),
    };
    probe.remove().await?;
    let (create, replace, verifies_sha256) = found;
    let mut capabilities = Capabilities::full();
    capabilities.create = create;
    capabilities.replace = replace;
    capabilities.verifies_sha256 = verifies_sha256;
    capabilities.checksums = checksums;
    capabilities.remote = true;
    capabilities.order = ListOrder::by_key();
    capabilities.max_size = MAX_OBJECT;
    capabilities.keys = KeyRule::new(flaw);
    Ok(capabilities
        .with_max_attributes(MAX_ATTRIBUTES)
        .with_native_copy(true)
        .with_presign(!client.is_anonymous()))
}

/// Whether the server takes a checksum after a chunked body. Tried once, when it is first needed:
/// one that does not know this may store the checksum as part of the body.
pub(crate) async fn takes_trailers(shared: &Shared) -> Result<bool> {
    if !shared.capabilities.checksums || shared.client.is_anonymous() {
        return Ok(false);
    }
    let found = shared.trailers.get_or_try_init(|| async {
        let probe = Probe::new(Arc::clone(&shared.client), &shared.put_headers)?;
        let taken = probe.put_with_trailer().await?;
        probe.remove().await?;
        Ok(taken)
    });
    found.await.copied()
}

/// Whether the server copies objects. Tried once, when it is first needed: one that does not know
/// the header of a copy would take it for a put of nothing, and empty the destination.
pub(crate) async fn copies(shared: &Shared) -> Result<bool> {
    let found = shared.copies.get_or_try_init(|| async {
        let probe = || Probe::new(Arc::clone(&shared.client), &shared.put_headers);
        let (from, to) = (probe()?, probe()?);
        let there = from.put(None, None, shared.capabilities.checksums).await?;
        let copied = there == Answered::Taken && to.copy(&from.key).await?;
        from.remove().await?;
        to.remove().await?;
        Ok(copied)
    });
    found.await.copied()
}

#[derive(Debug, PartialEq)]
enum Answered {
    Taken,
    /// For the condition's sake.
    Refused,
    BadPayload,
    /// The server does not know a header.
    Unknown,
    Otherwise,
}

/// The object that things are tried on. It is removed when this is dropped, too.
struct Probe {
    client: Arc<Client>,
    key: Key,
    encryption: Vec<(HeaderName, HeaderValue)>,
    runtime: Handle,
    there: bool,
}

impl Probe {
    fn new(client: Arc<Client>, headers: &PutHeaders) -> Result<Self> {
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
            encryption: headers.encryption.clone(),
            runtime: Handle::current(),
            there: true,
        })
    }

    /// The request for a put of the probe. A bucket may want every put to be encrypted.
    fn call(&self) -> Call<'_> {
        let mut call = Call::new(Method::PUT, Some(&self.key));
        call.headers.extend(self.encryption.clone());
        call
    }

    /// Puts the probe, and as often as any other idempotent request: it is one, since nothing else
    /// has this name.
    async fn put(
        &self,
        condition: Option<(HeaderName, HeaderValue)>,
        wrong_sha256: Option<[u8; 32]>,
        checksum: bool,
    ) -> Result<Answered> {
        let mut call = self.call();
        call.headers.extend(condition);
        if checksum {
            call.headers.push(sha256_header(&sha256(CONTENT)));
        }
        call.body = Bytes::from_static(CONTENT);
        if wrong_sha256.is_some() {
            call.sha256 = wrong_sha256;
            // Some servers call a wrong checksum an internal error, and do so again.
            call.attempts = Some(2);
        }
        let mut answer = self.client.call_discarding(&call).await;
        if matches!(answer, Err(Failure::Broken(_))) && call.attempts.take().is_some() {
            answer = self.client.call_discarding(&call).await;
        }
        match answer {
            Ok(_) => Ok(Answered::Taken),
            Err(Failure::Refused(refusal)) => match refusal.status {
                StatusCode::PRECONDITION_FAILED => Ok(Answered::Refused),
                _ if refusal.is_bad_payload() => Ok(Answered::BadPayload),
                _ if refusal.is_transient() && wrong_sha256.is_none() => {
                    let failure = Failure::Refused(refusal);
                    Err(self.client.error(failure, Operation::Open, None))
                }
                _ if refusal.is_unknown_feature() => Ok(Answered::Unknown),
                _ => Ok(Answered::Otherwise),
            },
            Err(failure) => Err(self.client.error(failure, Operation::Open, None)),
        }
    }

    /// Whether the server takes a checksum after the body, and keeps the body alone. A failure that
    /// may pass says nothing about that: it is an error, and this is tried again when it is needed.
    async fn put_with_trailer(&self) -> Result<bool> {
        let len = CONTENT.len() as u64;
        let options = PutOptions::default();
        let body = || {
            let body = Body::from(Bytes::from_static(CONTENT));
            SizedBody::new(&self.key, body, &options, len)
        };
        let payload = Payload::Chunked { len, trailer: true };
        match send_anew(&self.client, &self.call(), payload, body).await? {
            Ok(_) => Ok(head(&self.client, &self.key).await?.size == len),
            Err(Failure::Refused(refusal)) if !refusal.may_pass() => Ok(false),
            Err(failure) => Err(self.client.error(failure, Operation::Put, None)),
        }
    }

    /// Makes it a copy; whether the server says that it is one.
    async fn copy(&self, from: &Key) -> Result<bool> {
        let mut call = self.call();
        call.headers.extend(self.client.copy_source(from));
        match self.client.call_xml(&call, "CopyObjectResult").await.1 {
            Ok(_) => Ok(true),
            Err(Failure::Refused(refusal)) if !refusal.may_pass() => Ok(false),
            Err(failure) => Err(self.client.error(failure, Operation::Copy, None)),
        }
    }

    async fn remove(mut self) -> Result<()> {
        let removed = delete(&self.client, &self.key).await;
        self.there = false;
        match removed {
            Err(error) if error.is_transient() => Err(error),
            // Keys that may not delete could not put either, or are to keep everything.
            _ => Ok(()),
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.there {
            let (client, key) = (Arc::clone(&self.client), self.key.clone());
            self.runtime
                .spawn(async move { delete(&client, &key).await });
        }
    }
}
