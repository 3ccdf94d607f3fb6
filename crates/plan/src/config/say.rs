//! What is said of a key: what its value must be, what was found instead, which name was meant.

use toml::de::DeValue;

use super::forms::Form;
use super::keys::{self, Kind};

/// What a value must be, with its article.
pub(super) fn wanted(kind: &Kind) -> String {
    match kind {
        Kind::Name => "a name of at most 64 letters, digits, `.`, `_` and `-`".to_owned(),
        Kind::Path => "a path in quotes, not empty".to_owned(),
        Kind::OptionalPath => "a path in quotes, or \"\" for none".to_owned(),
        Kind::Address => "an IP address in quotes, like \"127.0.0.1\"".to_owned(),
        Kind::Image => "an image in quotes, like \"qdrant/qdrant:v1.19.0\"".to_owned(),
        Kind::User => "a user in quotes, like \"1000:1000\", or empty".to_owned(),
        Kind::Text(form) => {
            format!("a text like {:?}, or \"\" for none", form.example())
        }
        Kind::Texts(form) => format!("a list of texts like [{:?}]", form.example()),
        Kind::Cron => "a text like \"0 3 * * *\", or \"\" for none".to_owned(),
        Kind::Command => {
            "a list of words that begins with an absolute path, like [\"/usr/local/bin/tell\"]"
                .to_owned()
        }
        Kind::Choices(words) => format!("a list of {}", keys::quoted(words)),
        Kind::Switch => "true or false".to_owned(),
        Kind::Choice([word]) => format!("\"{word}\""),
        Kind::Choice(words) => format!("one of {}", keys::quoted(words)),
        Kind::Number(min, max) => format!("a whole number from {min} to {max}"),
        Kind::Size(min, max) => format!(
            "a size in quotes, like \"2GiB\", from {} to {}",
            keys::size_text(*min),
            keys::size_text(*max)
        ),
        Kind::Duration(min, max) => format!(
            "a duration in quotes, like \"4s\", from {} to {}",
            keys::duration_text(*min),
            keys::duration_text(*max)
        ),
    }
}

/// What was found instead, unless it may be a secret.
pub(super) fn found(kind: Option<&Kind>, value: &DeValue<'_>) -> String {
    match (kind, value) {
        (Some(Kind::Text(Form::Webhook)), DeValue::String(_)) => {
            "what it is (not shown: it may be a secret)".to_owned()
        }
        (_, value) => shown(value),
    }
}

/// What was found instead, short enough for a line.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string(),
        DeValue::Float(float) => float.to_string(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::String(_) => "a longer string".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The right name that `path` most likely means, if one is near.
pub(super) fn nearest(path: &str) -> Option<&'static str> {
    let keys = keys::reference();
    let leaf = path.rsplit('.').next().unwrap_or(path);
    if let Some(key) = keys.iter().find(|key| key.name() == leaf) {
        return Some(key.path);
    }
    let similar = |key: &&keys::Key| {
        let in_its_table = path.strip_suffix(leaf).is_some_and(|table| key.path.starts_with(table));
        in_its_table && leaf.len() > 2 && (key.name().contains(leaf) || leaf.contains(key.name()))
    };
    let tables = keys::tables().iter().map(|(name, _)| *name);
    let names = tables.chain(keys.iter().map(|key| key.path));
    let leaves = keys.iter().map(|key| (key.path, strsim::damerau_levenshtein(key.name(), leaf)));
    names
        .map(|name| (name, strsim::damerau_levenshtein(name, path)))
        .chain(leaves)
        .min_by_key(|(_, distance)| *distance)
        .filter(|(_, distance)| *distance <= 1 + leaf.chars().count() / 3)
        .map(|(name, _)| name)
        .or_else(|| keys.iter().find(similar).map(|key| key.path))
}
