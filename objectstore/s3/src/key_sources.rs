//! Where keys come from if the options hold none: AWS's default chain, over this crate's own
//! transport.

use std::fmt;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use futures_core::future::BoxFuture;
use hyper::Request;
use secrecy::SecretString;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use storehouse_objectstore::{BoxError, Error, Result};

use crate::credentials::{
    CredentialProvider, Credentials, Misconfigured, NoKeys, SharedCredentials, keys,
};
use crate::error::Cause;
use crate::options::S3Options;
use crate::request_body::RequestBody;
use crate::transport::Transport;

/// The longest answer of a source of keys, in bytes.
const MAX_ANSWER: usize = 1 << 20;

impl SharedCredentials {
    /// The keys that a store opened with these options signs with, to be shared by several stores.
    ///
    /// [`S3Options::provider`] if it is set, else [`S3Options::credentials`], else AWS's default
    /// chain, in this order: the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`); a profile (`AWS_PROFILE`, `~/.aws/config`, `~/.aws/credentials`:
    /// keys, SSO, a role to assume, a process to run); a web identity
    /// (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`); a container
    /// (`AWS_CONTAINER_CREDENTIALS_FULL_URI` or `_RELATIVE_URI`,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN` or `_TOKEN_FILE`); the instance
    /// (`AWS_EC2_METADATA_SERVICE_ENDPOINT`, `AWS_EC2_METADATA_DISABLED`). With
    /// [`S3Options::profile`] the environment's keys are passed over.
    ///
    /// ```
    /// use storehouse_s3::{Credentials, S3Options, SharedCredentials};
    ///
    /// let options = S3Options::new("s3.example.com", "blobs")
    ///     .credentials(Credentials::new("key-id", "secret"));
    /// let shared = SharedCredentials::from_options(&options)?;
    /// let other = S3Options::new("s3.example.com", "receipts").provider(shared);
    /// assert!(!format!("{other:?}").contains("\"secret\""), "keys are not shown");
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] for keys that are incomplete, and for certificates or a proxy that cannot
    /// be used. No source is asked yet.
    pub fn from_options(options: &S3Options) -> Result<Self> {
        if let Some(shared) = given(options)? {
            return Ok(shared);
        }
        chain(options, &Transport::new(options, true)?)
    }

    /// The same over a transport that is there already.
    pub(crate) fn over(options: &S3Options, transport: &Transport) -> Result<Self> {
        match given(options)? {
            Some(shared) => Ok(shared),
            None => chain(options, transport),
        }
    }
}

/// What needs no asking: a provider, or keys in the options or the environment.
fn given(options: &S3Options) -> Result<Option<SharedCredentials>> {
    if let Some(shared) = &options.provider {
        return Ok(Some(shared.clone()));
    }
    let fixed = options.credentials.clone().unwrap_or_default();
    if let Some(keys) = keys(&fixed, ["access_key_id", "secret_access_key"])? {
        return Ok(Some(SharedCredentials::fixed(keys)));
    }
    if options.profile.is_some() {
        return Ok(None);
    }
    // Half a pair of keys is an error here, where the chain would go on to the next source.
    let env = |name: &str| std::env::var(name).ok();
    let environment = Credentials {
        access_key_id: env("AWS_ACCESS_KEY_ID"),
        secret_access_key: env("AWS_SECRET_ACCESS_KEY").map(SecretString::from),
        session_token: env("AWS_SESSION_TOKEN").map(SecretString::from),
        expires_at: None,
    };
    let keys = keys(&environment, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])?;
    Ok(keys.map(SharedCredentials::fixed))
}

fn chain(options: &S3Options, transport: &Transport) -> Result<SharedCredentials> {
    // The security token service is asked in this region. It is not looked for on the instance,
    // which takes seconds where there is none.
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .or_else(|| options.region.clone())
        .unwrap_or_else(|| "us-east-1".into());
    if options.profile.as_deref() == Some("") {
        return Err(Error::config("profile", "is empty"));
    }
    Ok(SharedCredentials::new(Chain {
        region,
        profile: options.profile.clone(),
        http: Http(transport.clone()),
        built: OnceCell::new(),
    }))
}

/// AWS's default chain of sources, or one profile.
struct Chain {
    region: String,
    profile: Option<String>,
    http: Http,
    built: OnceCell<Box<dyn ProvideCredentials>>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl Chain {
    async fn build(&self) -> Box<dyn ProvideCredentials> {
        let region = Region::new(self.region.clone());
        let config = ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(region.clone()))
            .with_http_client(self.http.clone());
        match &self.profile {
            None => {
                let chain = DefaultCredentialsChain::builder()
                    .configure(config)
                    .region(region);
                Box::new(chain.build().await)
            }
            Some(profile) => Box::new(
                aws_config::profile::ProfileFileCredentialsProvider::builder()
                    .configure(&config)
                    .profile_name(profile)
                    .build(),
            ),
        }
    }
}

impl CredentialProvider for Chain {
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, BoxError>> {
        Box::pin(async {
            let provider = self.built.get_or_init(|| self.build()).await;
            let given = provider.provide_credentials().await.map_err(classify)?;
            let mut keys = Credentials::new(given.access_key_id(), given.secret_access_key());
            keys.session_token = given.session_token().map(SecretString::from);
            keys.expires_at = given.expiry();
            Ok(keys)
        })
    }
}

fn classify(error: CredentialsError) -> BoxError {
    match error {
        CredentialsError::CredentialsNotLoaded(_) => Box::new(NoKeys(Box::new(error))),
        CredentialsError::InvalidConfiguration(_) => Box::new(Misconfigured(Box::new(error))),
        other => Box::new(other),
    }
}

/// The transport, lent to AWS's sources.
#[derive(Clone)]
struct Http(Transport);

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        // The transport limits silence by itself; this is for sources that want less.
        let limit = settings
            .read_timeout()
            .map(|read| read + settings.connect_timeout().unwrap_or_default());
        SharedHttpConnector::new(Connector {
            transport: self.0.clone(),
            limit,
        })
    }
}

struct Connector {
    transport: Transport,
    limit: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (transport, limit) = (self.transport.clone(), self.limit);
        HttpConnectorFuture::new(async move {
            let exchange = exchange(&transport, request);
            match limit {
                None => exchange.await,
                Some(limit) => timeout(limit, exchange)
                    .await
                    .unwrap_or_else(|elapsed| Err(ConnectorError::timeout(elapsed.into()))),
            }
        })
    }
}

async fn exchange(
    transport: &Transport,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let user = |e: BoxError| ConnectorError::user(e);
    let request = request.try_into_http1x().map_err(|e| user(e.into()))?;
    let (head, body) = request.into_parts();
    // What goes to a source of keys is in memory.
    let body = Bytes::copy_from_slice(body.bytes().unwrap_or_default());
    let request = Request::from_parts(head, RequestBody::memory(body, false));
    let broken = |broken: crate::error::Broken| {
        let text: BoxError = broken.to_string().into();
        let cause = broken.cause;
        let source = broken.source.unwrap_or(text);
        match cause {
            Cause::Stalled => ConnectorError::timeout(source),
            _ => ConnectorError::io(source),
        }
    };
    let (head, body) = transport.send(request).await.map_err(broken)?.into_parts();
    let body = transport.collect(body, MAX_ANSWER).await.map_err(broken)?;
    let answer = hyper::Response::from_parts(head, SdkBody::from(body));
    HttpResponse::try_from(answer).map_err(|e| ConnectorError::other(e.into(), None))
}
