//! One bucket on one server: requests that are signed, limited in number, adapted to what the
//! server asks for, and sent again by the rule of [`retry`](crate::retry).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

use crate::answer::refuse_coding;
use crate::credentials::SharedCredentials;
use crate::endpoint::{Endpoint, encoded_path};
use crate::error::{Failure, Refusal};
use crate::options::S3Options;
use crate::request_body::RequestBody;
use crate::retry::{Repeat, Retries, RetryPolicy};
use crate::session::{Course, Session, Target};
use crate::sign::{self, ChunkSigner, Payload};
use crate::transport::Transport;
use crate::xml::Element;

/// The longest answer in XML that is read, in bytes: 1,000 entries with the longest keys, every
/// byte of them escaped, have less.
const MAX_XML: usize = 16 << 20;

/// The longest refusal that is read, in bytes, and the longest body of an answer that needs none.
const MAX_REFUSAL: usize = 64 * 1024;

/// A request for [`Client::call`].
#[derive(Default)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) key: Option<&'a Key>,
    pub(crate) query: Vec<(&'static str, &'a str)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// The body's SHA-256, if it is known or said to be.
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) repeat: Repeat,
    /// At most this many attempts, whatever the options allow.
    pub(crate) attempts: Option<u32>,
    /// The end of the budget that it shares with other requests, if it has none of its own.
    pub(crate) deadline: Option<Instant>,
    /// For how much longer than usual the server may be silent.
    pub(crate) patience: Duration,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, key: Option<&'a Key>) -> Self {
        Self {
            method,
            key,
            ..Self::default()
        }
    }

    /// With a query parameter.
    pub(crate) fn query(mut self, name: &'static str, value: &'a str) -> Self {
        self.query.push((name, value));
        self
    }

    /// With a header.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With a body in memory.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// How much of a good answer belongs to a call: until that is there, the call may be sent again.
#[derive(Clone, Copy)]
enum Read<'a> {
    /// Its head; the body is the caller's to read.
    Head,
    /// All of it, which is not needed.
    Discard,
    /// XML with a root of this name.
    Xml(&'a str),
}

enum Answer {
    Head(Response<Incoming>),
    Discarded(HeaderMap),
    Xml(HeaderMap, Element),
}

/// The attempts of one request.
pub(crate) struct Attempts<'a> {
    client: &'a Client,
    retries: Retries,
    pub(crate) course: Course,
    method: Method,
    repeat: Repeat,
    /// Whether an earlier attempt may have been acted on.
    pub(crate) uncertain: bool,
}

pub(crate) struct Client {
    transport: Transport,
    session: Session,
    /// `None`: requests are not signed.
    credentials: Option<SharedCredentials>,
    requests: Arc<Semaphore>,
    retry: RetryPolicy,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("target", &self.session.home())
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(options: &S3Options) -> Result<Self> {
        let endpoint = Endpoint::new(options)?;
        // Wider than AWS's names: other servers are configured with their own.
        let in_region = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let region = match &options.region {
            Some(region) if region.bytes().all(in_region) && !region.is_empty() => region.clone(),
            Some(region) => {
                return Err(Error::config(
                    "region",
                    format!("{region:?} is not the name of a region"),
                ));
            }
            None => endpoint.region().unwrap_or("us-east-1").to_owned(),
        };
        let fixed = options.credentials.is_some() || options.anonymous;
        let transport = Transport::new(options, endpoint.is_https() || !fixed)?;
        let credentials = if options.anonymous {
            if options.credentials.is_some() || options.provider.is_some() {
                return Err(Error::config("anonymous", "is true, but there are keys"));
            }
            None
        } else {
            Some(SharedCredentials::over(options, &transport)?)
        };
        let permits = options.max_requests.clamp(1, Semaphore::MAX_PERMITS);
        let target = Target {
            endpoint,
            region,
            url: None,
        };
        Ok(Self {
            transport,
            session: Session::new(target, options.region.is_none()),
            credentials,
            requests: Arc::new(Semaphore::new(permits)),
            retry: RetryPolicy::new(options),
        })
    }

    /// For messages.
    pub(crate) fn describe(&self) -> String {
        self.session.home().endpoint.describe()
    }

    /// The region that requests are signed for.
    pub(crate) fn region(&self) -> String {
        self.session.home().region.clone()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.credentials.is_none()
    }

    /// Whether large bodies may wait for the server's `100 Continue`.
    pub(crate) fn may_hold(&self) -> bool {
        self.session.expects.load(Ordering::Relaxed)
    }

    pub(crate) fn retries(&self) -> Retries {
        self.retry.start(None)
    }

