//! Keys that sign requests: given once, or by a provider, cached until they expire.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use storehouse_objectstore::{BoxError, Error, ErrorClass, Operation, Result};

/// Keys are renewed this long before they expire.
const MARGIN: Duration = Duration::from_secs(300);

/// After a renewal that failed, keys that still hold are used for this long before the next try.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);

/// Keys that sign requests. An empty text is the same as none, and only one of the two keys is an
/// error. `Debug` shows no secret.
///
/// ```
/// use storehouse_s3::Credentials;
///
/// let keys = Credentials::new("key-id", "secret").session_token("token");
/// assert!(!format!("{keys:?}").contains("secret\""));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// The access key's name.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<SecretString>,
    /// The token that temporary keys come with.
    pub session_token: Option<SecretString>,
    /// When temporary keys end; a provider is asked for new ones five minutes earlier. `None`:
    /// they do not.
    pub expires_at: Option<SystemTime>,
}

impl Credentials {
    /// A pair of keys.
    ///
    /// ```
    /// let keys = storehouse_s3::Credentials::new("key-id", "secret");
    /// assert_eq!(keys.access_key_id.as_deref(), Some("key-id"));
    /// ```
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<SecretString>,
    ) -> Self {
        Self {
            access_key_id: Some(access_key_id.into()),
            secret_access_key: Some(secret_access_key.into()),
            ..Self::default()
        }
    }

    /// With the token of temporary keys.
    ///
    /// ```
    /// let keys = storehouse_s3::Credentials::new("key-id", "secret").session_token("token");
    /// assert!(keys.session_token.is_some());
    /// ```
    #[must_use]
    pub fn session_token(mut self, token: impl Into<SecretString>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// With the time at which they end.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// let keys = storehouse_s3::Credentials::new("key-id", "secret")
    ///     .expires_at(SystemTime::now() + Duration::from_secs(3600));
    /// assert!(keys.expires_at.is_some());
    /// ```
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(time);
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|_| format_args!("[redacted]").to_string())
        };
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &redacted(&self.secret_access_key))
            .field("session_token", &redacted(&self.session_token))
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// A source of keys, for [`SharedCredentials::new`].
///
/// It is asked before the first request, five minutes before the keys expire, and when a server
/// says that they have. Requests wait for it, all for one call.
pub trait CredentialProvider: fmt::Debug + Send + Sync + 'static {
    /// Gives keys that hold now.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_core::future::BoxFuture;
    /// use storehouse_objectstore::BoxError;
    /// use storehouse_s3::{CredentialProvider, Credentials};
    ///
    /// #[derive(Debug)]
    /// struct Environment(&'static str);
    ///
    /// impl CredentialProvider for Environment {
    ///     fn credentials(&self) -> BoxFuture<'_, Result<Credentials, BoxError>> {
    ///         Box::pin(async {
    ///             let secret = std::env::var(self.0)?;
    ///             Ok(Credentials::new("key-id", secret))
    ///         })
    ///     }
    /// }
    ///
    /// assert!(Environment("NO_SUCH_VARIABLE").credentials().await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Why there are none. The request that waits for them fails with this as its cause.
    fn credentials(&self) -> BoxFuture<'_, Result<Credentials, BoxError>>;
}

/// A source of keys and the keys that it gave last. Clones share both, so stores that are opened
/// with clones of one ask for keys once.
///
/// ```
/// use futures_core::future::BoxFuture;
/// use storehouse_s3::{CredentialProvider, Credentials, S3Options, SharedCredentials};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl CredentialProvider for Vault {
///     fn credentials(
///         &self,
///     ) -> BoxFuture<'_, Result<Credentials, Box<dyn std::error::Error + Send + Sync>>> {
///         Box::pin(async { Ok(Credentials::new("key-id", "secret")) })
///     }
/// }
///
/// let keys = SharedCredentials::new(Vault);
/// let blobs = S3Options::new("s3.example.com", "blobs").provider(keys.clone());
/// let receipts = S3Options::new("s3.example.com", "receipts").provider(keys);
/// assert_eq!((blobs.bucket.as_str(), receipts.bucket.as_str()), ("blobs", "receipts"));
/// ```
#[derive(Clone)]
pub struct SharedCredentials(Arc<KeySource>);

enum KeySource {
    Fixed(Arc<Keys>),
    Provided(Cache),
}

struct Cache {
    provider: Box<dyn CredentialProvider>,
    /// Read by every request.
    current: RwLock<Option<Cached>>,
    /// Held while the provider is asked.
    renewal: Mutex<()>,
}

