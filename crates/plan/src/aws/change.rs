//! What a change set means for a node: what is made, changed, taken away and made anew, and what is refused because the
//! data lies on it.

use serde::Serialize;
use serde_json::Value;

/// What the template calls the machine, the volume, and that the one is at the other.
const MACHINE: &str = "Machine";
const VOLUME: &str = "Volume";
const ATTACHMENT: &str = "Attachment";

/// Properties of a machine for which CloudFormation shuts it down and starts it again.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-instance.html>
const RESTARTS: &[&str] = &["EbsOptimized", "InstanceType", "UserData"];

/// Properties of a volume that CloudFormation does not change, nor is the volume replaced for them.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-volume.html>
const FIXED: &[&str] = &["AvailabilityZone", "Encrypted", "KmsKeyId", "OutpostArn", "SnapshotId"];

/// What CloudFormation says happens to one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its name in the template.
    pub name: String,
    /// Its type, like `AWS::EC2::Volume`.
    pub kind: String,
    /// Its id, if it is there.
    pub id: Option<String>,
    /// `Add`, `Modify`, `Remove`, ...
    pub action: String,
    /// Of a `Modify`: `True`, `False` or `Conditional`.
    pub replacement: Option<String>,
    /// What becomes of one that is removed: `Delete`, `Retain` or `Snapshot`.
    pub policy: Option<String>,
    /// Which of its properties change.
    pub details: Vec<Detail>,
}

/// One property that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detail {
    /// Its name.
    pub property: String,
    /// Whether that needs another resource in its place: `Never`, `Conditionally` or `Always`.
    pub recreation: String,
    /// The resource or parameter whose change is the reason, like `Machine` or `Group.GroupId`.
    pub cause: Option<String>,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It is made.
    Adds,
    /// It is changed as it is.
    Changes,
    /// It is changed, and shut down and started for that.
    Restarts,
    /// Another one takes its place.
    Replaces,
    /// Another one may take its place: AWS does not say.
    #[serde(rename = "may replace")]
    MayReplace,
    /// It is taken away.
    Removes,
    /// It stays, and is no longer of the stack.
    Leaves,
}

impl Effect {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Adds => "adds",
            Self::Changes => "changes",
            Self::Restarts => "restarts",
            Self::Replaces => "replaces",
            Self::MayReplace => "may replace",
            Self::Removes => "removes",
            Self::Leaves => "leaves",
        }
    }
}

/// What happens to one resource, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name in the template.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id, if it is there.
    pub id: Option<String>,
    /// What happens to it.
    pub effect: Effect,
    /// Which of its properties change, each once.
    pub properties: Vec<String>,
}

/// What happens to each resource. One that is only told because it names another that stays is left out.
#[must_use]
pub fn changes(told: &[Told]) -> Vec<Change> {
    let changed = told.iter().filter_map(|one| Some((one, effect(one, told, told.len())?)));
    changed
        .map(|(one, effect)| {
            let mut properties: Vec<String> =
                one.details.iter().map(|detail| detail.property.clone()).collect();
            properties.sort_unstable();
            properties.dedup();
            Change {
                name: one.name.clone(),
                kind: one.kind.clone(),
                id: one.id.clone(),
                effect,
                properties,
            }
        })
        .collect()
}

/// `depth`: how many causes are followed, one after the other.
fn effect(one: &Told, told: &[Told], depth: usize) -> Option<Effect> {
    match one.action.as_str() {
        "Add" | "Import" => return Some(Effect::Adds),
        "Remove" if one.policy.as_deref() == Some("Retain") => return Some(Effect::Leaves),
        "Remove" => return Some(Effect::Removes),
        _ => {}
    }
    // AWS tells of all that names a resource which it may replace. Whether it is replaced can be told.
    let real: Vec<&Detail> = one
        .details
        .iter()
        .filter(|detail| !names_one_that_stays(detail, one, told, depth))
        .collect();
    if real.is_empty() && !one.details.is_empty() {
        return None;
    }
    let restarts = |detail: &&Detail| {
        one.kind == "AWS::EC2::Instance" && RESTARTS.contains(&detail.property.as_str())
    };
    let replaces = real.iter().any(|detail| {
        detail.recreation == "Always"
            && detail.cause.as_deref().is_none_or(|cause| is_replaced(cause, one, told, depth))
    });
    // A machine on EBS is shut down for what would replace one without.
    let may = real.iter().any(|detail| detail.recreation != "Never" && !restarts(detail));
    Some(match one.replacement.as_deref() {
        Some("True") => Effect::Replaces,
        Some("Conditional") if replaces => Effect::Replaces,
        Some("Conditional") if may => Effect::MayReplace,
        _ if real.iter().any(restarts) => Effect::Restarts,
        _ => Effect::Changes,
    })
}

/// The resource or parameter that a cause such as `Group.GroupId` names.
fn named(cause: &str) -> &str {
    cause.split('.').next().unwrap_or(cause)
}

fn is_replaced(cause: &str, one: &Told, told: &[Told], depth: usize) -> bool {
    let name = named(cause);
    let other = told.iter().find(|other| other.name == name && other.name != one.name);
    other.is_some_and(|other| depth > 0 && effect(other, told, depth - 1) == Some(Effect::Replaces))
}

/// Whether a property only holds the id of a resource that keeps its id.
fn names_one_that_stays(detail: &Detail, one: &Told, told: &[Told], depth: usize) -> bool {
    let Some(cause) = detail.cause.as_deref().filter(|cause| !cause.contains('.')) else {
        return false;
    };
    let other = told.iter().find(|other| other.name == cause && other.name != one.name);
    other.is_some_and(|other| {
        depth > 0
            && !matches!(
                effect(other, told, depth - 1),
                Some(Effect::Adds | Effect::Replaces | Effect::MayReplace)
            )
    })
}

