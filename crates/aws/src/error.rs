//! What can go wrong when AWS is asked, and what that says about whether the thing was done.

use std::time::Duration;

use aws_runtime::retries::classifiers::THROTTLING_ERRORS;

/// Codes that mean "not allowed". EC2 says `UnauthorizedOperation`, most others one of the rest.
const DENIED: &[&str] =
    &["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"];

/// Codes that mean that the credentials themselves are wrong, old or of nobody.
const BAD_CREDENTIALS: &[&str] = &[
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes for a thing that is not there and that do not end in `NotFound` or `NotFoundException`.
const NOT_FOUND: &[&str] =
    &["ParameterNotFound", "InvocationDoesNotExist", "ExecutionDoesNotExist"];

/// Why a call to AWS failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// The service answered with an error.
    #[error("{service}:{action}: {code}: {message}{}{}", ask_support(request_id.as_deref()), hint(service, code, action))]
    Service {
        /// The service, as in the names of permissions, for example `ec2`.
        service: &'static str,
        /// The API action, for example `CreateSnapshot`.
        action: &'static str,
        /// The error's code, for example `InvalidSnapshot.NotFound`; `HTTP 503` where there was none.
        code: String,
        /// The service's own words.
        message: String,
        /// What AWS support asks for.
        request_id: Option<String>,
        /// The HTTP status.
        status: u16,
        /// See [`AwsError::may_have_happened`].
        may_have_happened: bool,
    },
    /// No answer came in time.
    #[error(
        "{service}:{action}: no answer within {} s{} (hint: check the network to {endpoint}, or try again)",
        after.as_secs_f32(), unsure(*may_have_happened)
    )]
    Timeout {
        /// The service.
        service: &'static str,
        /// The API action.
        action: &'static str,
        /// The address that was asked.
        endpoint: String,
        /// How long was waited, all attempts together.
        after: Duration,
        /// See [`AwsError::may_have_happened`].
        may_have_happened: bool,
    },
    /// The connection could not be made, or was lost before the answer had come.
    #[error(
        "{service}:{action}: cannot talk to {endpoint}: {reason}{} (hint: check the region's name, \
         the network, and a proxy if there is one)", unsure(*may_have_happened)
    )]
    Connect {
        /// The service.
        service: &'static str,
        /// The API action.
        action: &'static str,
        /// The address that was asked.
        endpoint: String,
        /// Why, from the outermost cause to the innermost.
        reason: String,
        /// See [`AwsError::may_have_happened`].
        may_have_happened: bool,
    },
    /// No credentials were found, or those found could not be used.
    #[error(
        "no AWS credentials: {reason} (hint: run `aws configure` or `aws sso login`, set AWS_PROFILE, or give \
         the machine an instance role)"
    )]
    Credentials {
        /// Why, from the outermost cause to the innermost.
        reason: String,
    },
    /// Neither the caller, the environment, the profile nor the instance says which region.
    #[error("no AWS region (hint: set `aws.region` in qmoor.toml, or AWS_REGION)")]
    NoRegion,
    /// The settings of the SDK cannot be used.
    #[error("{what} (hint: {hint})")]
    Settings {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// The answer could not be read.
    #[error("{service}:{action}: the answer cannot be read: {reason}{} (hint: is something else \
             than AWS at {endpoint}?)", unsure(*may_have_happened))]
    Malformed {
        /// The service.
        service: &'static str,
        /// The API action.
        action: &'static str,
        /// The address that was asked.
        endpoint: String,
        /// What was wrong with it.
        reason: String,
        /// See [`AwsError::may_have_happened`].
        may_have_happened: bool,
    },
}

impl AwsError {
    /// The service's error code, if the service answered with an error.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Service { code, .. } => Some(code),
            _ => None,
        }
    }

    /// Whether the thing that was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.code().is_some_and(|code| {
            code.ends_with("NotFound")
                || code.ends_with("NotFoundException")
                || NOT_FOUND.contains(&code)
        })
    }

    /// Whether the service asked for fewer requests, and went on asking through all attempts.
    pub fn is_throttling(&self) -> bool {
        self.code().is_some_and(is_throttling)
    }

    /// Whether the caller may not do this.
    pub fn is_denied(&self) -> bool {
        self.code().is_some_and(|code| DENIED.contains(&code))
    }

    /// Whether AWS may have done what was asked in spite of the error: the request was sent, and no
    /// answer says that it was refused. Whoever asked for something new looks for it before asking again.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Service { may_have_happened, .. }
            | Self::Timeout { may_have_happened, .. }
            | Self::Connect { may_have_happened, .. }
            | Self::Malformed { may_have_happened, .. } => *may_have_happened,
            Self::Credentials { .. } | Self::NoRegion | Self::Settings { .. } => false,
        }
    }
}

pub(crate) fn is_throttling(code: &str) -> bool {
    THROTTLING_ERRORS.contains(&code)
}

/// The messages of an error and its causes, without those that repeat the one before.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = line(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let words = line(cause);
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// The message of an error in one line.
fn line(error: &dyn std::error::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn unsure(may_have_happened: bool) -> &'static str {
    if may_have_happened { "; it may have been done all the same" } else { "" }
}

fn ask_support(request_id: Option<&str>) -> String {
    request_id.map(|id| format!(" (request {id})")).unwrap_or_default()
}

fn hint(service: &str, code: &str, action: &str) -> String {
    if DENIED.contains(&code) {
        format!(" (hint: these credentials need the permission {service}:{action})")
    } else if BAD_CREDENTIALS.contains(&code) {
        " (hint: check with `aws sts get-caller-identity`; sign in again, and check this machine's clock)"
            .to_owned()
    } else if code == "OptInRequired" {
        " (hint: this region, or this service, has to be enabled for the account first)".to_owned()
    } else if is_throttling(code) {
        " (hint: too many requests in this account and region; try again in a minute)".to_owned()
    } else {
        String::new()
    }
}