#[derive(Clone)]
struct Cached {
    keys: Arc<Keys>,
    /// From then on new ones are asked for.
    renew_at: Option<SystemTime>,
}

/// Keys that were checked.
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    pub(crate) token: Option<SecretString>,
    expires_at: Option<SystemTime>,
}

/// A provider's error if there is nowhere that it could take keys from: the configuration is at
/// fault, and it is not worth asking again.
#[derive(Debug, thiserror::Error)]
#[error(
    "none are set, none are in the environment or a profile, and no container or instance gives any"
)]
pub(crate) struct NoKeys(#[source] pub(crate) BoxError);

/// A provider's error if what it was told is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the source of the keys is misconfigured")]
pub(crate) struct Misconfigured(#[source] pub(crate) BoxError);

impl SharedCredentials {
    /// Keys from `provider`. It is not asked yet.
    pub fn new(provider: impl CredentialProvider) -> Self {
        Self(Arc::new(KeySource::Provided(Cache {
            provider: Box::new(provider),
            current: RwLock::new(None),
            renewal: Mutex::new(()),
        })))
    }

    pub(crate) fn fixed(keys: Keys) -> Self {
        Self(Arc::new(KeySource::Fixed(Arc::new(keys))))
    }

    /// The keys to sign with now.
    pub(crate) async fn get(&self) -> Result<Arc<Keys>> {
        let cache = match &*self.0 {
            KeySource::Fixed(keys) => return Ok(Arc::clone(keys)),
            KeySource::Provided(cache) => cache,
        };
        if let Some(keys) = cache.fresh() {
            return Ok(keys);
        }
        let _renewal = cache.renewal.lock().await;
        // Another request may have been quicker.
        if let Some(keys) = cache.fresh() {
            return Ok(keys);
        }
        cache.renew().await
    }

    /// Forgets these keys, which a server calls expired; says whether others can be had.
    pub(crate) fn invalidate(&self, keys: &Arc<Keys>) -> bool {
        let KeySource::Provided(cache) = &*self.0 else {
            return false;
        };
        let mut current = cache
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|cached| Arc::ptr_eq(&cached.keys, keys))
        {
            *current = None;
        }
        true
    }
}

impl fmt::Debug for SharedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            KeySource::Fixed(_) => f.write_str("SharedCredentials(fixed)"),
            KeySource::Provided(cache) => f
                .debug_tuple("SharedCredentials")
                .field(&cache.provider)
                .finish(),
        }
    }
}

impl Cache {
    fn current(&self) -> Option<Cached> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fresh(&self) -> Option<Arc<Keys>> {
        let cached = self.current()?;
        let now = SystemTime::now();
        cached
            .renew_at
            .is_none_or(|renew_at| now < renew_at)
            .then_some(cached.keys)
    }

    async fn renew(&self) -> Result<Arc<Keys>> {
        let given = match self.provider.credentials().await {
            Ok(given) => given,
            Err(source) => return self.hold_on(source),
        };
        let keys = keys(&given, ["access_key_id", "secret_access_key"])?
            .ok_or_else(|| failed("the source of the keys gave none", ErrorClass::Fatal, None))?;
        let keys = Arc::new(keys);
        let renew_at = keys.expires_at.map(|end| {
            // Short-lived keys are used for half of their time at least.
            let now = SystemTime::now();
            let left = end.duration_since(now).unwrap_or_default();
            now + left.saturating_sub(MARGIN).max(left / 2)
        });
        self.set(&keys, renew_at);
        Ok(keys)
    }

    /// Goes on with keys that have not expired yet.
    fn hold_on(&self, source: BoxError) -> Result<Arc<Keys>> {
        let now = SystemTime::now();
        match self.current() {
            Some(Cached { keys, .. }) if keys.expires_at.is_none_or(|end| now < end) => {
                self.set(&keys, Some(now + RENEWAL_PAUSE));
                Ok(keys)
            }
            _ => Err(unavailable(source)),
        }
    }

