//! From the file to a change set: what is there, what is in the way, what would change.

use qmoor_aws::cloudformation::{ChangeSet, ChangeSetKind, Stack};
use qmoor_aws::{AwsError, ec2};
use qmoor_plan::aws::change::{self, Change, Effect, Refusal};
use qmoor_plan::aws::preflight::{self, Facts, Problem};
use qmoor_plan::aws::steps::{self, Deployed};
use qmoor_plan::aws::template::{MAX_BYTES, Resolved, template, text};
use qmoor_plan::aws::{names, stack, user_data};
use serde_json::Value;

use super::ask::{change_set, take_back, told};
use super::{Session, failed, look};
use crate::error::CliError;
use crate::output::Output;

/// What would be done.
pub(in crate::verbs) struct Prepared {
    /// The stack, if it is there.
    pub(in crate::verbs) stack: Option<Stack>,
    /// What was deployed last.
    pub(in crate::verbs) before: Option<Value>,
    /// What is to be deployed.
    pub(in crate::verbs) template: Value,
    /// The image of the machine, and where it comes from.
    pub(in crate::verbs) image: (String, ImageFrom),
    /// The change set; none when there is nothing to change.
    pub(in crate::verbs) change_set: Option<ChangeSet>,
    /// What it changes.
    pub(in crate::verbs) changes: Vec<Change>,
    /// Why it is not made.
    pub(in crate::verbs) refusals: Vec<Refusal>,
    /// The machine that is there.
    pub(in crate::verbs) machine: Option<String>,
}

/// Where the image of the machine comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) enum ImageFrom {
    /// The file names it.
    File,
    /// The machine that is there was made from it.
    Kept,
    /// It is the newest of Amazon Linux.
    Newest,
}

impl ImageFrom {
    pub(in crate::verbs) fn as_str(self) -> &'static str {
        match self {
            Self::File => "named in the file",
            Self::Kept => "the one it has",
            Self::Newest => "the newest Amazon Linux 2023",
        }
    }
}

/// Looks, and asks CloudFormation what the file would change. Nothing is made but the change set, and for one of a new
/// stack the empty stack that it is of.
pub(in crate::verbs) async fn prepare(
    session: &Session,
    new_ami: bool,
    out: Output,
) -> Result<Prepared, CliError> {
    let spinner = out.spinner("looking at AWS");
    let name = &session.machine.stack;
    let cloudformation = session.aws.cloudformation();
    let found = cloudformation.stack(name).await.map_err(failed)?;
    let there = found.filter(|found| stack::state(Some(&found.status)) != stack::State::Absent);
    let (mut resources, mut before) = (Vec::new(), None);
    if let Some(there) = &there {
        check(session, there)?;
        resources = cloudformation.describe_stack_resources(name).await.map_err(failed)?;
        before = cloudformation.get_template(name).await.map_err(failed)?;
    }
    let before: Option<Value> = before
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|_| not_ours(session))?;
    let deployed = before.as_ref().map(steps::deployed).unwrap_or_default();
    let (image, from) = image(session, &deployed, new_ami).await.map_err(failed)?;
    let facts = look::facts(session, &resources, image.as_ref()).await.map_err(failed)?;
    refuse(&preflight::problems(&session.config, &session.machine, &facts), out)?;

    let ami = image.as_ref().map(|image| image.id.clone()).or_else(|| deployed.ami.clone());
    let root = image.and_then(|image| image.root_device_name);
    let mut resolved = Resolved {
        ami: ami.unwrap_or_default(),
        root_device: root.or_else(|| deployed.root_device.clone()).unwrap_or_default(),
        volume: session.config.volume.id.clone(),
    };
    let is_new = there.is_none();
    let now = current_volume(&facts);
    if resolved.volume.is_none() && !is_new {
        // A machine that is there finds the volume of the last restore by itself, and one that is to be made does not.
        resolved.volume =
            if facts.own.machine.is_none() { now.clone() } else { deployed.volume.clone() };
    }
    spinner.set_message("asking CloudFormation what would change");
    let mut prepared = Prepared {
        stack: there,
        before,
        image: (resolved.ami.clone(), from),
        template: rendered(session, &resolved, &deployed, is_new)?,
        change_set: None,
        changes: Vec::new(),
        refusals: Vec::new(),
        machine: facts.own.machine.clone(),
    };
    ask(session, &mut prepared).await?;
    if change::makes_the_machine_anew(&prepared.changes)
        && session.config.volume.id.is_none()
        && now != resolved.volume.clone().or_else(|| facts.own.volume.clone())
        && now.is_some()
    {
        take_back(session, &prepared).await?;
        resolved.volume = now;
        prepared.template = rendered(session, &resolved, &deployed, is_new)?;
        ask(session, &mut prepared).await?;
    }
    prepared.refusals.extend(of_another_volume(&facts, &prepared.changes));
    spinner.finish_and_clear();
    Ok(prepared)
}

