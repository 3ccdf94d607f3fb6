//! What the stack of a node is, checked on the template itself.

mod change;
mod course;
mod policies;
mod preflight;
mod properties;
mod stack;
mod states;
mod user_data;

use std::path::Path;

use serde_json::Value;

use super::template::{Resolved, template};
use crate::config::Config;

/// The example, with these settings in place of its own.
fn config(others: &[(&str, &str)]) -> Config {
    let example = include_str!("../../../../../examples/aws.toml");
    let mut document: toml::Table = example.parse().unwrap();
    for (key, value) in others {
        let (table, name) = key.split_once('.').unwrap();
        let value: toml::Table = format!("it = {value}").parse().unwrap();
        let table = document.entry(table).or_insert_with(|| toml::Table::new().into());
        table.as_table_mut().unwrap().insert(name.to_owned(), value["it"].clone());
    }
    let text = toml::to_string(&document).unwrap();
    Config::parse(&text, Path::new("aws.toml")).unwrap_or_else(|error| panic!("{error}"))
}

fn resolved() -> Resolved {
    let (ami, root_device) = ("ami-0123456789abcdef0".to_owned(), "/dev/xvda".to_owned());
    Resolved { ami, root_device, volume: None }
}

/// The template of the example, with these settings in place of its own.
fn made(others: &[(&str, &str)]) -> Value {
    template(&config(others), &resolved()).unwrap()
}

/// The properties of a resource.
fn properties<'t>(template: &'t Value, resource: &str) -> &'t Value {
    let found = &template["Resources"][resource]["Properties"];
    assert!(found.is_object(), "there is no {resource}");
    found
}

/// All values in `value`, the outer before the inner.
fn walk<'v>(value: &'v Value, visit: &mut impl FnMut(&'v Value)) {
    visit(value);
    match value {
        Value::Array(all) => all.iter().for_each(|inner| walk(inner, visit)),
        Value::Object(all) => all.values().for_each(|inner| walk(inner, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What `value` refers to: by `Ref`, by `Fn::GetAtt` and in `Fn::Sub`.
fn references(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(value, &mut |value| {
        found.extend(value["Ref"].as_str().map(str::to_owned));
        found.extend(value["Fn::GetAtt"][0].as_str().map(str::to_owned));
        for piece in value["Fn::Sub"].as_str().unwrap_or("").split("${").skip(1) {
            let name = piece.split('}').next().unwrap();
            found.push(name.split('.').next().unwrap().to_owned());
        }
    });
    found
}

/// With sorted keys: whether `serde_json` sorts them hangs on what else is built.
fn sorted(mut value: Value) -> Value {
    value.sort_all_objects();
    value
}
