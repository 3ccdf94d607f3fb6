//! Posting a message to the webhook.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use qmoor_plan::config;
use qmoor_plan::notify::{Webhook, is_to_be_repeated};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::outline;

/// How often a message is tried again, and the pauses before that: about a minute in all.
const RETRIES: usize = 5;
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(20);
/// More of a file with an address is not looked at.
const FILE_BYTES_MAX: u64 = 4096;
/// More of an answer is not read.
const ANSWER_BYTES_MAX: usize = 4096;

type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Who posts. Made at the first message: before that, nobody needs the certificates of the system.
#[derive(Debug, Default)]
pub(super) struct Poster(OnceCell<Https>);

/// Why a message was not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// With an answer.
    Status { status: StatusCode, said: String },
    /// Without.
    Failed(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status { said, .. } if !said.is_empty() => {
                write!(f, "{}: {said}", self.outline())
            }
            Self::Status { .. } | Self::Failed(_) => f.write_str(&self.outline()),
        }
    }
}

impl Refusal {
    /// For the log: what a stranger says could be the address itself.
    pub(super) fn outline(&self) -> String {
        match self {
            Self::Status { status, .. } => format!("answered {status}"),
            Self::Failed(why) => why.clone(),
        }
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => is_to_be_repeated(status.as_u16()),
            Self::Failed(_) => true,
        }
    }
}

impl Poster {
    /// Posts, and again after a while for as long as that may help.
    pub(super) async fn insist(
        &self,
        webhook: &Webhook,
        body: &Bytes,
        timeout: Duration,
    ) -> Result<String, Refusal> {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE_FIRST)
            .with_max_delay(PAUSE_LONGEST)
            .with_max_times(RETRIES)
            .with_jitter();
        (|| self.post(webhook, body.clone(), timeout)).retry(pauses).when(Refusal::may_pass).await
    }

    /// Posts once.
    pub(super) async fn post(
        &self,
        webhook: &Webhook,
        body: Bytes,
        timeout: Duration,
    ) -> Result<String, Refusal> {
        let timed = tokio::time::timeout(timeout, self.exchange(webhook, body)).await;
        timed.unwrap_or_else(|_| Err(Refusal::Failed(format!("no answer within {timeout:?}"))))
    }

    async fn exchange(&self, webhook: &Webhook, body: Bytes) -> Result<String, Refusal> {
        let request = Request::post(webhook.expose())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("qmoor/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|_| Refusal::Failed("the address is not one that can be asked".to_owned()))?;
        let client = self.0.get_or_try_init(client).await?;
        let answer =
            client.request(request).await.map_err(|error| Refusal::Failed(chain(&error)))?;
        let status = answer.status();
        let mut answer = answer.into_body();
        let mut said = Vec::new();
        while said.len() < ANSWER_BYTES_MAX
            && let Some(Ok(frame)) = answer.frame().await
        {
            said.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        let said = outline(&said);
        match status.is_success() {
            true if said.is_empty() => Ok(format!("answered {status}")),
            true => Ok(format!("answered {status}: {said}")),
            false => Err(Refusal::Status { status, said }),
        }
    }
}

async fn client() -> Result<Https, Refusal> {
    let made = tokio::task::spawn_blocking(|| {
        let mut roots = RootCertStore::empty();
        // A system without any is told by the refusal that follows.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Refusal::Failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        // A message is rare: a connection that was kept would mostly be dead.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.build());
        Ok(client)
    });
    made.await.unwrap_or_else(|_| Err(Refusal::Failed("the client broke off".to_owned())))
}

/// Where messages are to be posted, if anywhere; or why that is not known.
pub(super) async fn of(config: &config::Notify) -> Option<Result<Webhook, String>> {
    if let Some(webhook) = &config.webhook {
        return Some(Ok(webhook.clone()));
    }
    let path = config.webhook_file.clone()?;
    let read = tokio::task::spawn_blocking(move || {
        read(&path).map_err(|why| format!("`notify.webhook_file` {}: {why}", path.display()))
    });
    Some(read.await.unwrap_or_else(|_| Err("reading `notify.webhook_file` broke off".to_owned())))
}

fn read(path: &Path) -> Result<Webhook, String> {
    let found = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(format!("others can read it (hint: `chmod 600 {}`)", path.display()));
    }
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return Err("is not a file with one line".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    Webhook::parse(text.trim()).map_err(|error| format!("what is in it is {error}"))
}

/// An error and its causes. None of them names the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