/// After a restore the stack knows only the volume that was replaced: it would change that one, and not the one in use.
fn of_another_volume(facts: &Facts, changes: &[Change]) -> Option<Refusal> {
    let stays = |change: &&Change| !matches!(change.effect, Effect::Leaves | Effect::Removes);
    let change = changes.iter().find(|change| change.name == names::resource::VOLUME);
    let _changed = change.filter(stays)?;
    let own = facts.own.volume.as_ref()?;
    let mut used = facts.volumes.iter().filter(|volume| volume.role == names::DATA);
    let used = used.find(|volume| volume.id != *own)?;
    Some(Refusal {
        what: format!(
            "the stack would change {own}, which a restore has replaced, and not {}, which is in use",
            used.id
        ),
        hint: format!(
            "leave the keys of the volume as they were; `aws ec2 modify-volume --volume-id {}` changes the one in use",
            used.id
        ),
    })
}

/// Whether the stack may be touched: it is this node's, and in a state that admits it.
pub(in crate::verbs) fn check(session: &Session, there: &Stack) -> Result<(), CliError> {
    if there.tags.get(names::NODE).map(String::as_str) != Some(session.node()) {
        return Err(not_ours(session));
    }
    match stack::why_not(&there.name, &there.status, &session.machine.region) {
        None => Ok(()),
        Some((what, hint)) => {
            let busy = stack::state(Some(&there.status)) == stack::State::Busy;
            Err(CliError::failed(what).hint(hint).locked_if(busy))
        }
    }
}

fn not_ours(session: &Session) -> CliError {
    let (stack, node) = (&session.machine.stack, session.node());
    CliError::failed(format!("the stack `{stack}` is not of the node `{node}`"))
        .hint("choose another aws.stack, or the node.name with which it was made")
}

fn refuse(problems: &[Problem], out: Output) -> Result<(), CliError> {
    let Some((last, others)) = problems.split_last() else { return Ok(()) };
    for problem in others {
        out.warn(format_args!("error: {}", problem.what));
        out.warn(format_args!("hint:  {}", problem.hint));
    }
    Err(CliError::failed(last.what.clone()).hint(last.hint.clone()))
}

/// The image for the machine, if it is there. Once there is a machine, its image stays: another one makes it anew.
async fn image(
    session: &Session,
    deployed: &Deployed,
    new_ami: bool,
) -> Result<(Option<ec2::Image>, ImageFrom), AwsError> {
    let (ec2, aws) = (session.aws.ec2(), &session.machine);
    let describe = async |id: &str| ec2.describe_images(&[id]).await.map(|mut found| found.pop());
    if let Some(id) = &aws.ami {
        return Ok((describe(id).await?, ImageFrom::File));
    }
    let fits = |found: &ec2::Image| {
        let wanted = qmoor_plan::aws::instance::architecture(&aws.instance_type);
        wanted.is_ok_and(|wanted| wanted.as_str() == found.architecture)
    };
    if let Some(id) = deployed.ami.as_ref().filter(|_| !new_ami) {
        let found = describe(id).await?;
        // One that Amazon has withdrawn goes on running.
        if found.as_ref().is_none_or(fits) {
            return Ok((found, ImageFrom::Kept));
        }
    }
    let Some(parameter) = preflight::image_parameter(&aws.instance_type) else {
        return Ok((None, ImageFrom::Newest));
    };
    let newest = session.aws.parameters().get(&parameter).await?;
    Ok((describe(newest.value.reveal()).await?, ImageFrom::Newest))
}

/// The volume that holds the data, by its tags.
fn current_volume(facts: &Facts) -> Option<String> {
    let mut holding = facts.volumes.iter().filter(|volume| volume.role == names::DATA);
    holding.next().filter(|_| holding.next().is_none()).map(|volume| volume.id.clone())
}

fn rendered(
    session: &Session,
    resolved: &Resolved,
    deployed: &Deployed,
    is_new: bool,
) -> Result<Value, CliError> {
    let Some(mut rendered) = template(&session.config, resolved) else {
        return Err(CliError::usage("the configuration names no machine on AWS"));
    };
    if resolved.volume.is_some() && (is_new || !deployed.has_volume) {
        steps::drop_volume(&mut rendered);
    }
    let volume = resolved.volume.as_deref().unwrap_or(user_data::VOLUME);
    let told = user_data::cloud_config(&session.config, &session.machine, volume).len();
    let sizes = [
        ("template", text(&rendered).len(), MAX_BYTES, "CloudFormation", "name fewer groups"),
        ("user data", told, user_data::MAX_BYTES, "EC2", "set fewer keys in the file"),
    ];
    for (what, bytes, most, who, hint) in sizes {
        if bytes > most {
            let message = format!("the {what} has {bytes} bytes, and {who} takes {most}");
            return Err(CliError::failed(message).hint(hint));
        }
    }
    Ok(rendered)
}

/// Asks what the template changes, and puts the answer into `prepared`.
async fn ask(session: &Session, prepared: &mut Prepared) -> Result<(), CliError> {
    let kind = match prepared.stack {
        Some(_) => ChangeSetKind::Update,
        None => ChangeSetKind::Create,
    };
    let asked = change_set(session, &prepared.template, kind).await?;
    prepared.changes = asked.as_ref().map(|set| change::changes(&told(set))).unwrap_or_default();
    prepared.refusals = change::refusals(&prepared.changes);
    prepared.change_set = asked;
    Ok(())
}
