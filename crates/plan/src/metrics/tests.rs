//! The list keeps to the rules of its readers.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Kind, Metric, PARTS, reference_markdown};

fn all() -> impl Iterator<Item = &'static Metric> {
    PARTS.iter().flat_map(|(_, _, metrics)| *metrics)
}

#[test]
fn no_name_is_given_twice_and_none_could_be_one_of_qdrants() {
    let names: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    assert_eq!(names.len(), all().count());
    for name in names {
        let tail = name.strip_prefix("qmoor_").unwrap_or_else(|| panic!("{name}"));
        assert!(tail.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
    }
}

#[test]
fn counters_and_only_they_end_in_total() {
    for Metric { name, kind, .. } in all() {
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
    }
}

#[test]
fn each_says_what_it_means_and_labels_that_are_no_words_of_prometheus() {
    for Metric { name, labels, help, .. } in all() {
        assert!(!help.is_empty() && !help.ends_with('.') && !help.contains('|'), "{name}");
        for label in *labels {
            assert!(!["le", "quantile", "job", "instance"].contains(label), "{name}: {label}");
        }
    }
}

/// `UPDATE_DOCS=1` writes the page instead.
#[test]
fn the_page_about_the_metrics_is_the_list() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let wanted = reference_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&page).unwrap_or_default();
    let advice = "docs/metrics.md is not what the list says; run the test with UPDATE_DOCS=1";
    assert!(found == wanted, "{advice}");
}
