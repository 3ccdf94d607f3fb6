//! From one template to the next: what of the old one stays, and in which steps the new one is reached.

use serde_json::Value;

use super::change::{Change, Effect, makes_the_machine_anew};
use super::names::resource::{ATTACHMENT, MACHINE, VOLUME};

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
