//! The state machine, the document that it runs, and the rule that starts it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::template::{VERBS, definition, document};
use super::{config, made, properties, walk};

fn course(others: &[(&str, &str)]) -> Value {
    let config = config(others);
    definition(&config, config.aws.as_ref().unwrap())
}

/// Where a state may lead.
fn targets(state: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(state, &mut |value| {
        found.extend(
            ["Next", "Default"].iter().filter_map(|key| value[key].as_str()).map(str::to_owned),
        );
    });
    found
}

#[test]
fn the_course_of_a_backup_on_a_message() {
    let course = course(&[]);
    let lines = course["States"].as_object().unwrap().iter().map(|(name, state)| {
        let to: Vec<String> = targets(state).into_iter().collect();
        format!("{name} ({}): {}\n", state["Type"].as_str().unwrap(), to.join(", "))
    });
    insta::assert_snapshot!(lines.collect::<String>(), @r"
    Again (Pass): Look
    Answered (Choice): Longer, Overdue, Read, Refused
    Ask (Task): Answered, Tell
    Begin (Pass): Send
    Broken (Pass): Tell
    Complete (Choice): Broken, Done, LookLater, Unfinished
    Done (Succeed): 
    Failed (Fail): 
    Longer (Pass): Wait
    Look (Task): Complete, Tell
    LookLater (Pass): LookWait
    LookWait (Wait): Look
    Overdue (Pass): Tell
    Read (Task): Again, Tell
    Refused (Pass): Tell
    Send (Task): Tell, Wait
    Tell (Task): Failed
    Unfinished (Pass): Tell
    Wait (Wait): Ask
    ");
}

#[test]
fn every_state_is_reached_and_leads_somewhere() {
    for others in [&[][..], &[("store.kind", "\"restic\"")]] {
        let course = course(others);
        let states = course["States"].as_object().unwrap();
        let mut reached = BTreeSet::from([course["StartAt"].as_str().unwrap().to_owned()]);
        loop {
            let next: BTreeSet<String> =
                reached.iter().flat_map(|name| targets(&states[name])).collect();
            if next.is_subset(&reached) {
                break;
            }
            reached.extend(next);
        }
        assert_eq!(reached, states.keys().cloned().collect());
        for (name, state) in states {
            let ends = ["Succeed", "Fail"].contains(&state["Type"].as_str().unwrap());
            assert_eq!(targets(state).is_empty(), ends, "{name}");
        }
    }
    assert!(
        course(&[("store.kind", "\"restic\"")])["States"].get("Look").is_none(),
        "no EBS snapshots"
    );
}

#[test]
fn every_failure_is_told_with_its_reason() {
    let course = course(&[]);
    let states = course["States"].as_object().unwrap();
    for (name, state) in states.iter().filter(|(_, state)| state["Type"] == "Task") {
        assert!(state["ResultSelector"].is_object(), "{name}: times in what is kept are no JSON");
        let to = if name == "Tell" { "Failed" } else { "Tell" };
        assert_eq!(state["Catch"][0]["ErrorEquals"], json!(["States.ALL"]), "{name}");
        assert_eq!(state["Catch"][0]["Next"], to, "{name}");
    }
    // What leads to the topic without an error of AWS says one itself.
    for (name, state) in states.iter().filter(|(_, state)| targets(state).contains("Tell")) {
        let says = match state["Type"].as_str() {
            Some("Pass") => {
                state["Parameters"]["Cause.$"].is_string() && state["ResultPath"] == "$.problem"
            }
            _ => state["Next"] != "Tell" && state["Catch"][0]["ResultPath"] == "$.problem",
        };
        assert!(says, "{name}");
    }
}

/// Walks the waits as the machine makes them.
#[test]
fn every_wait_has_an_end_and_an_execution_few_events() {
    let course = course(&[]);
    let states = &course["States"];
    let first = states["Begin"]["Result"]["seconds"].as_u64().unwrap();
    let step: u64 = states["Longer"]["Parameters"]["seconds.$"]
        .as_str()
        .and_then(|text| {
            text.strip_prefix("States.MathAdd($.pause.seconds, ")?.strip_suffix(')')?.parse().ok()
        })
        .unwrap();
    let mut all = 0;
    let mut events = 0;
    for (choice, at_least) in [("Answered", 12 * 3600), ("Complete", 24 * 3600)] {
        let limit = states[choice]["Choices"][1]["And"][1]["NumericGreaterThan"].as_u64().unwrap();
        let mut waited = 0;
        let mut pause = first;
        while pause <= limit {
            waited += pause;
            pause += step;
            events += 12;
        }
        waited += pause;
        assert!((at_least..at_least + at_least / 20).contains(&waited), "{choice}: {waited} s");
        all += waited;
    }
    assert!(all < course["TimeoutSeconds"].as_u64().unwrap(), "the machine ends by telling");
    assert!(events < 10_000, "an execution may have 25,000 events: {events}");
}

#[test]
fn what_the_definition_leaves_open_is_filled_in() {
    let template = made(&[]);
    let machine = properties(&template, "BackupMachine");
    let text = machine["DefinitionString"].as_str().unwrap();
    let open: BTreeSet<&str> =
        text.split("${").skip(1).map(|piece| piece.split('}').next().unwrap()).collect();
    let filled: BTreeSet<&str> = machine["DefinitionSubstitutions"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(open, filled);
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), course(&[]));
}