/// Why a change is not made, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// What would happen.
    pub what: String,
    /// What to do instead.
    pub hint: String,
}

/// What of a change is refused: all that would take the data from under the node.
#[must_use]
pub fn refusals(changes: &[Change]) -> Vec<Refusal> {
    let anew = makes_the_machine_anew(changes);
    changes.iter().filter_map(|change| refusal(change, anew)).collect()
}

fn refusal(change: &Change, anew: bool) -> Option<Refusal> {
    let because = || match change.properties.as_slice() {
        [] => String::new(),
        properties => format!(" ({})", properties.join(", ")),
    };
    let id = change.id.as_deref().unwrap_or("the volume");
    let moves =
        "set it back in the file; data comes to another zone or key by a backup and a restore";
    let (what, hint) = match (change.name.as_str(), change.effect) {
        (VOLUME, Effect::Replaces | Effect::MayReplace) => {
            (format!("the volume {id} would be replaced by a blank one{}", because()), moves)
        }
        (VOLUME, Effect::Changes)
            if change.properties.iter().any(|name| FIXED.contains(&name.as_str())) =>
        {
            (
                format!("only a new, blank volume could have that instead of {id}{}", because()),
                moves,
            )
        }
        (VOLUME, Effect::Removes | Effect::Leaves) => (
            format!("{id} would no longer be the volume of the stack"),
            "set `volume.id` as it was when the stack was made",
        ),
        (ATTACHMENT, Effect::Replaces | Effect::MayReplace)
            if !anew && change.properties.iter().any(|name| name == "VolumeId") =>
        {
            (
                "the machine would be given another volume".to_owned(),
                "set `volume.id` back: `qmoor restore` brings another volume under the node",
            )
        }
        _ => return None,
    };
    Some(Refusal { what, hint: hint.to_owned() })
}

/// Whether another machine takes the place of the one that is there. CloudFormation would make the new one first, while
/// the old one has the address and the volume: so the old one must be taken away before.
#[must_use]
pub fn makes_the_machine_anew(changes: &[Change]) -> bool {
    let anew = |effect| matches!(effect, Effect::Replaces | Effect::MayReplace);
    changes.iter().any(|change| change.name == MACHINE && anew(change.effect))
}

/// One of the changes that are made one after the other.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The machine is taken away: to this template. It is shut down before.
    TakeMachine(Value),
    /// All but the volume is changed: to this template.
    AllButVolume(Value),
    /// All is changed that is left.
    Rest,
}

/// In which steps `changes` are made, from the template `before` to `template`. `machine` is the one that is there.
///
/// The machine goes before another one comes. And the volume is changed last and alone: it cannot shrink, and can be
/// changed once in six hours, so that CloudFormation could not take back what it did to it when something else fails.
#[must_use]
pub fn steps(
    changes: &[Change],
    before: Option<&Value>,
    template: &Value,
    machine: Option<&str>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if let (Some(before), Some(machine)) = (before, machine)
        && makes_the_machine_anew(changes)
    {
        steps.push(Step::TakeMachine(without_machine(before, machine)));
    }
    let volume = before.and_then(|before| before.pointer("/Resources/Volume"));
    let changes_volume =
        changes.iter().any(|change| change.name == VOLUME && change.effect == Effect::Changes);
    if let Some(volume) = volume
        && changes_volume
        && changes.len() > 1
    {
        let mut kept = template.clone();
        if let Some(own) = kept.pointer_mut("/Resources/Volume") {
            *own = volume.clone();
        }
        steps.push(Step::AllButVolume(kept));
    }
    steps.push(Step::Rest);
    steps
}

/// What a template that was deployed says, and the file does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// Image of the machine.
    pub ami: Option<String>,
    /// Name of the disk of the system in it.
    pub root_device: Option<String>,
    /// The volume that the machine was given, where it is not the stack's own.
    pub volume: Option<String>,
    /// Whether the stack has a volume of its own.
    pub has_volume: bool,
}

/// What a template that was deployed says.
#[must_use]
pub fn deployed(template: &Value) -> Deployed {
    let text = |path: &str| template.pointer(path).and_then(Value::as_str).map(str::to_owned);
    Deployed {
        ami: text("/Resources/Machine/Properties/ImageId"),
        root_device: text("/Resources/Machine/Properties/BlockDeviceMappings/0/DeviceName"),
        volume: text("/Resources/Attachment/Properties/VolumeId"),
        has_volume: template.pointer("/Resources/Volume").is_some(),
    }
}

/// The template without a volume of its own: of a stack that was made for one that was there already.
pub fn drop_volume(template: &mut Value) {
    remove(template, VOLUME);
}

/// A template that was deployed, without its machine. What names the machine goes on naming the one that was there, so
/// that nothing else changes.
#[must_use]
pub fn without_machine(template: &Value, id: &str) -> Value {
    let mut rest = template.clone();
    remove(&mut rest, ATTACHMENT);
    remove(&mut rest, MACHINE);
    name_machine(&mut rest, id);
    rest
}

fn remove(template: &mut Value, resource: &str) {
    if let Some(resources) = template.pointer_mut("/Resources").and_then(Value::as_object_mut) {
        resources.remove(resource);
    }
}

fn name_machine(value: &mut Value, id: &str) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| name_machine(value, id)),
        Value::Object(members) => {
            if members.len() == 1 && members.get("Ref").is_some_and(|name| name == MACHINE) {
                *value = Value::String(id.to_owned());
                return;
            }
            if let Some(Value::String(text)) = members.get_mut("Fn::Sub") {
                *text = text.replace("${Machine}", id);
            }
            members.values_mut().for_each(|value| name_machine(value, id));
        }
        _ => {}
    }
}
