//! The list of keys as people read it: the file that `qmoor init` writes, and the reference.

use super::keys::{keys_of, tables};

/// The `qmoor.toml` that `qmoor init` writes: every key, explained, commented out at its default.
#[must_use]
pub fn template() -> String {
    let mut text = "# What this node is. Every key stands here at its default;\n\
                    # take the `#` away to change one.\n"
        .to_owned();
    for (table, about) in tables() {
        text.push('\n');
        comment(&mut text, about);
        text.push_str(&format!("[{table}]\n"));
        for key in keys_of(table) {
            text.push('\n');
            comment(&mut text, key.doc);
            text.push_str(&format!("#{} = {}\n", key.name(), key.default));
        }
    }
    text
}

/// Adds `doc` as comment lines of at most 90 characters.
fn comment(text: &mut String, doc: &str) {
    let mut width = 0;
    for word in doc.split_whitespace() {
        if width > 0 && width + 1 + word.len() <= 90 {
            width += 1 + word.len();
        } else {
            if width > 0 {
                text.push('\n');
            }
            text.push('#');
            width = 2 + word.len();
        }
        text.push(' ');
        text.push_str(word);
    }
    text.push('\n');
}

/// The reference of `docs/config.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut text = "# Configuration\n\n\
        `qmoor.toml` says what a node is. `qmoor init` writes one with every key explained and \
        commented out at its default; without a file all defaults hold. A key that does not exist, a \
        value of the wrong type or out of range, and settings that contradict each other are errors \
        that name the line, the key and the nearest right name.\n\n\
        Durations are strings: `\"250ms\"`, `\"4s\"`, `\"5m\"`, `\"1h 30m\"`. Sizes too: \
        `\"512MiB\"`, `\"2GiB\"`. Relative paths start \
        at the folder of `qmoor.toml`. The folders for data, state and store must lie outside each \
        other.\n"
        .to_owned();
    for (table, about) in tables() {
        text.push_str(&format!("\n## `[{table}]`\n\n{about}\n\n"));
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in keys_of(table) {
            let (name, value, default, doc) = (key.name(), key.type_name(), key.default, key.doc);
            text.push_str(&format!("| `{name}` | {value} | `{default}` | {doc} |\n"));
        }
    }
    text
}
