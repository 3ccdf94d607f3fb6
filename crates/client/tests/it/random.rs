//! Whatever is done to a folder between runs, and whatever fails in one, the collection ends as the
//! folder is.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use qmoor_client::index::IndexOptions;
use qmoor_client::target::Target;
use tonic::Status;

use crate::corpus::{Corpus, adds_up};
use crate::fake::{Fake, Fault};

/// What is done to a document before a run: removed, or written with so many paragraphs of an
/// edition.
type Edit = (usize, Option<(usize, usize)>);

#[derive(Debug, Clone)]
struct Round {
    edits: Vec<Edit>,
    batch_points: usize,
    max_inflight: usize,
    /// Which call fails, and how.
    fault: Option<(usize, Fault)>,
}

fn round() -> impl Strategy<Value = Round> {
    let edit = (0..6_usize, prop::option::weighted(0.8, (0..4_usize, 0..3_usize)));
    let fault = prop_oneof![
        Just(Fault::Refuse(Status::internal("crashed"))),
        Just(Fault::Refuse(Status::permission_denied("revoked"))),
        Just(Fault::Refuse(Status::unavailable("away"))),
        Just(Fault::LoseAnswer),
        Just(Fault::Late),
    ];
    (
        prop::collection::vec(edit, 1..8),
        1..6_usize,
        1..5_usize,
        prop::option::of((0..30_usize, fault)),
    )
        .prop_map(|(edits, batch_points, max_inflight, fault)| Round {
            edits,
            batch_points,
            max_inflight,
            fault,
        })
}

fn apply(corpus: &Corpus, edits: &[Edit]) {
    for (document, state) in edits {
        let name = format!("{}/{document}.txt", document % 2);
        match state {
            Some((paragraphs, edition)) => {
                let text = |n| format!("doc {document} ed {edition} par {n}");
                let texts: Vec<_> = (0..*paragraphs).map(text).collect();
                corpus.write(&name, &texts.iter().map(String::as_str).collect::<Vec<_>>());
            }
            None if corpus.path().join(&name).exists() => corpus.remove(&name),
            None => {}
        }
    }
    // One that stays, so that the folder is never empty.
    corpus.write("always.txt", &["always here, always so"]);
}

async fn play(rounds: Vec<Round>) -> Result<(), TestCaseError> {
    let (fake, corpus) = (Fake::start().await, Corpus::new());
    let target =
        Target { grpc_url: fake.url.clone(), collection: "c".to_owned(), key: None, tls_ca: None };
    for round in rounds {
        apply(&corpus, &round.edits);
        let options = IndexOptions {
            batch_points: round.batch_points,
            max_inflight: round.max_inflight,
            mirror: true,
            give_up_after: Duration::from_secs(20),
            ..IndexOptions::default()
        };
        {
            let mut state = fake.state.lock();
            let calls = state.calls.len();
            state.fault_at = round.fault.clone().map(|(at, fault)| (calls + at, fault));
        }
        let outcome = corpus.index(&target, &options).await;
        fake.state.lock().fault_at = None;
        if let Ok(summary) = &outcome {
            adds_up(summary);
        } else {
            prop_assert!(round.fault.is_some(), "{outcome:?}");
            corpus.index(&target, &options).await.unwrap();
        }
        prop_assert_eq!(fake.texts(), corpus.expected());
        let again = corpus.index(&target, &options).await.unwrap();
        prop_assert_eq!((again.written, again.removed), (0, 0));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_collection_always_ends_as_the_folder_is(rounds in prop::collection::vec(round(), 1..4)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(play(rounds))?;
    }
}
