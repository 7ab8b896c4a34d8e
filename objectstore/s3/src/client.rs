//! One bucket on one server: requests that are signed, limited in number and, where that does no
//! harm, sent again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

use super::credentials::Provider;
use super::endpoint::Endpoint;
use super::failure::{Failure, Refusal};
use super::options::S3Options;
use super::outgoing::Outgoing;
use super::sign::{self, ChunkSigner, Payload};
use super::transport::Transport;
use super::xml::Element;

/// The longest answer in XML that is read, in bytes: 1,000 entries with the longest keys, every
/// byte of them escaped, have less.
const MAX_XML: usize = 16 << 20;

/// The longest pause between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// A request for [`Client::call`].
#[derive(Default)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) key: Option<&'a Key>,
    pub(super) query: Vec<(&'static str, &'a str)>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
    /// The body's SHA-256, if it is known or said to be.
    pub(super) sha256: Option<[u8; 32]>,
    /// Doing it twice is not the same as doing it once.
    pub(super) once: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, key: Option<&'a Key>) -> Self {
        Self {
            method,
            key,
            ..Self::default()
        }
    }
}

pub(super) struct Client {
    transport: Transport,
    endpoint: Endpoint,
    region: String,
    keys: Provider,
    requests: Arc<Semaphore>,
    max_retries: u32,
    retry_backoff: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(options: &S3Options) -> Result<Self> {
        let endpoint = Endpoint::new(options)?;
        let region = options.region.clone().unwrap_or_else(|| "us-east-1".into());
        if region.is_empty()
            || !region
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            return Err(Error::config(
                "region",
                format!("{region:?} is not the name of a region"),
            ));
        }
        let transport = Transport::new(
            options,
            endpoint.is_https() || options.credentials.is_none(),
        )?;
        let keys = Provider::new(options, &region, &transport)?;
        Ok(Self {
            transport,
            endpoint,
            region,
            keys,
            requests: Arc::new(Semaphore::new(
                options.max_requests.clamp(1, Semaphore::MAX_PERMITS),
            )),
            max_retries: options.max_retries,
            retry_backoff: options.retry_backoff,
        })
    }

    /// The same for another region.
    pub(super) fn with_region(self, region: String) -> Self {
        Self { region, ..self }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends a request whose body is in memory, again if that may help and does no harm, and gives
    /// its good answer.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Response<Incoming>, Failure> {
        let sha256 = match call.sha256 {
            Some(sum) => sum,
            None => hash(&call.body).await,
        };
        let mut tries = 0;
        loop {
            let failure = match self.call_once(call, sha256).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !self.may_retry(&failure, call, tries) {
                return Err(failure);
            }
            self.back_off(tries).await;
            tries += 1;
        }
    }

    pub(super) fn may_retry(&self, failure: &Failure, call: &Call<'_>, tries: u32) -> bool {
        tries < self.max_retries && failure.may_retry(!call.once)
    }

    pub(super) async fn back_off(&self, tries: u32) {
        tokio::time::sleep(self.pause(tries)).await;
    }

    async fn call_once(
        &self,
        call: &Call<'_>,
        sha256: [u8; 32],
    ) -> Result<Response<Incoming>, Failure> {
        // Nothing under this permit waits on the caller: the body is in memory, and the answer's
        // body is read after it.
        let _permit = self.requests.acquire().await;
        let body = Outgoing::memory(call.body.clone());
        let (request, _) = self
            .request(call, Payload::Sha256(sha256), call.body.len() as u64, body)
            .await?;
        self.send(request).await
    }

    /// A request whose body of `wire` bytes may be anything. Headers, keys and the signature are
    /// added.
    pub(super) async fn request(
        &self,
        call: &Call<'_>,
        payload: Payload,
        wire: u64,
        body: Outgoing,
    ) -> Result<(Request<Outgoing>, ChunkSigner), Failure> {
        let unsendable = |what: &str| {
            Failure::Early(Error::Backend {
                operation: Operation::Open,
                key: call.key.cloned(),
                class: ErrorClass::Fatal,
                message: format!("{}: the request has {what}", self.endpoint.describe()),
                source: None,
            })
        };
        let uri = self.endpoint.uri(call.key.map(Key::as_str), &call.query);
        let uri: Uri = uri
            .parse()
            .map_err(|_| unsendable("a URL that cannot be sent"))?;
        let keys = self.keys.get().await.map_err(Failure::Early)?;
        let mut headers: HeaderMap = call.headers.iter().cloned().collect();
        let chunks = sign::sign(
            &keys,
            &self.region,
            Utc::now(),
            &call.method,
            &uri,
            &mut headers,
            payload,
        )
        .ok_or_else(|| unsendable("keys that cannot be sent"))?;
        if wire > 0 || matches!(call.method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, wire.into());
        }
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok((request, chunks))
    }

    /// Sends a request once; an answer that says no is a failure.
    pub(super) async fn send(
        &self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failure> {
        let answer = self.transport.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self
            .transport
            .collect(body, MAX_XML)
            .await
            .unwrap_or_default();
        Err(Failure::Refused(Box::new(Refusal::new(
            head.status,
            &head.headers,
            &body,
        ))))
    }

    /// The answer's XML, whose root must have this name. An error that comes with a good status is
    /// a failure too.
    pub(super) async fn xml(
        &self,
        answer: Response<Incoming>,
        root: &str,
    ) -> Result<Element, Failure> {
        let (head, body) = answer.into_parts();
        let body = self.transport.collect(body, MAX_XML).await?;
        match Element::parse(&body) {
            Some(element) if element.name == root => Ok(element),
            Some(element) if element.name == "Error" => {
                // The status was sent before the server knew: what it stands for is what the code
                // says.
                let status = match element.get("Code") {
                    Some("PreconditionFailed") => StatusCode::PRECONDITION_FAILED,
                    Some("NoSuchUpload" | "NoSuchKey") => StatusCode::NOT_FOUND,
                    Some("InternalError") => StatusCode::INTERNAL_SERVER_ERROR,
                    Some("SlowDown" | "ServiceUnavailable") => StatusCode::SERVICE_UNAVAILABLE,
                    _ => head.status,
                };
                Err(Failure::Refused(Box::new(Refusal::new(
                    status,
                    &head.headers,
                    &body,
                ))))
            }
            _ => Err(Failure::Refused(Box::new(Refusal::garbage(
                head.status,
                &head.headers,
            )))),
        }
    }

    /// Reads an answer to its end, so that its connection can serve again.
    pub(super) async fn drain(&self, answer: Response<Incoming>) {
        let _ = self.transport.collect(answer.into_body(), MAX_XML).await;
    }

    pub(super) fn error(&self, failure: Failure, operation: Operation, key: Option<&Key>) -> Error {
        failure.into_error(operation, key, &self.endpoint)
    }

    /// The pause before try `tries + 1`: doubling, and random in its second half, so that clients
    /// which failed together do not come back together.
    fn pause(&self, tries: u32) -> Duration {
        let full = self
            .retry_backoff
            .saturating_mul(1 << tries.min(16))
            .min(MAX_BACKOFF);
        let mut random = [0; 4];
        // Without randomness the pause is merely not random.
        let _ = SystemRandom::new().fill(&mut random);
        full / 2 + (full / 2).mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
    }
}

/// The SHA-256 of a body in memory, on the blocking threads if it is large.
pub(super) async fn hash(body: &Bytes) -> [u8; 32] {
    const LARGE: usize = 256 * 1024;
    if body.len() > LARGE {
        let bytes = body.clone();
        if let Ok(sum) = tokio::task::spawn_blocking(move || sign::sha256(&bytes)).await {
            return sum;
        }
    }
    sign::sha256(body)
}
