//! Whatever the file says: either it is refused, or a template comes of it that holds nothing but what was said.

use std::path::Path;

use proptest::prelude::*;

use super::super::template::{template, text};
use super::super::user_data::{MAX_BYTES, cloud_config};
use super::resolved;
use crate::config::{Config, Form, Kind, reference};

const FORMS: [Form; 11] = [
    Form::Id("vol"),
    Form::Id("sg"),
    Form::Region,
    Form::Zone,
    Form::Stack,
    Form::InstanceType,
    Form::Ipv4,
    Form::KmsKey,
    Form::Download,
    Form::Sha256,
    Form::Email,
];

/// Means itself within single quotes of a shell, in YAML, in a pattern of a policy and in a template.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"'\"\\$`*?{}<>|&;()#!^".contains(&b))
}

#[test]
fn the_examples_have_their_forms() {
    for form in FORMS {
        assert!(form.admits(&form.example()), "{form:?}");
        assert!(!form.admits(""), "{form:?}");
        assert!(!form.admits(&format!("{}\n", form.example())), "{form:?}");
        assert!(!form.admits(&format!(" {}", form.example())), "{form:?}");
    }
}

/// An example, with something put into it.
fn bent(form: Form, at: usize, with: &str) -> String {
    let mut text = form.example();
    let at = at % (text.len() + 1);
    text.insert_str(at, with);
    text
}

/// A value as TOML, of the right kind or nearly.
fn value(kind: &Kind, at: usize, with: &str) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match kind {
        Kind::Text(form) => quoted(&bent(*form, at, with)),
        Kind::Texts(form) => format!("[{}]", quoted(&bent(*form, at, with))),
        Kind::Name => quoted(&format!("n{with}")),
        Kind::Path | Kind::OptionalPath => quoted(&format!("/mnt/{with}")),
        Kind::Choice(words) => quoted(words[at % words.len()]),
        Kind::Number(min, max) => (min + at as u64 % (max - min + 1)).to_string(),
        Kind::Size(min, _) => quoted(&format!("{}B", min + at as u64)),
        Kind::Image => quoted(&format!("q{with}:v1.19.0")),
        Kind::User => quoted("1000"),
        Kind::Address => quoted("::1"),
        Kind::Cron => quoted(["0 3 * * *", "0 3 30 2 *", with][at % 3]),
        Kind::Command => format!("[\"/bin/tell\", {}]", quoted(with)),
        Kind::Choices(words) => format!("[{}]", quoted(words[at % words.len()])),
        Kind::Switch => at.is_multiple_of(2).to_string(),
        Kind::Duration(..) => quoted("7s"),
    }
}

proptest! {
    #[test]
    fn what_has_a_form_is_plain(form in prop::sample::select(&FORMS[..]), any in ".{0,40}", at in 0_usize..99, with in ".{0,2}") {
        for text in [any, bent(form, at, &with)] {
            prop_assert!(!form.admits(&text) || is_plain(&text), "{form:?}: {text:?}");
        }
    }

    #[test]
    fn a_file_is_refused_or_all_of_it_is_plain(
        settings in prop::collection::vec((0..reference().len(), 0_usize..99, "[ -~é\n]{0,3}"), 0..4)
    ) {
        let mut document: toml::Table =
            include_str!("../../../../../examples/aws.toml").parse().unwrap();
        for (key, at, with) in settings {
            let key = &reference()[key];
            let (table, name) = key.path.split_once('.').unwrap();
            let value: toml::Table = format!("it = {}", value(&key.kind, at, &with)).parse().unwrap();
            let table = document.entry(table).or_insert_with(|| toml::Table::new().into());
            table.as_table_mut().unwrap().insert(name.to_owned(), value["it"].clone());
        }
        let file = toml::to_string(&document).unwrap();
        let Ok(config) = Config::parse(&file, Path::new("/etc/aws.toml")) else { return Ok(()) };
        let Some(aws) = &config.aws else { return Ok(()) };

        let template = template(&config, &resolved()).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text(&template)).unwrap(), template);

        let user_data = cloud_config(&config, aws, "vol-0123456789abcdef0");
        prop_assert!(user_data.len() < MAX_BYTES);
        let is_script = |line: &str| include_str!("../boot.sh").lines().any(|known| known == line);
        let mut ends = 0;
        for line in user_data.lines().skip(4) {
            let line = line.strip_prefix("    ").unwrap_or(line);
            ends += usize::from(line == "QMOOR_END");
            prop_assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' ' || is_script(line) || c == '…'), "{line:?}");
            if let Some(value) = line.strip_prefix("QMOOR_").and_then(|line| line.split_once('=')) {
                let inner = value.1.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
                prop_assert!(inner.is_some_and(is_plain), "{line:?}");
            }
        }
        prop_assert_eq!(ends, 5, "five files, each ended once");
    }
}
