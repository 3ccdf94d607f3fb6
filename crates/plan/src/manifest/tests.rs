//! What counts as a difference, and how it is said.

use super::{CollectionFacts, Difference, EngineInfo, Golden, Grade, Manifest, Sample, compare};

fn manifest() -> Manifest {
    let golden = Golden {
        vector_name: "dense".to_owned(),
        source_id: "1".to_owned(),
        limit: 3,
        answers: ["1", "2", "3"].map(str::to_owned).to_vec(),
    };
    let sample = |id: &str| Sample {
        id: id.to_owned(),
        payload_hash: format!("payload {id}"),
        vector_hash: format!("vector {id}"),
    };
    let docs = CollectionFacts {
        points: 1000,
        config_hash: "c0ffee".to_owned(),
        samples: vec![sample("1"), sample("2")],
        golden: vec![golden],
    };
    Manifest {
        version: super::VERSION,
        id: "b1".to_owned(),
        batch_id: Some("nightly".to_owned()),
        labels: [("model".to_owned(), "bm25".to_owned())].into(),
        created_at: "2026-11-20T10:00:00Z".parse().unwrap(),
        grade: Grade::Clean,
        engine: EngineInfo {
            kind: "embedded".to_owned(),
            version: "1.19.0".to_owned(),
            image: None,
            exit_code: Some(0),
        },
        collections: [("docs".to_owned(), docs)].into(),
        aliases: [("live".to_owned(), "docs".to_owned())].into(),
        phases: Vec::new(),
        pause_ms: 12.5,
        bytes_total: 4096,
        bytes_added: 1024,
        snapshot: "abc".to_owned(),
    }
}

fn docs(manifest: &mut Manifest) -> &mut CollectionFacts {
    manifest.collections.get_mut("docs").unwrap()
}

fn differences(change: impl FnOnce(&mut Manifest)) -> Vec<String> {
    let expected = manifest();
    let mut found = manifest();
    change(&mut found);
    let forwards = compare(&expected, &found);
    let backwards = compare(&found, &expected);
    let swapped = |d: Difference| Difference { what: d.what, expected: d.found, found: d.expected };
    assert_eq!(forwards, backwards.into_iter().map(swapped).collect::<Vec<_>>(), "symmetric");
    forwards.iter().map(ToString::to_string).collect()
}

#[test]
fn a_manifest_survives_being_written_and_read() {
    let text = serde_json::to_string(&manifest()).unwrap();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest());
    assert_eq!(serde_json::to_string(&manifest()).unwrap(), text, "same facts, same bytes");
}

#[test]
fn when_and_how_it_was_made_is_no_difference() {
    let found = differences(|m| {
        m.id = "b2".to_owned();
        m.grade = Grade::Crash;
        m.created_at = "2030-01-01T00:00:00Z".parse().unwrap();
        m.snapshot.clear();
        m.labels.clear();
        docs(m).samples.reverse();
        docs(m).golden[0].answers.reverse();
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let found = differences(|m| {
        let gone = m.collections.remove("docs").unwrap();
        m.collections.insert("other".to_owned(), gone);
    });
    assert_eq!(
        found,
        [
            "collection `docs`: expected 1000 points, found nothing",
            "collection `other`: expected nothing, found 1000 points",
        ]
    );
}

#[test]
fn a_count_and_a_configuration_that_differ_are_named() {
    let found = differences(|m| {
        docs(m).points = 999;
        docs(m).config_hash = "decaf".to_owned();
    });
    assert_eq!(
        found,
        [
            "collection `docs`: points: expected 1000, found 999",
            "collection `docs`: configuration: expected c0ffee, found decaf",
        ]
    );
}

#[test]
fn an_alias_that_points_elsewhere_is_named() {
    let found = differences(|m| m.aliases = [("live".to_owned(), "old".to_owned())].into());
    assert_eq!(found, ["alias `live`: expected collection `docs`, found collection `old`"]);
    let found = differences(|m| m.aliases.clear());
    assert_eq!(found, ["alias `live`: expected collection `docs`, found nothing"]);
}

#[test]
fn a_sampled_point_that_changed_or_vanished_is_named() {
    let found = differences(|m| docs(m).samples[0].payload_hash = "x".to_owned());
    assert_eq!(found, ["collection `docs`: point 1: payload: expected payload 1, found x"]);
    let found = differences(|m| docs(m).samples[1].vector_hash = "x".to_owned());
    assert_eq!(found, ["collection `docs`: point 2: vectors: expected vector 2, found x"]);
    let found = differences(|m| docs(m).samples.truncate(1));
    assert_eq!(found, ["collection `docs`: point 2: expected in the sample, found nothing"]);
}

#[test]
fn another_answer_to_a_golden_query_is_named() {
    let found = differences(|m| docs(m).golden[0].answers[2] = "9".to_owned());
    assert_eq!(
        found,
        ["collection `docs`: the 3 nearest to point 1 by `dense`: expected 1 2 3, found 1 2 9"]
    );
    let found = differences(|m| docs(m).golden.clear());
    assert_eq!(
        found,
        ["collection `docs`: the 3 nearest to point 1 by `dense`: expected 1 2 3, found nothing"]
    );
}

#[test]
fn grades_are_ordered_from_the_worst() {
    assert!(Grade::Crash < Grade::Frozen && Grade::Frozen < Grade::Clean);
    assert_eq!(serde_json::to_string(&Grade::Clean).unwrap(), "\"clean\"");
    assert_eq!(Grade::Frozen.to_string(), "frozen");
}
