//! Asking CloudFormation what a template would change.

use std::time::Duration;

use qmoor_aws::Tags;
use qmoor_aws::cloudformation::{ChangeDetail, ChangeSet, ChangeSetKind, NewChangeSet};
use qmoor_plan::aws::change::{Detail, Told};
use qmoor_plan::aws::template::text;
use qmoor_plan::aws::{names, stack};
use serde_json::Value;
use uuid::Uuid;

use super::{Pace, Prepared, Session, failed};
use crate::error::CliError;

/// The longest that CloudFormation may take to say what would change.
const WORKED_OUT: Duration = Duration::from_secs(300);

/// A change set to the template; none when there is nothing to change.
pub(super) async fn change_set(
    session: &Session,
    template: &Value,
    kind: ChangeSetKind,
) -> Result<Option<ChangeSet>, CliError> {
    let cloudformation = session.aws.cloudformation();
    let token = format!("qmoor-{}", Uuid::new_v4());
    let parameters = template
        .pointer("/Parameters")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, rule)| Some((name.clone(), rule.get("Default")?.as_str()?.to_owned())))
        .collect();
    let new = NewChangeSet {
        stack: &session.machine.stack,
        name: &token,
        kind,
        template: &text(template),
        parameters: &parameters,
        tags: &Tags::from([(names::NODE.to_owned(), session.node().to_owned())]),
        named_roles: false,
        client_token: &token,
    };
    let id = cloudformation.create_change_set(&new).await.map_err(failed)?;
    let mut pace = Pace::new(WORKED_OUT);
    loop {
        let set = cloudformation.describe_change_set(&id).await.map_err(failed)?;
        match set.status.as_str() {
            "CREATE_COMPLETE" => return Ok(Some(set)),
            "FAILED" => {
                cloudformation.delete_change_set(&id).await.map_err(failed)?;
                if set.is_empty() {
                    return Ok(None);
                }
                let why = set.status_reason.as_deref().unwrap_or("it does not say why");
                return Err(CliError::failed(format!(
                    "CloudFormation refuses the template: {why}"
                ))
                .maybe_hint(stack::what_to_do(why).map(str::to_owned)));
            }
            _ if pace.wait().await => {}
            _ => {
                return Err(CliError::failed(
                    "CloudFormation has not said in 5 minutes what would change",
                )
                .hint("run it again"));
            }
        }
    }
}

/// Takes back what was made to ask.
pub(in crate::verbs) async fn take_back(
    session: &Session,
    prepared: &Prepared,
) -> Result<(), CliError> {
    let cloudformation = session.aws.cloudformation();
    let Some(set) = &prepared.change_set else { return Ok(()) };
    cloudformation.delete_change_set(&set.id).await.map_err(failed)?;
    if prepared.stack.is_some() {
        return Ok(());
    }
    // The empty stack goes, too, unless somebody else is about to fill it.
    let others = cloudformation.list_change_sets(&set.stack_id).await.map_err(failed)?;
    if others.is_empty() {
        let token = format!("qmoor-{}", Uuid::new_v4());
        cloudformation.delete_stack(&set.stack_id, &[], &token).await.map_err(failed)?;
    }
    Ok(())
}

pub(super) fn told(set: &ChangeSet) -> Vec<Told> {
    let detail = |detail: &ChangeDetail| Detail {
        property: detail.name().to_owned(),
        recreation: detail.requires_recreation().to_owned(),
        cause: detail.causing_entity.clone(),
    };
    set.changes
        .iter()
        .map(|change| Told {
            name: change.logical_id.clone(),
            kind: change.resource_type.clone(),
            id: change.physical_id.clone(),
            action: change.action.clone(),
            replacement: change.replacement.clone(),
            policy: change.policy_action.clone(),
            details: change.details.iter().map(detail).collect(),
        })
        .collect()
}