#[test]
fn the_document_runs_verbs_of_the_list_on_the_configured_node() {
    let document = document();
    assert_eq!(document["parameters"]["Verb"]["allowedValues"], json!(VERBS));
    for parameter in document["parameters"].as_object().unwrap().values() {
        let limited =
            ["allowedValues", "allowedPattern"].iter().any(|key| parameter.get(key).is_some());
        assert!(limited, "{parameter}");
        let pattern = parameter["allowedPattern"].as_str().unwrap_or("^$");
        assert!(pattern.starts_with('^') && pattern.ends_with('$'), "{pattern}");
    }
    insta::assert_json_snapshot!(super::sorted(document["mainSteps"][0]["inputs"].clone()), @r#"
    {
      "runCommand": [
        "set -euf",
        "exec /usr/local/bin/qmoor --config /etc/qmoor/qmoor.toml --json --quiet {{ Verb }} {{ Arguments }}"
      ],
      "timeoutSeconds": "{{ Timeout }}"
    }
    "#);
}

#[test]
fn an_event_for_this_node_or_for_any_starts_it() {
    let template = made(&[]);
    insta::assert_json_snapshot!(properties(&template, "BatchRule")["EventPattern"], @r#"
    {
      "detail": {
        "batch_id": [
          {
            "exists": true
          }
        ],
        "node": [
          "docs",
          {
            "exists": false
          }
        ]
      },
      "detail-type": [
        "BatchIndexed"
      ]
    }
    "#);
}

#[test]
fn what_is_let_through_by_word_is_what_the_pattern_of_the_document_lets_through() {
    use crate::aws::template::{admits, arguments};
    // The pattern has no engine here: its parts are compared with what is said of single words.
    assert!(arguments().contains("dry-run") && arguments().contains("batch-id"));
    for word in [
        "latest",
        "b-20261125T021736Z-bc9c",
        "search",
        "--yes",
        "--batch-id=2026-11-25",
        "--overlap=1h",
    ] {
        assert!(admits(word), "{word}");
    }
    let longest = "a".repeat(128);
    assert!(admits(&longest) && !admits(&format!("{longest}a")));
    for word in [
        "",
        "-",
        "--",
        "--yes=",
        "--config=/etc/passwd",
        "--batch-id=$(id)",
        "--batch-id=-x",
        "a b",
        "a;b",
        "`id`",
        "$HOME",
        "a|b",
        "../x",
        "/etc",
        "--batch-id=a b",
        "--unknown",
        "a\nb",
        "\"a\"",
        "'a'",
        "a&b",
        "a>b",
        "\u{e9}",
    ] {
        assert!(!admits(word), "{word:?}");
    }
}