    /// Sends a request whose body is in memory and gives the head of its good answer.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Response<Incoming>, Failure> {
        match self.run(call, Read::Head).await.1? {
            Answer::Head(answer) => Ok(answer),
            Answer::Discarded(_) | Answer::Xml(..) => Err(self.garbage()),
        }
    }

    /// The same for an answer whose body is not needed; gives its headers. A body that is an
    /// `<Error>` is a failure.
    pub(crate) async fn call_discarding(&self, call: &Call<'_>) -> Result<HeaderMap, Failure> {
        self.call_knowing(call).await.1
    }

    /// The same, and whether an earlier attempt than the last may have been acted on.
    pub(crate) async fn call_knowing(&self, call: &Call<'_>) -> (bool, Result<HeaderMap, Failure>) {
        let (uncertain, answer) = self.run(call, Read::Discard).await;
        let headers = answer.and_then(|answer| match answer {
            Answer::Discarded(headers) => Ok(headers),
            Answer::Head(_) | Answer::Xml(..) => Err(self.garbage()),
        });
        (uncertain, headers)
    }

    /// The same for an answer in XML, whose root must have this name.
    pub(crate) async fn call_xml(
        &self,
        call: &Call<'_>,
        root: &str,
    ) -> (bool, Result<(HeaderMap, Element), Failure>) {
        let (uncertain, answer) = self.run(call, Read::Xml(root)).await;
        let xml = answer.and_then(|answer| match answer {
            Answer::Xml(headers, element) => Ok((headers, element)),
            Answer::Head(_) | Answer::Discarded(_) => Err(self.garbage()),
        });
        (uncertain, xml)
    }

    fn garbage(&self) -> Failure {
        Refusal::garbage(StatusCode::OK, &HeaderMap::new()).into()
    }

    pub(crate) fn attempts(&self, call: &Call<'_>) -> Attempts<'_> {
        Attempts {
            client: self,
            retries: self.retry.start(call.attempts).until(call.deadline),
            course: self.session.start(),
            method: call.method.clone(),
            repeat: call.repeat,
            uncertain: false,
        }
    }

    async fn run(&self, call: &Call<'_>, read: Read<'_>) -> (bool, Result<Answer, Failure>) {
        let sha256 = match call.sha256 {
            Some(sum) => sum,
            None => hash(&call.body).await,
        };
        let mut attempts = self.attempts(call);
        loop {
            let failure = match self.attempt(call, sha256, read, &mut attempts.course).await {
                Ok(answer) => return (attempts.uncertain, Ok(answer)),
                Err(failure) => failure,
            };
            if !attempts.again_after(&failure).await {
                return (attempts.uncertain, Err(failure));
            }
        }
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        sha256: [u8; 32],
        read: Read<'_>,
        course: &mut Course,
    ) -> Result<Answer, Failure> {
        // Nothing under this permit waits on the caller: the body is in memory, and a body that the
        // caller reads is read after it.
        let _permit = self.requests.acquire().await;
        let body = RequestBody::memory(call.body.clone(), self.may_hold()).patient(call.patience);
        let len = call.body.len() as u64;
        let (request, _) = self
            .request(call, course, Payload::Sha256(sha256), len, body)
            .await?;
        let answer = self.send(request).await?;
        if matches!(read, Read::Head) {
            return Ok(Answer::Head(answer));
        }
        let (head, body) = answer.into_parts();
        refuse_coding(&head.headers, None).map_err(Failure::Wrong)?;
        match read {
            Read::Xml(root) => {
                let body = self.transport.collect(body, MAX_XML).await?;
                let element = Element::parse(&body);
                match element {
                    Some(element) if element.name == root => Ok(Answer::Xml(head.headers, element)),
                    Some(element) if element.name == "Error" => {
                        Err(Refusal::late(head.status, &head.headers, &element).into())
                    }
                    _ => Err(Refusal::garbage(head.status, &head.headers).into()),
                }
            }
            Read::Head | Read::Discard => {
                let answer = Response::from_parts(head, body);
                self.discard(answer).await.map(Answer::Discarded)
            }
        }
    }

    /// A request whose body of `wire` bytes may be anything. Headers, keys and the signature are
    /// added. There is no signer for the chunks if requests are not signed.
    pub(crate) async fn request(
        &self,
        call: &Call<'_>,
        course: &mut Course,
        payload: Payload,
        wire: u64,
        body: RequestBody,
    ) -> Result<(Request<RequestBody>, Option<ChunkSigner>), Failure> {
        let unsendable = |what: &str| {
            Failure::Unsent(Error::Backend {
                operation: Operation::Open,
                key: call.key.cloned(),
                class: ErrorClass::Fatal,
                message: format!("{}: the request has {what}", self.describe()),
                source: None,
            })
        };
        let target = Arc::clone(&course.target);
        let uri: Uri = match &target.url {
            Some(url) => url.parse(),
            None => target
                .endpoint
                .uri(call.key.map(Key::as_str), &call.query)
                .parse(),
        }
        .map_err(|_| unsendable("a URL that cannot be sent"))?;
        let mut headers: HeaderMap = call.headers.iter().cloned().collect();
        let mut signer = None;
        if let Some(credentials) = &self.credentials {
            let keys = credentials.get().await.map_err(Failure::Unsent)?;
            let chunks = sign::sign(
                &keys,
                &target.region,
                DateTime::<Utc>::from(self.session.now_for(course)),
                &call.method,
                &uri,
                &mut headers,
                payload,
            )
            .ok_or_else(|| unsendable("keys that cannot be sent"))?;
            signer = Some(chunks);
            course.keys = Some(keys);
        }
        let always = self.session.tells_length.load(Ordering::Relaxed);
        if wire > 0 || always || matches!(call.method, Method::PUT | Method::POST) {
            headers.insert(CONTENT_LENGTH, wire.into());
        }
        course.waited = body.is_held();
        course.told_length = headers.contains_key(CONTENT_LENGTH);
        course.sent_to = Some(uri.clone());
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok((request, signer))
    }

    /// The header that names the source of a copy; `None` if it cannot be sent.
    pub(crate) fn copy_source(&self, key: &Key) -> Option<(HeaderName, HeaderValue)> {
        let home = self.session.home();
        let path = encoded_path(&format!("{}/{key}", home.endpoint.bucket()));
        let value = HeaderValue::from_str(&path).ok()?;
        Some((HeaderName::from_static("x-amz-copy-source"), value))
    }

    /// A URL that carries its signature, and when it stops being valid. `None` if requests are not
    /// signed, or the keys cannot sign it.
    pub(crate) async fn presign(
        &self,
        method: &Method,
        key: &Key,
        headers: &HeaderMap,
        expires: Duration,
    ) -> Result<Option<(String, SystemTime)>> {
        let Some(credentials) = &self.credentials else {
            return Ok(None);
        };
        let keys = credentials.get().await?;
        let (target, now) = (self.session.home(), self.session.now());
        let date = DateTime::<Utc>::from(now);
        let query = sign::presign_query(&keys, &target.region, date, expires, headers);
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let url = target.endpoint.uri(Some(key.as_str()), &query);
        let signed = url
            .parse()
            .ok()
            .and_then(|uri| sign::presign(&keys, &target.region, date, method, &uri, headers));
        let until = SystemTime::now() + expires;
        Ok(signed.map(|signature| (format!("{url}&X-Amz-Signature={signature}"), until)))
    }

    /// Sends a request once; an answer that refuses is a failure.
    pub(crate) async fn send(
        &self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, Failure> {
        let answer = self.transport.send(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self
            .transport
            .collect(body, MAX_REFUSAL)
            .await
            .unwrap_or_default();
        Err(Refusal::new(head.status, &head.headers, &body).into())
    }

    /// Reads an answer that needs no body to its end, so that its connection can serve again.
    pub(crate) async fn discard(&self, answer: Response<Incoming>) -> Result<HeaderMap, Failure> {
        let (head, body) = answer.into_parts();
        let body = self.transport.collect(body, MAX_REFUSAL).await?;
        match Element::parse(&body).filter(|root| root.name == "Error") {
            Some(error) => Err(Refusal::late(head.status, &head.headers, &error).into()),
            None => Ok(head.headers),
        }
    }

    pub(crate) fn error(&self, failure: Failure, operation: Operation, key: Option<&Key>) -> Error {
        failure.into_error(operation, key, &self.session.home().endpoint)
    }

    /// An answer that is wrong in itself.
    pub(crate) fn unexpected(&self, operation: Operation, key: Option<&Key>, what: &str) -> Error {
        Error::Backend {
            operation,
            key: key.cloned(),
            class: ErrorClass::Fatal,
            message: format!("{} {what}", self.describe()),
            source: None,
        }
    }
}

impl Attempts<'_> {
    /// Whether the request is to be sent again after this failure; waits until then.
    pub(crate) async fn again_after(&mut self, failure: &Failure) -> bool {
        if let Some(refusal) = failure.refusal() {
            let client = self.client;
            let credentials = client.credentials.as_ref();
            if client
                .session
                .adapt(&mut self.course, refusal, &self.method, credentials)
            {
                return true;
            }
        }
        let Some(pause) = self.retries.next(failure, self.repeat) else {
            return false;
        };
        self.uncertain |= failure.may_have_acted();
        tokio::time::sleep(pause).await;
        true
    }
}

/// The SHA-256 of a body in memory, on the blocking threads if it is large.
pub(crate) async fn hash(body: &Bytes) -> [u8; 32] {
    const LARGE: usize = 256 * 1024;
    if body.len() > LARGE {
        let bytes = body.clone();
        if let Ok(sum) = tokio::task::spawn_blocking(move || sign::sha256(&bytes)).await {
            return sum;
        }
    }
    sign::sha256(body)
}
