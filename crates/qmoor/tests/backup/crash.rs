//! What the next start makes of a journal that ends anywhere.

use std::collections::BTreeMap;

use qmoor_agent::catalogue;
use qmoor_agent::node::NodeContext;
use qmoor_agent::recover;
use qmoor_plan::backup::{Course, Event};

use crate::bench::{Bench, program};

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_record_the_next_start_closes_what_was_open() {
    let bench = Bench::new().await;
    let report = bench.backup().await.unwrap();
    let bench = bench.reopened().await;
    let journal = bench.node.config().node.state.join("journal.jsonl");
    let lines: Vec<String> = std::fs::read_to_string(&journal)
        .unwrap()
        .lines()
        .map(|line| format!("{line}\n"))
        .collect();
    let Bench { dir, node, .. } = bench;
    let config = node.config().clone();
    drop(node);
    // From the last record to the first: what recovery removes from the store was not there before either.
    for cut in (1..=lines.len()).rev().filter(|cut| cut % 4 == 1 || *cut > lines.len() - 4) {
        let torn: String = lines[..cut].concat() + "{\"seq\":99,\"at\":\"20";
        std::fs::write(&journal, torn).unwrap();
        let node = NodeContext::open(config.clone(), program(), "test").unwrap();
        recover::before_engine(&node).await.unwrap();
        recover::after_engine(&node).await;
        let state = node.state();
        assert_eq!(state.current, None, "cut after {cut}");
        assert!(!state.engine_down && !state.gate_held, "cut after {cut}");
        let listed = catalogue::list(&node).await.unwrap();
        assert!(listed.iter().all(|backup| backup.complete), "cut after {cut}");
        assert!(listed.iter().any(|backup| backup.id == report.id), "cut after {cut}");
    }
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backup_cut_off_left_in_the_store_is_removed_at_the_next_start() {
    let bench = Bench::new().await;
    bench.backup().await.unwrap();
    let (data, node) = (bench.data(), bench.node.clone());
    let labels = qmoor_agent::store::Labels {
        id: "b-cut".to_owned(),
        host: "node".to_owned(),
        batch: None,
        grade: "clean".to_owned(),
    };
    let begin = Event::Begin {
        batch_id: None,
        labels: BTreeMap::new(),
        why: "test".to_owned(),
        course: Course::default(),
    };
    node.record("b-cut", begin).await.unwrap();
    node.blocking("leaving a half backup", move |node| {
        let store = node.store()?;
        let prepared = store.prepare(&data, &labels)?;
        store.take(&prepared, &data, &labels)?;
        Ok(())
    })
    .await
    .unwrap();
    drop(node);
    let bench = bench.reopened().await;
    let ids = async || -> Vec<(String, bool)> {
        let listed = catalogue::list(&bench.node).await.unwrap();
        listed.into_iter().map(|backup| (backup.id, backup.complete)).collect()
    };
    assert_eq!(ids().await.last().unwrap(), &("b-cut".to_owned(), false));
    recover::before_engine(&bench.node).await.unwrap();
    recover::after_engine(&bench.node).await;
    assert_eq!(ids().await.len(), 1);
    let left = bench.node.store().unwrap().settle().unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_cut_between_its_renames_is_finished_at_the_next_start() {
    let bench = Bench::new().await;
    let expected = bench.points("docs").await;
    let bench = bench.reopened().await;
    let data = bench.data();
    let (incoming, aside) =
        (data.with_file_name("data.restore-x"), data.with_file_name("data.old-x"));
    std::fs::rename(&data, &incoming).unwrap();
    std::fs::create_dir(&aside).unwrap();
    let begin = Event::RestoreBegin {
        id: "x".to_owned(),
        incoming: incoming.clone(),
        data: data.clone(),
        aside: aside.clone(),
    };
    bench.node.record("x", begin).await.unwrap();
    bench.node.record("x", Event::RestoreSwap { id: "x".to_owned() }).await.unwrap();
    let bench = bench.reopened().await;
    recover::before_engine(&bench.node).await.unwrap();
    bench.engine.start().await.unwrap();
    recover::after_engine(&bench.node).await;
    assert_eq!(bench.points("docs").await, expected);
    assert_eq!(bench.node.state().restore, None);
    assert!(!incoming.exists() && aside.exists());
}