    fn set(&self, keys: &Arc<Keys>, renew_at: Option<SystemTime>) {
        let cached = Cached {
            keys: Arc::clone(keys),
            renew_at,
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(cached);
    }
}

fn unavailable(source: BoxError) -> Error {
    if source.is::<NoKeys>() || source.is::<Misconfigured>() {
        return Error::Config {
            setting: "access_key_id",
            reason: format!("there are no keys: {source}"),
            source: Some(match source.downcast::<NoKeys>() {
                Ok(none) => none.0,
                Err(source) => source
                    .downcast::<Misconfigured>()
                    .map_or_else(|source| source, |wrong| wrong.0),
            }),
        };
    }
    failed(
        "the source of the keys failed",
        ErrorClass::Transient,
        Some(source),
    )
}

fn failed(message: &str, class: ErrorClass, source: Option<BoxError>) -> Error {
    Error::Backend {
        operation: Operation::Open,
        key: None,
        class,
        message: message.into(),
        source,
    }
}

/// Both keys or neither; `names` are those of their settings.
pub(crate) fn keys(credentials: &Credentials, names: [&'static str; 2]) -> Result<Option<Keys>> {
    let text = |secret: &Option<SecretString>| {
        secret
            .as_ref()
            .map(|secret| secret.expose_secret().to_owned())
            .filter(|text| !text.is_empty())
    };
    let id = credentials
        .access_key_id
        .clone()
        .filter(|text| !text.is_empty());
    match (id, text(&credentials.secret_access_key)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::config(
            names[1],
            format!("is missing, though {} is set", names[0]),
        )),
        (None, Some(_)) => Err(Error::config(
            names[0],
            format!("is missing, though {} is set", names[1]),
        )),
        (Some(id), Some(secret)) => {
            let token = text(&credentials.session_token);
            let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            if !visible(&id) || id.contains(',') {
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
            Ok(Some(Keys {
                id,
                secret: secret.into(),
                token: token.map(Into::into),
                expires_at: credentials.expires_at,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Counting {
        asked: Arc<AtomicUsize>,
        lifetime: Option<Duration>,
        fails_after: Option<usize>,
    }

    impl CredentialProvider for Counting {
        fn credentials(&self) -> BoxFuture<'_, Result<Credentials, BoxError>> {
            Box::pin(async {
                tokio::task::yield_now().await;
                let nth = self.asked.fetch_add(1, Ordering::SeqCst);
                if self.fails_after.is_some_and(|limit| nth >= limit) {
                    return Err("no more".into());
                }
                let mut keys = Credentials::new(format!("key-{nth}"), "secret");
                keys.expires_at = self.lifetime.map(|life| SystemTime::now() + life);
                Ok(keys)
            })
        }
    }

    #[tokio::test]
    async fn all_who_wait_share_one_call_and_its_keys() {
        let provider = Counting::default();
        let shared = SharedCredentials::new(provider.clone());
        let gets = (0..20).map(|_| {
            let shared = shared.clone();
            tokio::spawn(async move { shared.get().await.unwrap().id.clone() })
        });
        for get in gets.collect::<Vec<_>>() {
            assert_eq!(get.await.unwrap(), "key-0");
        }
        assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
        let keys = shared.get().await.unwrap();
        assert!(shared.invalidate(&keys));
        assert_eq!(shared.get().await.unwrap().id, "key-1");
        // The keys of a request that was slow are not those of now.
        assert!(shared.invalidate(&keys));
        assert_eq!(shared.get().await.unwrap().id, "key-1");
    }

    #[tokio::test]
    async fn keys_are_renewed_before_they_end_and_kept_if_that_fails() {
        let shared = SharedCredentials::new(Counting {
            lifetime: Some(Duration::ZERO),
            ..Counting::default()
        });
        assert_eq!(shared.get().await.unwrap().id, "key-0");
        assert_eq!(shared.get().await.unwrap().id, "key-1");
        let long = SharedCredentials::new(Counting {
            lifetime: Some(Duration::from_secs(3600)),
            ..Counting::default()
        });
        assert_eq!(long.get().await.unwrap().id, "key-0");
        assert_eq!(long.get().await.unwrap().id, "key-0");
        let failing = SharedCredentials::new(Counting {
            lifetime: Some(Duration::from_millis(200)),
            fails_after: Some(1),
            ..Counting::default()
        });
        assert_eq!(failing.get().await.unwrap().id, "key-0");
        tokio::time::sleep(Duration::from_millis(120)).await;
        assert_eq!(failing.get().await.unwrap().id, "key-0");
        tokio::time::sleep(Duration::from_millis(120)).await;
        // A pause is kept, and then there is nothing to hold on to.
        let keys = failing.get().await.unwrap();
        failing.invalidate(&keys);
        let error = failing.get().await.err().unwrap();
        assert!(error.is_transient(), "{error}");
    }
}
