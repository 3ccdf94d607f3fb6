//! The Query protocol of EC2, CloudFormation and STS: a form is sent, XML comes back.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::error::ErrorMetadata;
use form_urlencoded::Serializer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::call::{Repeat, Request, refusal, send};
use crate::service::Service;
use crate::{Aws, AwsError, Tags};

/// The most pages that are read of one list. A service that never stops is not believed.
pub(crate) const MAX_PAGES: usize = 1000;

/// A call being put together.
pub(crate) struct Query<'a> {
    aws: &'a Aws,
    service: &'static Service,
    action: &'static str,
    form: Vec<(String, String)>,
    repeat: Repeat,
}

impl<'a> Query<'a> {
    pub(crate) fn new(aws: &'a Aws, service: &'static Service, action: &'static str) -> Self {
        Self { aws, service, action, form: Vec::new(), repeat: Repeat::Safe }
    }

    /// See [`Repeat::Never`].
    pub(crate) fn once(mut self) -> Self {
        self.repeat = Repeat::Never;
        self
    }

    #[allow(clippy::needless_pass_by_value, reason = "so that literals and numbers read plainly")]
    pub(crate) fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.form.push((name.into(), value.to_string()));
        self
    }

    pub(crate) fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// `name.1`, `name.2`, ...
    pub(crate) fn list<T: ToString>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        for (place, value) in (1..).zip(values) {
            self = self.set(format!("{name}.{place}"), value);
        }
        self
    }

    /// Tags as EC2 and CloudFormation take them: `name.1.Key`, `name.1.Value`, ...
    pub(crate) fn tags(mut self, name: &str, tags: &Tags) -> Self {
        for (place, (key, value)) in (1..).zip(tags) {
            self = self.set(format!("{name}.{place}.Key"), key);
            self = self.set(format!("{name}.{place}.Value"), value);
        }
        self
    }

    /// Sends it, and reads the answer.
    pub(crate) async fn send<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        self.read(&self.raw(None).await?, None)
    }

    /// Sends it, and reads what the answer has in `<ActionResult>`: all but EC2 wrap it so.
    pub(crate) async fn result<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        self.read(&self.raw(None).await?, Some(self.action))
    }

    /// Sends it for an answer that says nothing.
    pub(crate) async fn done(&self) -> Result<(), AwsError> {
        self.raw(None).await.map(|_| ())
    }

    /// Reads the pages of a list. `next` takes the items out of a page and gives the token of the next
    /// one, or nothing when it has enough.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        next: impl FnMut(T) -> Option<String>,
    ) -> Result<(), AwsError> {
        self.pages_of(None, next).await
    }

    /// The same for answers that are wrapped.
    pub(crate) async fn result_pages<T: DeserializeOwned>(
        &self,
        next: impl FnMut(T) -> Option<String>,
    ) -> Result<(), AwsError> {
        self.pages_of(Some(self.action), next).await
    }

    async fn pages_of<T: DeserializeOwned>(
        &self,
        wrapper: Option<&str>,
        mut next: impl FnMut(T) -> Option<String>,
    ) -> Result<(), AwsError> {
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.read(&self.raw(token.as_deref()).await?, wrapper)?;
            match next(page).filter(|token| !token.is_empty()) {
                Some(more) => token = Some(more),
                None => return Ok(()),
            }
        }
        Err(endless(self.aws, self.service, self.action))
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: &[u8],
        wrapper: Option<&str>,
    ) -> Result<T, AwsError> {
        let text = String::from_utf8_lossy(answer);
        let inner = match wrapper {
            Some(action) => unwrap(&text, action)
                .ok_or_else(|| self.malformed(format!("there is no {action}Result in it")))?,
            None => &text,
        };
        quick_xml::de::from_str(inner).map_err(|error| self.malformed(error.to_string()))
    }

    async fn raw(&self, token: Option<&str>) -> Result<Vec<u8>, AwsError> {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", self.action).append_pair("Version", self.service.api);
        form.extend_pairs(&self.form);
        if let Some(token) = token {
            form.append_pair("NextToken", token);
        }
        let request = Request {
            action: self.action,
            content_type: "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
            target: None,
            body: form.finish(),
            repeat: self.repeat,
        };
        send(self.aws, self.service, request, read_error).await
    }

    /// An answer that cannot be read.
    pub(crate) fn malformed(&self, reason: String) -> AwsError {
        malformed(self.aws, self.service, self.action, reason)
    }
}

/// An answer that cannot be read. It came, so what was asked for was done.
pub(crate) fn malformed(
    aws: &Aws,
    service: &'static Service,
    action: &'static str,
    reason: String,
) -> AwsError {
    AwsError::Malformed {
        service: service.name,
        action,
        endpoint: service.endpoint(&aws.inner.config, aws.region()),
        reason,
        may_have_happened: true,
    }
}

/// A list that is not believed to end.
pub(crate) fn endless(aws: &Aws, service: &'static Service, action: &'static str) -> AwsError {
    malformed(aws, service, action, format!("the list has not ended after {MAX_PAGES} pages"))
}

/// The element `<ActionResult>` of an answer. What is in it is escaped, so it ends where the last end is.
fn unwrap<'a>(text: &'a str, action: &str) -> Option<&'a str> {
    let begin = text.find(&format!("<{action}Result"))?;
    let end = format!("</{action}Result>");
    let Some(last) = text.rfind(&end) else {
        return Some("<Result/>");
    };
    text.get(begin..last + end.len())
}

/// Both forms of an error: EC2 wraps it in `Response/Errors`, the others in `ErrorResponse`.
#[derive(Deserialize)]
struct ErrorAnswer {
    #[serde(rename = "Errors", default)]
    errors: Option<Errors>,
    #[serde(rename = "Error", default)]
    error: Option<OneError>,
    #[serde(rename = "RequestId", alias = "RequestID", default)]
    request_id: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(rename = "Error", default)]
    error: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(rename = "Code", default)]
    code: Option<String>,
    #[serde(rename = "Message", default)]
    message: Option<String>,
}

pub(crate) fn read_error(_: &HttpResponse, body: &[u8]) -> ErrorMetadata {
    let text = String::from_utf8_lossy(body);
    let Ok(answer) = quick_xml::de::from_str::<ErrorAnswer>(&text) else {
        return refusal(None, Some(excerpt(&text)), None);
    };
    let first = answer.errors.and_then(|all| all.error.into_iter().next()).or(answer.error);
    let (code, message) = first.map_or((None, None), |one| (one.code, one.message));
    refusal(code, message, answer.request_id)
}

/// The beginning of an answer that is not of the service: a proxy's page, for example.
pub(crate) fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "an empty answer".to_owned();
    }
    line.chars().take(200).collect()
}

/// A list as EC2 writes it: `<xSet><item>...</item></xSet>`. CloudFormation and STS: `<X><member>`.
#[derive(Debug, Deserialize)]
pub(crate) struct Set<T> {
    #[serde(rename = "item", alias = "member", default = "Vec::new")]
    pub(crate) item: Vec<T>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

/// Reads a [`Set`] as its items.
pub(crate) fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Set::deserialize(deserializer).map(|set| set.item)
}

#[derive(Deserialize)]
struct Tag {
    #[serde(alias = "Key")]
    key: String,
    #[serde(alias = "Value", default)]
    value: String,
}

/// Reads a set of tags.
pub(crate) fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
    let tags = Set::<Tag>::deserialize(deserializer)?;
    Ok(tags.item.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

/// Reads text that may be absent or empty as the number, time or name in it; what cannot be read is
/// as good as absent. For facts that are told on, not decided on.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr,
{
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.trim().parse().ok()))
}
