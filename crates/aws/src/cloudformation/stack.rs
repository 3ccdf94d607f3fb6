//! Stacks, their events and their resources.

use jiff::Timestamp;
use serde::Deserialize;

use super::{CloudFormation, no_such_stack};
use crate::query::{items, lenient, tags};
use crate::{AwsError, Tags};

/// A stack.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Stack {
    /// Its ARN, which names it even after it is deleted.
    #[serde(rename = "StackId")]
    pub id: String,
    /// Its name.
    #[serde(rename = "StackName")]
    pub name: String,
    /// For example `UPDATE_COMPLETE`.
    #[serde(rename = "StackStatus")]
    pub status: String,
    /// Why it is in this state.
    #[serde(rename = "StackStatusReason", default)]
    pub status_reason: Option<String>,
    /// When it was made.
    #[serde(rename = "CreationTime", default, deserialize_with = "lenient")]
    pub created: Option<Timestamp>,
    /// Whether it is kept from being deleted.
    #[serde(rename = "EnableTerminationProtection", default)]
    pub termination_protection: bool,
    /// What it tells.
    #[serde(default, deserialize_with = "items")]
    pub outputs: Vec<Output>,
    /// Its tags.
    #[serde(default, deserialize_with = "tags")]
    pub tags: Tags,
}

/// One thing that a stack tells.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Output {
    /// Its name.
    #[serde(rename = "OutputKey")]
    pub key: String,
    /// What it says.
    #[serde(rename = "OutputValue", default)]
    pub value: String,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
}

/// What happened to a resource of a stack, or to the stack.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StackEvent {
    /// Its id.
    #[serde(rename = "EventId")]
    pub id: String,
    /// The resource's name in the template; the stack's name if it is the stack.
    #[serde(rename = "LogicalResourceId", default)]
    pub logical_id: String,
    /// The resource's id.
    #[serde(rename = "PhysicalResourceId", default)]
    pub physical_id: Option<String>,
    /// For example `AWS::EC2::Volume`.
    #[serde(default)]
    pub resource_type: String,
    /// For example `CREATE_FAILED`.
    #[serde(rename = "ResourceStatus", default)]
    pub status: String,
    /// Why.
    #[serde(rename = "ResourceStatusReason", default)]
    pub reason: Option<String>,
    /// When.
    #[serde(default, deserialize_with = "lenient")]
    pub timestamp: Option<Timestamp>,
    /// The token of the call that began it.
    #[serde(rename = "ClientRequestToken", default)]
    pub client_token: Option<String>,
}

/// A resource of a stack.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct StackResource {
    /// Its name in the template.
    #[serde(rename = "LogicalResourceId", default)]
    pub logical_id: String,
    /// Its id.
    #[serde(rename = "PhysicalResourceId", default)]
    pub physical_id: Option<String>,
    /// For example `AWS::EC2::Volume`.
    #[serde(default)]
    pub resource_type: String,
    /// For example `CREATE_COMPLETE`.
    #[serde(rename = "ResourceStatus", default)]
    pub status: String,
    /// Why.
    #[serde(rename = "ResourceStatusReason", default)]
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StackPage {
    #[serde(default, deserialize_with = "items")]
    stacks: Vec<Stack>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EventPage {
    #[serde(default, deserialize_with = "items")]
    stack_events: Vec<StackEvent>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    #[serde(default, deserialize_with = "items")]
    stack_resources: Vec<StackResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Template {
    #[serde(default)]
    template_body: String,
}

impl CloudFormation {
    /// The stack with this name or ARN, if there is one. By name, a deleted one is not found.
    pub async fn stack(&self, name: &str) -> Result<Option<Stack>, AwsError> {
        let mut found = None;
        let asked = self
            .query("DescribeStacks")
            .set("StackName", name)
            .result_pages(|page: StackPage| {
                found = page.stacks.into_iter().next();
                None
            })
            .await;
        match asked {
            Ok(()) => Ok(found),
            Err(error) if no_such_stack(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All stacks of the region that are not deleted.
    pub async fn describe_stacks(&self) -> Result<Vec<Stack>, AwsError> {
        let mut found = Vec::new();
        self.query("DescribeStacks")
            .result_pages(|page: StackPage| {
                found.extend(page.stacks);
                page.next_token
            })
            .await?;
        Ok(found)
    }

    /// What happened to a stack, oldest first: after the event `since`, or all of it.
    pub async fn describe_stack_events(
        &self,
        stack: &str,
        since: Option<&str>,
    ) -> Result<Vec<StackEvent>, AwsError> {
        let mut found = Vec::new();
        self.query("DescribeStackEvents")
            .set("StackName", stack)
            .result_pages(|page: EventPage| {
                // They come newest first.
                for event in page.stack_events {
                    if Some(event.id.as_str()) == since {
                        return None;
                    }
                    found.push(event);
                }
                page.next_token
            })
            .await?;
        found.reverse();
        Ok(found)
    }

    /// The resources of a stack, 100 at most.
    pub async fn describe_stack_resources(
        &self,
        stack: &str,
    ) -> Result<Vec<StackResource>, AwsError> {
        let found: Resources =
            self.query("DescribeStackResources").set("StackName", stack).result().await?;
        Ok(found.stack_resources)
    }

    /// Begins to delete a stack. `retain` are names in the template of resources to leave, and is only
    /// allowed in `DELETE_FAILED`.
    pub async fn delete_stack(
        &self,
        stack: &str,
        retain: &[&str],
        client_token: &str,
    ) -> Result<(), AwsError> {
        self.query("DeleteStack")
            .set("StackName", stack)
            .list("RetainResources.member", retain)
            .set("ClientRequestToken", client_token)
            .done()
            .await
    }

    /// The template that a stack was last made or changed with, if there is such a stack.
    pub async fn get_template(&self, stack: &str) -> Result<Option<String>, AwsError> {
        let got: Result<Template, _> = self
            .query("GetTemplate")
            .set("StackName", stack)
            .set("TemplateStage", "Original")
            .result()
            .await;
        match got {
            Ok(template) => Ok(Some(template.template_body)),
            Err(error) if no_such_stack(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a stack from being deleted, or lets it.
    pub async fn update_termination_protection(
        &self,
        stack: &str,
        protect: bool,
    ) -> Result<(), AwsError> {
        self.query("UpdateTerminationProtection")
            .set("StackName", stack)
            .set("EnableTerminationProtection", protect)
            .done()
            .await
    }
}
