//! EventBridge.
//!
//! Source: <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>.

use serde::Deserialize;
use serde_json::json;

use crate::call::Repeat;
use crate::json::call;
use crate::{Aws, AwsError, service};

/// The client of EventBridge.
#[derive(Debug, Clone)]
pub struct Events(pub(crate) Aws);

/// An event that is to be told.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// The bus; `default` is the account's own.
    pub bus: &'a str,
    /// Who tells it.
    pub source: &'a str,
    /// What it is about.
    pub detail_type: &'a str,
    /// What it says.
    pub detail: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
}

impl Events {
    /// Tells one event, and gives its id. Takes no client token: see
    /// [`AwsError::may_have_happened`]. EventBridge itself may deliver an event more than once.
    pub async fn put(&self, event: &Event<'_>) -> Result<String, AwsError> {
        let input = json!({ "Entries": [{
            "EventBusName": event.bus,
            "Source": event.source,
            "DetailType": event.detail_type,
            "Detail": event.detail.to_string(),
        }]});
        let told: Told = call(&self.0, &service::EVENTS, "PutEvents", input, Repeat::Never).await?;
        // An event that is refused is an entry of an answer that is a success.
        let entry = told.entries.into_iter().next();
        let refused = |code: Option<String>, message: Option<String>| AwsError::Service {
            service: service::EVENTS.name,
            action: "PutEvents",
            code: code.unwrap_or_else(|| "NoEventId".to_owned()),
            message: message.unwrap_or_else(|| "the answer has no event id".to_owned()),
            request_id: None,
            status: 200,
            may_have_happened: false,
        };
        match entry {
            Some(Entry { event_id: Some(id), error_code: None, .. }) => Ok(id),
            Some(entry) => Err(refused(entry.error_code, entry.error_message)),
            None => Err(refused(None, None)),
        }
    }
}
