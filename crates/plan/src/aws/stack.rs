//! The states of a stack: what may be done in each, and what went wrong when it is not as asked.

use serde::Serialize;

/// What may be done with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none, or nothing but a change set for one: it may be made.
    Absent,
    /// It is there, and may be changed.
    Ready,
    /// Somebody is changing it.
    Busy,
    /// It failed when it was made, and was taken back: it can only be deleted.
    Failed,
    /// It failed when it was deleted: that can only be tried again.
    Undeleted,
    /// It failed when it was taken back: that has to be gone on with, or it is deleted.
    Stuck,
}

/// The state that CloudFormation calls `status`; `None` for no stack at all.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>
#[must_use]
pub fn state(status: Option<&str>) -> State {
    match status {
        None | Some("REVIEW_IN_PROGRESS" | "DELETE_COMPLETE") => State::Absent,
        Some(status) if status.ends_with("_IN_PROGRESS") => State::Busy,
        Some("CREATE_FAILED" | "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED") => State::Failed,
        Some("DELETE_FAILED") => State::Undeleted,
        Some("UPDATE_ROLLBACK_FAILED" | "UPDATE_FAILED" | "IMPORT_ROLLBACK_FAILED") => State::Stuck,
        Some(_) => State::Ready,
    }
}

/// Whether nothing more happens by itself in `status`.
#[must_use]
pub fn is_over(status: &str) -> bool {
    !status.ends_with("_IN_PROGRESS")
}

/// Whether what was begun ended as asked.
#[must_use]
pub fn went_well(status: &str) -> bool {
    matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE")
}

/// Why a stack in this state cannot be changed, and what to do; `None` where it can.
#[must_use]
pub fn why_not(stack: &str, status: &str, region: &str) -> Option<(String, String)> {
    let aws =
        |what: &str| format!("aws cloudformation {what} --stack-name {stack} --region {region}");
    Some(match state(Some(status)) {
        State::Absent | State::Ready => return None,
        State::Busy => (
            format!("somebody is changing the stack `{stack}`: it is in {status}"),
            format!(
                "wait until that is done, and run it again; who it is: {}",
                aws("describe-stack-events")
            ),
        ),
        State::Failed => (
            format!(
                "the stack `{stack}` is in {status}: making it failed, and it can only be deleted"
            ),
            "`qmoor down` deletes what is left of it; then `qmoor up` makes it anew".to_owned(),
        ),
        State::Undeleted => (
            format!("the stack `{stack}` is in {status}: deleting it has begun and has not ended"),
            "`qmoor down` goes on deleting it; then `qmoor up` makes it anew".to_owned(),
        ),
        State::Stuck => (
            format!(
                "the stack `{stack}` is in {status}: a change failed, and so did taking it back"
            ),
            format!(
                "mend what failed, then {}, and run it again; what failed: {}",
                aws("continue-update-rollback"),
                aws("describe-stack-events")
            ),
        ),
    })
}

/// What happened to a resource, as CloudFormation tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The resource's name in the template.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// For example `CREATE_FAILED`.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

/// The event that all other failures follow from. `events` are of one change, oldest first.
#[must_use]
pub fn first_cause(events: &[Event]) -> Option<&Event> {
    let failed = |event: &&Event| event.status.ends_with("_FAILED");
    let own = |event: &&Event| {
        let reason = event.reason.as_deref().unwrap_or_default();
        // What had begun when something else failed is said to have failed too.
        !reason.ends_with("cancelled") && event.kind != STACK
    };
    let mut failures = events.iter().filter(failed);
    failures.clone().find(own).or_else(|| failures.next())
}

/// The type of the stack itself in its events.
pub const STACK: &str = "AWS::CloudFormation::Stack";

/// The words of a resource's handler, without what it adds for its makers.
#[must_use]
pub fn plain_reason(reason: &str) -> &str {
    let inner = reason.strip_prefix("Resource handler returned message: \"").unwrap_or(reason);
    let end = [" (Service: ", "\" (RequestToken: "].iter().filter_map(|end| inner.find(end)).min();
    inner.get(..end.unwrap_or(inner.len())).unwrap_or(inner)
}

/// What to do about a reason that is known.
#[must_use]
pub fn what_to_do(reason: &str) -> Option<&'static str> {
    let known = [
        (
            "vCPU limit",
            "ask for more in Service Quotas (EC2, Running On-Demand Standard instances), or choose a smaller aws.instance_type",
        ),
        (
            "sufficient capacity",
            "AWS has none of that type in the zone now: try again later, or choose another aws.instance_type",
        ),
        ("not supported in your requested Availability Zone", "choose another aws.instance_type"),
        ("is in use", "somebody has taken it meanwhile: see who, or choose another aws.address"),
        ("is not authorized to perform", "the credentials need that permission"),
        ("UnauthorizedOperation", "the credentials need that permission"),
        ("AccessDenied", "the credentials need that permission"),
        (
            "already scheduled for deletion",
            "delete it for good: aws secretsmanager delete-secret --force-delete-without-recovery",
        ),
        (
            "already exists",
            "something of that name is left from before: delete it, or choose another node.name",
        ),
        (
            "has a dependent object",
            "something outside the stack still uses it: take that away first",
        ),
    ];
    known.iter().find(|(words, _)| reason.contains(words)).map(|(_, hint)| *hint)
}
