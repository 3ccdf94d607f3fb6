//! Where requests go, and the one connection they travel on.

use std::fmt;
use std::time::Duration;

use qdrant_client::qdrant::collections_client::CollectionsClient;
use qdrant_client::qdrant::points_client::PointsClient;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};

use crate::error::Error;

/// How long the server may take over a write before it answers "accepted, not yet applied".
/// Below [`CALL_TIMEOUT`], so that the answer is the server's and not a guess.
pub(crate) const SERVER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one call may take before it is given up and repeated.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(45);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The largest answer accepted: a page of hits with long payloads.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A key, which never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `key`.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One collection of one node.
#[derive(Debug, Clone)]
pub struct Target {
    /// `http://host:port` of the node's gRPC door; `https://` for TLS. A qmoor node answers gRPC
    /// on its REST port too.
    pub grpc_url: String,
    /// The collection's name.
    pub collection: String,
    /// The key, if the node asks for one.
    pub key: Option<Secret>,
    /// PEM of the authority that signed the node's certificate, trusted beside the system's own.
    pub tls_ca: Option<Vec<u8>>,
}

/// Adds the key to each request.
#[derive(Clone)]
pub(crate) struct AddKey(Option<MetadataValue<Ascii>>);

impl Interceptor for AddKey {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("api-key", key.clone());
        }
        Ok(request)
    }
}

pub(crate) type Service = InterceptedService<Channel, AddKey>;

/// An open connection. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Connection {
    channel: Channel,
    key: AddKey,
    pub(crate) url: String,
    pub(crate) collection: String,
}

impl Connection {
    /// Dials the target once.
    pub(crate) async fn open(target: &Target) -> Result<Self, Error> {
        let key =
            target.key.as_ref().map(header).transpose().map_err(|()| Error::Unauthorized {
                url: target.grpc_url.clone(),
                message: "the key holds characters that no key has".to_owned(),
            })?;
        let channel = endpoint(&target.grpc_url, target.tls_ca.as_deref())?
            .connect()
            .await
            .map_err(|error| Error::Unreachable {
                url: target.grpc_url.clone(),
                reason: innermost(&error),
            })?;
        Ok(Self {
            channel,
            key: AddKey(key),
            url: target.grpc_url.clone(),
            collection: target.collection.clone(),
        })
    }

    /// The same connection, for another collection.
    pub(crate) fn to_collection(&self, collection: &str) -> Self {
        Self { collection: collection.to_owned(), ..self.clone() }
    }

    pub(crate) fn points(&self) -> PointsClient<Service> {
        PointsClient::with_interceptor(self.channel.clone(), self.key.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// For messages that are encoded already.
    pub(crate) fn raw(&self) -> Grpc<Service> {
        Grpc::new(InterceptedService::new(self.channel.clone(), self.key.clone()))
    }

    pub(crate) fn collections(&self) -> CollectionsClient<Service> {
        CollectionsClient::with_interceptor(self.channel.clone(), self.key.clone())
    }
}

/// A request that ends by itself, here and on the server.
pub(crate) fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

fn header(key: &Secret) -> Result<MetadataValue<Ascii>, ()> {
    let mut value = MetadataValue::try_from(key.expose()).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

fn endpoint(url: &str, tls_ca: Option<&[u8]>) -> Result<Endpoint, Error> {
    let wrong = |reason: String| Error::Address { url: url.to_owned(), reason };
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(wrong("it begins with neither http:// nor https://".to_owned()));
    }
    let uri: Uri = url.parse().map_err(|error| wrong(innermost(&error)))?;
    // A port that is no number would pass for no port at all, and 80 would be dialled.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    if has_port && uri.port_u16().is_none() {
        return Err(wrong("its port is not a number from 1 to 65535".to_owned()));
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| wrong(innermost(&error)))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .http2_adaptive_window(true)
        .user_agent(concat!("qmoor-client/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| wrong(innermost(&error)))?;
    if url.starts_with("https://") {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(pem) = tls_ca {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        return endpoint.tls_config(tls).map_err(|error| wrong(innermost(&error)));
    }
    Ok(endpoint)
}

/// The deepest cause: "connection refused" rather than "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_shows_itself() {
        let target = Target {
            grpc_url: "http://127.0.0.1:6334".to_owned(),
            collection: "docs".to_owned(),
            key: Some(Secret::new("qm_index_abc")),
            tls_ca: None,
        };
        assert!(!format!("{target:?}").contains("qm_index_abc"));
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_before_dialling() {
        for url in [
            "127.0.0.1:6334",
            "",
            "http://",
            "http://127.0.0.1:22x",
            "http://[::1]:70000",
            "http://a b",
        ] {
            let target = Target {
                grpc_url: url.to_owned(),
                collection: "docs".to_owned(),
                key: None,
                tls_ca: None,
            };
            let error = Connection::open(&target).await.err();
            assert!(matches!(error, Some(Error::Address { .. })), "{url}: {error:?}");
        }
        for url in ["http://127.0.0.1:6334", "http://[::1]:6334", "http://localhost", "https://h"] {
            assert!(endpoint(url, None).is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn a_port_nobody_listens_on_is_unreachable() {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let target = Target {
            grpc_url: format!("http://127.0.0.1:{port}"),
            collection: "docs".to_owned(),
            key: None,
            tls_ca: None,
        };
        let error = Connection::open(&target).await.err();
        assert!(matches!(error, Some(Error::Unreachable { .. })), "{error:?}");
    }
}
