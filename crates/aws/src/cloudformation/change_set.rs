//! Change sets: what a template would change, before it is changed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::CloudFormation;
use crate::query::items;
use crate::{AwsError, Tags};

/// Whether the stack is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeSetKind {
    /// It is to be made.
    Create,
    /// It is to be changed.
    Update,
}

/// A change set that is to be made.
#[derive(Debug, Clone)]
pub struct NewChangeSet<'a> {
    /// The stack's name.
    pub stack: &'a str,
    /// The change set's own name, which no other has.
    pub name: &'a str,
    /// Whether the stack is there already.
    pub kind: ChangeSetKind,
    /// The template, at most 51,200 bytes.
    pub template: &'a str,
    /// Parameters of the template.
    pub parameters: &'a BTreeMap<String, String>,
    /// Tags of the stack, which CloudFormation hands on to all resources that take them.
    pub tags: &'a Tags,
    /// Whether the template makes roles that have names.
    pub named_roles: bool,
    /// What makes asking again safe.
    pub client_token: &'a str,
}

/// A change set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeSet {
    /// Its ARN.
    #[serde(rename = "ChangeSetId", default)]
    pub id: String,
    /// The stack's ARN.
    #[serde(default)]
    pub stack_id: String,
    /// `CREATE_PENDING`, `CREATE_IN_PROGRESS`, `CREATE_COMPLETE`, `FAILED`, or one of `DELETE_...`.
    #[serde(default)]
    pub status: String,
    /// Why it failed. That there is nothing to change is a failure too: see [`ChangeSet::is_empty`].
    #[serde(default)]
    pub status_reason: Option<String>,
    /// `AVAILABLE` if it can be executed.
    #[serde(default)]
    pub execution_status: String,
    /// What it would change.
    #[serde(default, deserialize_with = "changes")]
    pub changes: Vec<Change>,
    #[serde(default)]
    next_token: Option<String>,
}

impl ChangeSet {
    /// Whether it failed because there is nothing to change.
    pub fn is_empty(&self) -> bool {
        let reason = self.status_reason.as_deref().unwrap_or_default();
        self.status == "FAILED"
            && (reason.contains("didn't contain changes")
                || reason.contains("No updates are to be performed"))
    }
}

/// What happens to one resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Change {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic` (not known before it is done).
    #[serde(default)]
    pub action: String,
    /// Its name in the template.
    #[serde(rename = "LogicalResourceId", default)]
    pub logical_id: String,
    /// Its id; absent before it is made.
    #[serde(rename = "PhysicalResourceId", default)]
    pub physical_id: Option<String>,
    /// For example `AWS::EC2::Volume`.
    #[serde(default)]
    pub resource_type: String,
    /// Of a `Modify`: `True`, `False` or `Conditional` (it may be replaced).
    #[serde(default)]
    pub replacement: Option<String>,
    /// What becomes of the old one: `Delete`, `Retain`, `Snapshot`, `ReplaceAndDelete`, ...
    #[serde(default)]
    pub policy_action: Option<String>,
    /// What of it changes, and why.
    #[serde(default, deserialize_with = "items")]
    pub details: Vec<ChangeDetail>,
}

/// One property that changes.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ChangeDetail {
    #[serde(default)]
    target: Target,
    /// `DirectModification`, `ResourceReference`, `ResourceAttribute`, `ParameterReference`, ...
    #[serde(default)]
    pub change_source: Option<String>,
    /// The resource or parameter whose change is the cause.
    #[serde(default)]
    pub causing_entity: Option<String>,
}

impl ChangeDetail {
    /// The property's name; `Tags`, `Metadata` and the like for what is not a property.
    pub fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or(&self.target.attribute)
    }

    /// `Never`, `Conditionally` or `Always`: whether the resource is replaced for it.
    pub fn requires_recreation(&self) -> &str {
        &self.target.requires_recreation
    }

    /// The value now, where CloudFormation says it.
    pub fn before(&self) -> Option<&str> {
        self.target.before_value.as_deref()
    }

    /// The value after, where CloudFormation says it.
    pub fn after(&self) -> Option<&str> {
        self.target.after_value.as_deref()
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    #[serde(default)]
    attribute: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    requires_recreation: String,
    #[serde(default)]
    before_value: Option<String>,
    #[serde(default)]
    after_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wrapped {
    #[serde(default)]
    resource_change: Option<Change>,
}

fn changes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
    let wrapped: Vec<Wrapped> = items(deserializer)?;
    Ok(wrapped.into_iter().filter_map(|change| change.resource_change).collect())
}

fn is_taken(error: &AwsError) -> bool {
    error.code() == Some("AlreadyExistsException")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

impl CloudFormation {
    /// Asks what a template would change, and gives the change set's ARN. It is looked at next, until
    /// it is no longer being made.
    pub async fn create_change_set(&self, new: &NewChangeSet<'_>) -> Result<String, AwsError> {
        let kind = match new.kind {
            ChangeSetKind::Create => "CREATE",
            ChangeSetKind::Update => "UPDATE",
        };
        let capability = if new.named_roles { "CAPABILITY_NAMED_IAM" } else { "CAPABILITY_IAM" };
        let mut query = self
            .query("CreateChangeSet")
            .set("StackName", new.stack)
            .set("ChangeSetName", new.name)
            .set("ChangeSetType", kind)
            .set("TemplateBody", new.template)
            .set("ClientToken", new.client_token)
            .list("Capabilities.member", [capability])
            .tags("Tags.member", new.tags);
        for (place, (key, value)) in (1..).zip(new.parameters) {
            query = query.set(format!("Parameters.member.{place}.ParameterKey"), key);
            query = query.set(format!("Parameters.member.{place}.ParameterValue"), value);
        }
        let made: Result<Made, AwsError> = query.result().await;
        match made {
            Ok(made) => Ok(made.id),
            // The answer to an earlier attempt was lost: a name that nobody else has was taken by it.
            Err(error) if is_taken(&error) && error.may_have_happened() => {
                let ours = self
                    .query("DescribeChangeSet")
                    .set("StackName", new.stack)
                    .set("ChangeSetName", new.name);
                let found: ChangeSet = ours.result().await?;
                Ok(found.id)
            }
            Err(error) => Err(error),
        }
    }

    /// A change set with all its changes.
    pub async fn describe_change_set(&self, id: &str) -> Result<ChangeSet, AwsError> {
        let mut whole: Option<ChangeSet> = None;
        let query = self
            .query("DescribeChangeSet")
            .set("ChangeSetName", id)
            .set("IncludePropertyValues", true);
        query
            .result_pages(|mut page: ChangeSet| {
                let next = page.next_token.take();
                match &mut whole {
                    Some(whole) => whole.changes.append(&mut page.changes),
                    None => whole = Some(page),
                }
                next
            })
            .await?;
        whole.ok_or_else(|| query.malformed("no change set in it".to_owned()))
    }

    /// Begins to do what a change set says.
    pub async fn execute_change_set(&self, id: &str, client_token: &str) -> Result<(), AwsError> {
        self.query("ExecuteChangeSet")
            .set("ChangeSetName", id)
            .set("ClientRequestToken", client_token)
            .done()
            .await
    }

    /// Deletes a change set. A stack that it was to make stays, in `REVIEW_IN_PROGRESS`.
    pub async fn delete_change_set(&self, id: &str) -> Result<(), AwsError> {
        self.query("DeleteChangeSet").set("ChangeSetName", id).done().await
    }
}
