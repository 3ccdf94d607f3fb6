//! Drift: what was changed by other hands than CloudFormation's.

use serde::Deserialize;

use super::CloudFormation;
use crate::AwsError;
use crate::query::items;

/// How far a look for drift is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct DriftDetection {
    /// `DETECTION_IN_PROGRESS`, `DETECTION_COMPLETE` or `DETECTION_FAILED`.
    #[serde(rename = "DetectionStatus", default)]
    pub status: String,
    /// Why it failed.
    #[serde(rename = "DetectionStatusReason", default)]
    pub reason: Option<String>,
    /// `DRIFTED`, `IN_SYNC`, `NOT_CHECKED` or `UNKNOWN`.
    #[serde(rename = "StackDriftStatus", default)]
    pub drift: Option<String>,
}

/// The drift of one resource.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ResourceDrift {
    /// Its name in the template.
    #[serde(rename = "LogicalResourceId", default)]
    pub logical_id: String,
    /// Its id.
    #[serde(rename = "PhysicalResourceId", default)]
    pub physical_id: Option<String>,
    /// For example `AWS::EC2::SecurityGroup`.
    #[serde(default)]
    pub resource_type: String,
    /// `MODIFIED`, `DELETED`, `IN_SYNC` or `NOT_CHECKED`.
    #[serde(rename = "StackResourceDriftStatus", default)]
    pub status: String,
    /// What differs.
    #[serde(rename = "PropertyDifferences", default, deserialize_with = "items")]
    pub differences: Vec<Difference>,
}

/// One property that is not as the template says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Difference {
    /// For example `/SecurityGroupIngress/0`.
    #[serde(rename = "PropertyPath", default)]
    pub path: String,
    /// As the template says.
    #[serde(rename = "ExpectedValue", default)]
    pub expected: String,
    /// As it is.
    #[serde(rename = "ActualValue", default)]
    pub actual: String,
    /// `ADD`, `REMOVE` or `NOT_EQUAL`.
    #[serde(rename = "DifferenceType", default)]
    pub kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Begun {
    stack_drift_detection_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default, deserialize_with = "items")]
    stack_resource_drifts: Vec<ResourceDrift>,
    #[serde(default)]
    next_token: Option<String>,
}

impl CloudFormation {
    /// Begins to look for drift, and gives the id to ask after it by.
    pub async fn detect_stack_drift(&self, stack: &str) -> Result<String, AwsError> {
        let begun: Begun = self.query("DetectStackDrift").set("StackName", stack).result().await?;
        Ok(begun.stack_drift_detection_id)
    }

    /// How far a look for drift is.
    pub async fn describe_stack_drift_detection_status(
        &self,
        id: &str,
    ) -> Result<DriftDetection, AwsError> {
        self.query("DescribeStackDriftDetectionStatus")
            .set("StackDriftDetectionId", id)
            .result()
            .await
    }

    /// What the last look found of each resource that was looked at.
    pub async fn describe_stack_resource_drifts(
        &self,
        stack: &str,
    ) -> Result<Vec<ResourceDrift>, AwsError> {
        let mut found = Vec::new();
        self.query("DescribeStackResourceDrifts")
            .set("StackName", stack)
            .result_pages(|page: Page| {
                found.extend(page.stack_resource_drifts);
                page.next_token
            })
            .await?;
        Ok(found)
    }
}
