//! Where credentials, region and endpoints come from, and how long is waited.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;

use crate::AwsError;

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// One attempt, from the connection to the last byte of the answer.
    pub attempt: Duration,
    /// All attempts and the waits between them.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(60), call: Duration::from_secs(180) }
    }
}

/// How a call is repeated after an error that may pass.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Attempts at most, the first included.
    pub attempts: u32,
    /// The longest wait before the second attempt; it doubles with each further one, up to 20 s, and
    /// the wait is drawn from zero to that.
    pub first_wait: Duration,
}

/// AWS in one region, with credentials. Cheap to clone; clones share connections and credentials.
#[derive(Clone)]
pub struct Aws {
    pub(crate) inner: Arc<Inner>,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryConfig,
}

pub(crate) struct Inner {
    pub(crate) config: SdkConfig,
    pub(crate) region: Region,
    /// Made once: each resolver has a place of its own in the cache of identities.
    pub(crate) identity: SharedIdentityResolver,
}

impl fmt::Debug for Aws {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("region", &self.region()).finish_non_exhaustive()
    }
}

impl Aws {
    /// Finds credentials, region and endpoints as the SDKs do: environment, profiles, container and
    /// instance roles; `AWS_ENDPOINT_URL` and its forms for one service; `AWS_RETRY_MODE` and
    /// `AWS_MAX_ATTEMPTS`; `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. `region` goes before all of these.
    ///
    /// Credentials are looked for at the first call, so that is where their absence is told.
    ///
    /// # Errors
    /// [`AwsError::NoRegion`] if no region is given and none is found.
    ///
    /// Source: <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>.
    pub async fn load(region: Option<&str>) -> Result<Self, AwsError> {
        let mut loader = loader(ProxyConfig::from_env());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        Self::from_config(loader.load().await)
    }

    /// One endpoint for all services, without a proxy, and keys that are given: for an emulator.
    ///
    /// # Errors
    /// None that is known of; it shares its way with [`Aws::load`].
    pub async fn at(
        endpoint: &str,
        region: &str,
        access_key: &str,
        secret_key: &str,
    ) -> Result<Self, AwsError> {
        let keys = Credentials::new(access_key, secret_key, None, None, "given");
        let config = loader(ProxyConfig::disabled())
            .endpoint_url(endpoint)
            .region(Region::new(region.to_owned()))
            .credentials_provider(keys)
            .load()
            .await;
        Self::from_config(config)
    }

    fn from_config(config: SdkConfig) -> Result<Self, AwsError> {
        let region = config.region().cloned().ok_or(AwsError::NoRegion)?;
        let provider: SharedCredentialsProvider =
            config.credentials_provider().ok_or_else(|| AwsError::Credentials {
                reason: "no provider of credentials is configured".to_owned(),
            })?;
        let retry = config.retry_config().cloned().unwrap_or_else(RetryConfig::standard);
        let identity = SharedIdentityResolver::new(provider);
        let inner = Arc::new(Inner { config, region, identity });
        Ok(Self { inner, timeouts: Timeouts::default(), retry })
    }

    /// The same with other limits of time.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with other retries than the environment says.
    #[must_use]
    pub fn with_retries(mut self, retries: Retries) -> Self {
        self.retry = self
            .retry
            .with_max_attempts(retries.attempts.max(1))
            .with_initial_backoff(retries.first_wait);
        self
    }

    /// The same credentials and settings in another region.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Self {
        let region = Region::new(region.to_owned());
        let config = self.inner.config.to_builder().region(region.clone()).build();
        let inner = Inner { config, region, identity: self.inner.identity.clone() };
        Self { inner: Arc::new(inner), ..self.clone() }
    }

    /// The region's name, for example `eu-west-1`.
    pub fn region(&self) -> &str {
        self.inner.region.as_ref()
    }
}

fn loader(proxy: ProxyConfig) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(proxy))
}

/// The SDK's own client takes no proxy from the environment; all other SDKs do.
fn http_client(proxy: ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .proxy_config(proxy.clone())
            .tls_provider(Provider::Rustls(CryptoMode::Ring));
        if let Some(settings) = settings {
            connector = connector.connector_settings(settings.clone());
        }
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}
