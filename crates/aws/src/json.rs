//! The JSON protocol of the other services: a JSON object is sent, one comes back.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::ErrorMetadata;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::{Repeat, Request, refusal, send};
use crate::query::{excerpt, malformed};
use crate::service::Service;
use crate::{Aws, AwsError};

/// Calls `action` with `input`, an object. A member that is null is left out.
pub(crate) async fn call<T: DeserializeOwned>(
    aws: &Aws,
    service: &'static Service,
    action: &'static str,
    mut input: Value,
    repeat: Repeat,
) -> Result<T, AwsError> {
    if let Some(members) = input.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let request = Request {
        action,
        content_type: format!("application/x-amz-json-{}", service.json),
        target: Some(format!("{}.{action}", service.api)),
        body: input.to_string(),
        repeat,
    };
    let answer = send(aws, service, request, read_error).await?;
    // Some calls answer with nothing at all.
    let answer: &[u8] = if answer.is_empty() { b"{}" } else { &answer };
    serde_json::from_slice(answer)
        .map_err(|error| malformed(aws, service, action, error.to_string()))
}

/// For answers of which nothing is wanted.
#[derive(serde::Deserialize)]
pub(crate) struct Nothing {}

fn read_error(answer: &HttpResponse, body: &[u8]) -> ErrorMetadata {
    let header = |name| answer.headers().get(name).map(ToOwned::to_owned);
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = |names: &[&str]| {
        let json = json.as_ref()?;
        names.iter().find_map(|name| json.get(name)?.as_str()).map(ToOwned::to_owned)
    };
    let code = header("x-amzn-errortype").or_else(|| text(&["__type", "code"]));
    let message = match &json {
        Some(_) => text(&["message", "Message"]),
        None => Some(excerpt(&String::from_utf8_lossy(body))),
    };
    refusal(code.as_deref().map(bare), message, header("x-amzn-requestid"))
}

/// `com.amazonaws.ssm#ParameterNotFound:http://...` is `ParameterNotFound`.
fn bare(code: &str) -> String {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code).to_owned()
}
