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

/// What happens to each resource.
#[must_use]
pub fn changes(told: &[Told]) -> Vec<Change> {
    told.iter()
        .map(|one| {
            let mut properties: Vec<String> =
                one.details.iter().map(|detail| detail.property.clone()).collect();
            properties.sort_unstable();
            properties.dedup();
            Change {
                name: one.name.clone(),
                kind: one.kind.clone(),
                id: one.id.clone(),
                effect: effect(one, told),
                properties,
            }
        })
        .collect()
}

fn effect(one: &Told, told: &[Told]) -> Effect {
    match (one.action.as_str(), one.replacement.as_deref()) {
        ("Add" | "Import", _) => Effect::Adds,
        ("Remove", _) if one.policy.as_deref() == Some("Retain") => Effect::Leaves,
        ("Remove", _) => Effect::Removes,
        (_, Some("True")) => Effect::Replaces,
        (_, Some("Conditional")) if follows_a_replaced_one(one, told) => Effect::Replaces,
        (_, Some("Conditional")) => Effect::MayReplace,
        _ if one.kind == "AWS::EC2::Instance" && one.details.iter().any(restarts) => {
            Effect::Restarts
        }
        _ => Effect::Changes,
    }
}

fn restarts(detail: &Detail) -> bool {
    RESTARTS.contains(&detail.property.as_str())
}

/// AWS calls it conditional that a resource names another one which is replaced; where the property cannot be changed in
/// place, it is certain.
fn follows_a_replaced_one(one: &Told, told: &[Told]) -> bool {
    one.details.iter().filter(|detail| detail.recreation == "Always").any(|detail| {
        let cause = detail.cause.as_deref().and_then(|cause| cause.split('.').next());
        told.iter().any(|other| {
            Some(other.name.as_str()) == cause
                && other.name != one.name
                && effect(other, told) == Effect::Replaces
        })
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
