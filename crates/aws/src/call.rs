//! One call: serialized by the caller, then signed, sent, repeated and timed by the SDK's runtime.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_runtime::service_clock_skew::{ServiceClockSkewClassifier, ServiceClockSkewInterceptor};
use aws_sigv4::http_request::SignableBody;
use aws_smithy_runtime::client::http::connection_poisoning::ConnectionPoisoningInterceptor;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{
    HttpRequest, HttpResponse, OrchestratorError, SensitiveOutput,
};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use bytes::Bytes;
use http_body_util::Full;
use sha2::{Digest, Sha256};

use crate::error::causes;
use crate::once::{Once, Watch};
use crate::service::Service;
use crate::{Aws, AwsError};

/// Whether a call may be repeated when it may have been done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Doing it twice is doing it once: it reads, sets, deletes, or carries a client token.
    Safe,
    /// Doing it twice makes two. Repeated only when it was surely not done.
    Never,
}

/// A request before it is signed.
pub(crate) struct Request {
    pub(crate) action: &'static str,
    pub(crate) content_type: String,
    /// JSON protocol: the header that names the action.
    pub(crate) target: Option<String>,
    pub(crate) body: String,
    pub(crate) repeat: Repeat,
}

/// The body of a request or an answer. It may hold a secret, so it is never shown.
struct Body(Vec<u8>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Reads the code, message and request id out of an error's answer.
pub(crate) type ReadError = fn(&HttpResponse, &[u8]) -> ErrorMetadata;

/// Sends `request` and gives the body of the answer.
pub(crate) async fn send(
    aws: &Aws,
    service: &'static Service,
    request: Request,
    read_error: ReadError,
) -> Result<Vec<u8>, AwsError> {
    let action = request.action;
    let endpoint = service.endpoint(&aws.inner.config, aws.region());
    let uncertain = Arc::new(AtomicBool::new(false));
    let operation = operation(aws, service, &request, &endpoint, &uncertain, read_error)?;
    let began = Instant::now();
    let sent = Box::pin(operation.invoke(Body(request.body.into_bytes()))).await;
    let may_have_happened = uncertain.load(Ordering::Acquire);
    let failed = match sent {
        Ok(body) => return Ok(body.0),
        Err(failed) => failed,
    };
    let after = began.elapsed();
    let service = service.name;
    Err(match failed {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let error = answer.into_err();
            AwsError::Service {
                service,
                action,
                code: error.code().map_or_else(|| format!("HTTP {status}"), ToOwned::to_owned),
                message: error.message().unwrap_or("no message").to_owned(),
                request_id: error.extra(REQUEST_ID).map(ToOwned::to_owned),
                status,
                may_have_happened,
            }
        }
        SdkError::TimeoutError(_) => {
            AwsError::Timeout { service, action, endpoint, after, may_have_happened }
        }
        SdkError::DispatchFailure(why) if why.is_timeout() && may_have_happened => {
            AwsError::Timeout { service, action, endpoint, after, may_have_happened }
        }
        SdkError::ResponseError(_) => {
            let reason = causes(&failed);
            AwsError::Malformed { service, action, endpoint, reason, may_have_happened }
        }
        SdkError::DispatchFailure(_) if let Some(reason) = no_credentials(&failed) => {
            AwsError::Credentials { reason }
        }
        SdkError::DispatchFailure(_) => {
            let reason = causes(&failed);
            AwsError::Connect { service, action, endpoint, reason, may_have_happened }
        }
        // Nothing was sent: the identity is what is resolved before that.
        _ => AwsError::Credentials { reason: causes(&failed) },
    })
}

/// Why there are no credentials, if that is why nothing was sent.
fn no_credentials(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::CredentialsNotLoaded(_)) => {
                return Some(
                    "neither the environment, the profile nor an instance role has any".to_owned(),
                );
            }
            Some(error) => return Some(causes(error)),
            None => next = error.source(),
        }
    }
    None
}

/// The key of the request id among an error's extras.
const REQUEST_ID: &str = "request_id";

