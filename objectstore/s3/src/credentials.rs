//! Where the keys come from: the options, or what the environment points to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use secrecy::{ExposeSecret, SecretString};

use storehouse_objectstore::{BoxError, Error, Result};

use super::options::{Credentials, S3Options};
use super::outgoing::Outgoing;
use super::transport::Transport;

/// What of the environment says where keys are to be had. The rest of it (endpoints, regions,
/// buckets) is for the caller to say.
const SOURCES: [AmazonS3ConfigKey; 10] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::SecretAccessKey,
    AmazonS3ConfigKey::Token,
    AmazonS3ConfigKey::MetadataEndpoint,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
    AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::RoleArn,
    AmazonS3ConfigKey::StsEndpoint,
];

/// Gives the keys that requests are signed with at the time.
#[derive(Clone)]
pub(super) enum Provider {
    Fixed(Arc<AwsCredential>),
    Remote(AwsCredentialProvider),
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "keys",
            Self::Remote(_) => "temporary keys",
        })
    }
}

impl Provider {
    pub(super) fn new(options: &S3Options, region: &str, transport: &Transport) -> Result<Self> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = options.credentials.clone().unwrap_or_default();
        if let Some(keys) = pair(&given, ["access_key_id", "secret_access_key"])? {
            return Ok(Self::Fixed(keys));
        }
        let environment = Credentials {
            access_key_id: env("AWS_ACCESS_KEY_ID"),
            secret_access_key: env("AWS_SECRET_ACCESS_KEY").map(SecretString::from),
            session_token: env("AWS_SESSION_TOKEN").map(SecretString::from),
        };
        if let Some(keys) = pair(&environment, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])? {
            return Ok(Self::Fixed(keys));
        }
        // The retries are fewer than that crate's own, so that opening a store where there are no
        // keys at all ends soon.
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: 2,
            retry_timeout: Duration::from_secs(10),
        };
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&options.bucket)
            .with_region(region)
            .with_retry(retry)
            .with_http_connector(Connector(transport.clone()));
        let builder = SOURCES.into_iter().fold(builder, |builder, source| {
            let name = source.as_ref().to_ascii_uppercase();
            match env(&name) {
                Some(value) => builder.with_config(source, value),
                None => builder,
            }
        });
        match builder.build() {
            Ok(store) => Ok(Self::Remote(Arc::clone(store.credentials()))),
            Err(source) => Err(unavailable(source.into())),
        }
    }

    pub(super) async fn get(&self) -> Result<Arc<AwsCredential>> {
        match self {
            Self::Fixed(keys) => Ok(Arc::clone(keys)),
            Self::Remote(provider) => provider
                .get_credential()
                .await
                .map_err(|e| unavailable(e.into())),
        }
    }
}

fn unavailable(source: BoxError) -> Error {
    Error::Config {
        setting: "access_key_id",
        reason: "there are no keys: none are set, none are in the environment, and no instance or container gives them".into(),
        source: Some(source),
    }
}

/// Both keys or neither.
fn pair(credentials: &Credentials, names: [&'static str; 2]) -> Result<Option<Arc<AwsCredential>>> {
    let text = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map(|s| s.expose_secret().to_owned())
            .filter(|text| !text.is_empty())
    };
    let key_id = credentials
        .access_key_id
        .clone()
        .filter(|text| !text.is_empty());
    match (key_id, text(&credentials.secret_access_key)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::config(
            names[1],
            format!("is missing, though {} is set", names[0]),
        )),
        (None, Some(_)) => Err(Error::config(
            names[0],
            format!("is missing, though {} is set", names[1]),
        )),
        (Some(key_id), Some(secret_key)) => {
            let token = text(&credentials.session_token);
            let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            if !visible(&key_id) || key_id.contains(',') {
                return Err(Error::config(
                    names[0],
                    "holds characters that no access key has",
                ));
            }
            if token.as_deref().is_some_and(|token| !visible(token)) {
                return Err(Error::config(
                    "session_token",
                    "holds characters that no token has",
                ));
            }
            Ok(Some(Arc::new(AwsCredential {
                key_id,
                secret_key,
                token,
            })))
        }
    }
}

/// The transport, lent to the providers of keys.
#[derive(Clone)]
struct Connector(Transport);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Connector {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = hyper::Request::from_parts(head, Outgoing::memory(body));
            let broken = |e: super::transport::Broken| {
                HttpError::new(
                    HttpErrorKind::Connect,
                    std::io::Error::other(e.what.to_string()),
                )
            };
            // These answers are small, so they are taken whole: the time limit between pieces then
            // holds for them as well.
            let (head, body) = self.0.send(request).await.map_err(broken)?.into_parts();
            let body = self.0.collect(body, 1 << 20).await.map_err(broken)?;
            Ok(HttpResponse::from_parts(head, HttpResponseBody::from(body)))
        })
    }
}
