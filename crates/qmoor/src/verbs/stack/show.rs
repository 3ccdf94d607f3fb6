//! What `plan`, `up` and `down` tell.

use std::collections::BTreeMap;

use qmoor_plan::access::Role;
use qmoor_plan::aws::change::{Change, Effect, Refusal, makes_the_machine_anew};
use qmoor_plan::aws::iam;
use qmoor_plan::aws::names::{output, resource};
use serde::Serialize;
use serde_json::Value;

use super::{Drift, Prepared, Session};
use crate::output::table;

/// What would be done, as `--json` tells it.
#[derive(Debug, Serialize)]
pub(in crate::verbs) struct Plan {
    stack: String,
    region: String,
    account: String,
    /// `create`, `change` or `nothing`.
    action: &'static str,
    image: String,
    image_from: &'static str,
    changes: Vec<Change>,
    machine_anew: bool,
    refused: Vec<Refusal>,
    /// What other hands have changed.
    drift: Vec<Drift>,
}

/// What would be done.
pub(in crate::verbs) fn plan(session: &Session, prepared: &Prepared, drift: Vec<Drift>) -> Plan {
    let action = match (&prepared.change_set, &prepared.stack) {
        (None, _) => "nothing",
        (Some(_), Some(_)) => "change",
        (Some(_), None) => "create",
    };
    Plan {
        stack: session.machine.stack.clone(),
        region: session.machine.region.clone(),
        account: session.account.clone(),
        action,
        image: prepared.image.0.clone(),
        image_from: prepared.image.1.as_str(),
        changes: prepared.changes.clone(),
        machine_anew: makes_the_machine_anew(&prepared.changes),
        refused: prepared.refusals.clone(),
        drift,
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stack, region, account, image, image_from, .. } = self;
        let what = match self.action {
            "nothing" => "is as the file says",
            "create" => "is to be made",
            _ => "is to be changed",
        };
        write!(f, "stack {stack} in {region}, account {account}: {what}")?;
        for drift in &self.drift {
            write!(f, "\ndrift: {drift}")?;
        }
        if self.action == "nothing" {
            return Ok(());
        }
        write!(f, "\nimage {image}, {image_from}")?;
        if self.changes.is_empty() {
            return write!(f, "\nno resource changes, only what the stack tells");
        }
        let rows: Vec<Vec<String>> = self.changes.iter().map(row).collect();
        write!(f, "\n\n{}", table(&["RESOURCE", "TYPE", "WHAT", "ID", "BECAUSE OF"], &rows))?;
        for note in self.notes() {
            write!(f, "\n{note}")?;
        }
        for refusal in &self.refused {
            write!(f, "\nrefused: {}", refusal.what)?;
        }
        Ok(())
    }
}

impl Plan {
    /// What an operator must know before agreeing.
    fn notes(&self) -> Vec<&'static str> {
        let has = |name: &str, effects: &[Effect]| {
            let is = |change: &Change| change.name == name && effects.contains(&change.effect);
            self.changes.iter().any(is)
        };
        let mut notes = Vec::new();
        if self.machine_anew {
            notes.push(
                "the machine is shut down and taken away, then made anew with the same address and volume: \
                 the node stands still for some minutes, and until it is mended if AWS cannot make the new one",
            );
        } else if has(resource::MACHINE, &[Effect::Restarts]) {
            notes.push(
                "the machine is shut down and started: the node stands still for some minutes",
            );
        }
        if has(resource::VOLUME, &[Effect::Changes]) {
            notes.push("a larger volume is used from the next start of the machine on");
        }
        let replaced = [Effect::Replaces, Effect::MayReplace];
        if has("AdminSecret", &replaced)
            || has("IndexSecret", &replaced)
            || has("SearchSecret", &replaced)
        {
            notes.push("keys are made anew: clients have to fetch theirs again");
        }
        notes
    }
}

fn row(change: &Change) -> Vec<String> {
    vec![
        change.name.clone(),
        change.kind.clone(),
        change.effect.as_str().to_owned(),
        change.id.clone().unwrap_or_else(|| "-".to_owned()),
        change.properties.join(", "),
    ]
}

/// The stack as it is, as `--json` tells it.
#[derive(Debug, Serialize)]
pub(in crate::verbs) struct Outputs {
    stack: String,
    region: String,
    account: String,
    changed: bool,
    outputs: BTreeMap<String, String>,
    /// For the roles of Ray clusters that are managed elsewhere.
    policies: BTreeMap<&'static str, Value>,
}

/// The stack as it is.
pub(in crate::verbs) fn outputs(
    session: &Session,
    changed: bool,
    told: &[qmoor_aws::cloudformation::Output],
) -> Outputs {
    let policies = [("index", Role::Index), ("search", Role::Search)];
    Outputs {
        stack: session.machine.stack.clone(),
        region: session.machine.region.clone(),
        account: session.account.clone(),
        changed,
        outputs: told.iter().map(|told| (told.key.clone(), told.value.clone())).collect(),
        policies: policies
            .into_iter()
            .filter_map(|(name, role)| Some((name, iam::client_policy(&session.config, role)?)))
            .collect(),
    }
}

impl std::fmt::Display for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let done = if self.changed { "is up" } else { "is as the file says: nothing was changed" };
        writeln!(f, "stack {} in {} {done}\n", self.stack, self.region)?;
        let rows: Vec<Vec<String>> = self
            .outputs
            .iter()
            .map(|(name, value)| vec![format!("  {name}"), value.clone()])
            .collect();
        write!(f, "{}", table(&["  WHAT", "WHERE"], &rows))?;
        let of = |name: &str| self.outputs.get(name).map_or("-", String::as_str);
        write!(
            f,
            "\n\nfor the machines that index:   attach {} to their role; they read {}\
             \nfor the machines that search:  attach {} to their role; they read {}\
             \nwhere their groups do not let everything out:  {}",
            of(output::INDEX_POLICY),
            of(output::INDEX_SECRET),
            of(output::SEARCH_POLICY),
            of(output::SEARCH_SECRET),
            of(output::CLIENT_RULE),
        )
    }
}