/// What an error's answer says, as the runtime's classifiers take it.
pub(crate) fn refusal(
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
) -> ErrorMetadata {
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code.filter(|code| !code.is_empty()) {
        error = error.code(code);
    }
    if let Some(message) = message.filter(|message| !message.is_empty()) {
        error = error.message(message);
    }
    if let Some(id) = request_id {
        error = error.custom(REQUEST_ID, id);
    }
    error.build()
}

type Sent = Operation<Body, Body, ErrorMetadata>;

fn operation(
    aws: &Aws,
    service: &'static Service,
    request: &Request,
    endpoint: &str,
    uncertain: &Arc<AtomicBool>,
    read_error: ReadError,
) -> Result<Sent, AwsError> {
    let content_type = request.content_type.clone();
    let target = request.target.clone();
    let uri = endpoint.parse::<http::Uri>().ok();
    if !uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) {
        return Err(AwsError::Settings {
            what: format!("`{endpoint}` is not an address of {}", service.id),
            hint: "AWS_ENDPOINT_URL and its forms hold a URL such as http://127.0.0.1:5000",
        });
    }
    let mut builder = Operation::builder()
        .service_name(format!("{}-{}", service.id, aws.region()))
        .operation_name(request.action)
        .endpoint_url(endpoint)
        .standard_retry(&aws.retry)
        .retry_classifier(HttpStatusCodeClassifier::default())
        .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
        .retry_classifier(AwsErrorCodeClassifier::<ErrorMetadata>::new())
        .retry_classifier(ServiceClockSkewClassifier::<ErrorMetadata>::new())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(std::time::Duration::from_millis(3100))
                .operation_attempt_timeout(aws.timeouts.attempt)
                .operation_timeout(aws.timeouts.call)
                .build(),
        )
        .interceptor(ConnectionPoisoningInterceptor::new())
        .interceptor(ServiceClockSkewInterceptor::new())
        .interceptor(InvocationIdInterceptor::new())
        .interceptor(RequestInfoInterceptor::new())
        .interceptor(Watch::new(uncertain))
        .runtime_plugin(signing(aws, service, request.body.as_bytes()));
    if request.repeat == Repeat::Never {
        builder = builder.retry_classifier(Once);
    }
    if let Some(client) = aws.inner.config.http_client() {
        builder = builder.http_client(client);
    }
    Ok(builder
        .serializer(move |body: Body| {
            let body = Bytes::from(body.0);
            // Of a body that is a stream the runtime's trace shows nothing.
            let stream = move || SdkBody::from_body_1_x(Full::new(body.clone()));
            let mut request = HttpRequest::new(SdkBody::retryable(stream));
            request.set_method("POST")?;
            request.headers_mut().try_insert("content-type", content_type.clone())?;
            request.headers_mut().try_insert("user-agent", USER_AGENT)?;
            if let Some(target) = &target {
                request.headers_mut().try_insert("x-amz-target", target.clone())?;
            }
            Ok(request)
        })
        .deserializer(move |answer: &HttpResponse| {
            let body = answer.body().bytes().unwrap_or_default();
            if answer.status().is_success() {
                Ok(Body(body.to_vec()))
            } else {
                Err(OrchestratorError::operation(read_error(answer, body)))
            }
        })
        .build())
}

const USER_AGENT: &str = concat!("qmoor/", env!("CARGO_PKG_VERSION"));

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Signature version 4 with the credentials of `aws`.
fn signing(aws: &Aws, service: &'static Service, body: &[u8]) -> StaticRuntimePlugin {
    let mut layer = Layer::new("signing");
    let mut options = SigningOptions::default();
    options.double_uri_encode = true;
    options.normalize_uri_path = true;
    options.payload_override = Some(SignableBody::Precomputed(hex(&Sha256::digest(body))));
    layer.store_put(SigV4OperationSigningConfig {
        region: Some(SigningRegion::from(aws.inner.region.clone())),
        name: Some(SigningName::from(service.name)),
        signing_options: options,
        ..Default::default()
    });
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    // Keeps the bodies of answers out of the runtime's own trace.
    layer.store_put(SensitiveOutput);
    let mut components = RuntimeComponentsBuilder::new("signing");
    components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
        StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
    )));
    components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    components.set_identity_resolver(SCHEME_ID, aws.inner.identity.clone());
    components.set_identity_cache(aws.inner.config.identity_cache());
    StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components)
}
